"""What the attention of all of a conformer's layers shares about positions, computed once per pass.

transformers keeps these in tables that grow and in caches; here they are functions of the number of
frames, fit for a graph that takes any.

Shapes: B batch, H heads, T frames, D width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from model_export.encoders.biased_attention import IMPLEMENTATION

Part = Any  # of transformers, which is not typed

WAVELENGTH_BASE = 10_000.0
BIASES = {"relative", "relative_key"}  # kinds of positions that become biases on scores


class RelativeSinusoids(nn.Module):
    """Sinusoids of the distances from T - 1 down to 1 - T (Dai et al. 2019, arXiv 1901.02860).

    Args:
        width: D, even.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        exponents = torch.arange(0, width, 2, dtype=torch.float32) / width
        self.register_buffer("frequencies", WAVELENGTH_BASE**-exponents, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute sines and cosines in turn, `[1, 2T - 1, D]`, for hidden frames `[B, T, D]`."""
        frames = hidden.shape[1]
        distances = frames - 1 - torch.arange(2 * frames - 1, device=hidden.device)
        angles = distances.unsqueeze(1) * self.frequencies
        waves = torch.stack([angles.sin(), angles.cos()], dim=2)
        return waves.flatten(1).unsqueeze(0).to(hidden.dtype)


class RotaryAngles(nn.Module):
    """Cosines and sines by which queries and keys are turned (Su et al. 2021, arXiv 2104.09864).

    Args:
        head_width: D / H, even.
        base: of the wavelengths.
    """

    frequencies: Tensor

    def __init__(self, head_width: int, base: float) -> None:
        super().__init__()
        exponents = torch.arange(0, head_width, 2, dtype=torch.float32) / head_width
        self.register_buffer("frequencies", base**-exponents, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute `[2, T, 1, 1, D / H]` for hidden frames `[B, T, D]`."""
        steps = torch.arange(hidden.shape[1], device=hidden.device)
        angles = (steps.unsqueeze(1) * self.frequencies).repeat(1, 2)
        return torch.stack([angles.cos(), angles.sin()])[:, :, None, None].to(hidden.dtype)


def no_positions(_: Part) -> None:
    """Attention that takes its positions from the frames needs nothing here."""


def conformer_positions(encoder: Part) -> nn.Module | None:
    """Make what a conformer's configuration asks for.

    Where its attention adds a bias to its scores, that is given an implementation that exports.
    """
    config = encoder.config
    kind = config.position_embeddings_type
    if kind in BIASES:
        encoder.set_attn_implementation(IMPLEMENTATION)
    if kind == "relative":
        return RelativeSinusoids(config.hidden_size)
    if kind == "rotary":
        head_width = config.hidden_size // config.num_attention_heads
        return RotaryAngles(head_width, config.rotary_embedding_base)
    return None
