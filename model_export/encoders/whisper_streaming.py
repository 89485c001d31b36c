"""Whisper's stem for streams: what it gives for a moment never depends on what comes much later.

Whisper floors an utterance's log-mel under its own maximum, mirrors its edges and adds positions
that end after 30 s. Here the floor is fixed, silence stands before and after the utterance, and
one offset, the mean of the positions, stands for all of them.

    frame t      sees samples 320 t - 520 <= i < 320 t + 520
    chunk of C   sees 520 samples before its 320 C own and 200 (12.5 ms) behind them
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from model_export.encoders.ctc_model import FrontEndFacts
from model_export.encoders.whisper import RECEPTIVE_FIELD_SAMPLES, SAMPLES_PER_FRAME
from model_export.front_ends.log_mel import mel_filters, valid_frames
from model_export.front_ends.piecewise import Piecewise, cut, join
from model_export.front_ends.spectrum import (
    HOP_SAMPLES,
    WINDOW_SAMPLES,
    PowerSpectrum,
    overlapping_windows,
)

# Two mel frames, those that the convolutions reach, and half a window of the outer one.
LEFT_CONTEXT_SAMPLES = 2 * HOP_SAMPLES + WINDOW_SAMPLES // 2
LOOKAHEAD_SAMPLES = LEFT_CONTEXT_SAMPLES - SAMPLES_PER_FRAME
# 8 decades under 10, about what speech at ordinary levels reaches: Whisper's own floor would lie
# between 1e-7.5 and 1e-6.2 on clips that were synthesised, and lower for quieter ones.
SMALLEST_POWER = 1e-7
PIECE_SAMPLES = {"cpu": 40_000, "cuda": 64_000_000}  # caches are small, and kernels cost a launch
CONVENTION = (
    "waveform in [-1, 1], silence before and after it; log-mel floored at 1e-7, no positions"
)


class StreamingWhisperStem(nn.Module):
    """Log-mel and two convolutions.

    Args:
        encoder: transformers' Whisper encoder; its convolutions are shared.
    """

    def __init__(self, encoder: WhisperEncoder) -> None:
        super().__init__()
        self.embedding = Piecewise(_Embedding(encoder))

    @property
    def front_end(self) -> FrontEndFacts:
        """Facts for the bundle; nothing here ends."""
        return FrontEndFacts(
            samples_per_frame=SAMPLES_PER_FRAME,
            receptive_field_samples=RECEPTIVE_FIELD_SAMPLES,
            longest_pass_s=None,
            convention=CONVENTION,
            left_context_samples=LEFT_CONTEXT_SAMPLES,
            lookahead_samples=LOOKAHEAD_SAMPLES,
        )

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed whole utterances.

        Args:
            waveforms: `[batch, samples]`, 16 kHz in [-1, 1]; what lies past `lengths` is ignored.
            lengths: `[batch]`, valid samples.

        Returns:
            hidden `[batch, frames, width]` and frame lengths `[batch]`, 50 per second.
        """
        frames = (waveforms.shape[1] + SAMPLES_PER_FRAME - 1) // SAMPLES_PER_FRAME
        pieces = cut(
            F.pad(_heard(waveforms, lengths), (LEFT_CONTEXT_SAMPLES, 0)),
            unit=3 * SAMPLES_PER_FRAME,
            overlap=LEFT_CONTEXT_SAMPLES + LOOKAHEAD_SAMPLES,
            most_samples=PIECE_SAMPLES.get(waveforms.device.type, PIECE_SAMPLES["cuda"]),
        )
        hidden = join(self.embedding([pieces]), frames)
        return hidden, (lengths + SAMPLES_PER_FRAME - 1) // SAMPLES_PER_FRAME

    def embed_chunk(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed one chunk of each utterance.

        Args:
            waveforms: `[batch, samples]`: left context, chunk and lookahead.
            lengths: `[batch]`, valid samples of these; less than all where the utterance ends.

        Returns:
            hidden `[batch, frames, width]` and frame lengths `[batch]`.
        """
        hidden: Tensor = self.embedding.body([_heard(waveforms, lengths)])
        own = (lengths - LEFT_CONTEXT_SAMPLES).clamp(min=0)
        frame_lengths = (own + SAMPLES_PER_FRAME - 1) // SAMPLES_PER_FRAME
        return hidden, frame_lengths.clamp(max=hidden.shape[1])


class _Embedding(nn.Module):
    """Frames `[batch, frames, width]` of `[batch, samples]`, all that see nothing beyond it.

    Power and its logarithm are float64, which no lower precision of training touches.
    """

    filters: Tensor

    def __init__(self, encoder: WhisperEncoder) -> None:
        super().__init__()
        config: WhisperConfig = encoder.config
        self.width, self.hop = WINDOW_SAMPLES, HOP_SAMPLES
        self.per_frame = SAMPLES_PER_FRAME
        self.context = LEFT_CONTEXT_SAMPLES + LOOKAHEAD_SAMPLES
        self.smallest_power = SMALLEST_POWER
        self.spectrum = PowerSpectrum("hann", periodic=True, fft_samples=WINDOW_SAMPLES)
        self.register_buffer("filters", mel_filters(config.num_mel_bins).double(), persistent=False)
        self.conv1, self.conv2 = encoder.conv1, encoder.conv2
        self.offset = nn.Parameter(encoder.embed_positions.weight.detach().mean(dim=0))

    def forward(self, inputs: list[Tensor]) -> Tensor:
        waveforms = inputs[0]
        windows = overlapping_windows(waveforms, (waveforms.shape[1] - self.width) // self.hop + 1)
        power = torch.matmul(self.filters, self.spectrum(windows).transpose(1, 2))
        features = (power.clamp(min=self.smallest_power).log10().float() + 4.0) / 4.0
        hidden = F.gelu(F.conv1d(features, self.conv1.weight, self.conv1.bias))
        hidden = F.gelu(F.conv1d(hidden, self.conv2.weight, self.conv2.bias, stride=2))
        return hidden.transpose(1, 2) + self.offset

    def shape_of(self, inputs: list[Tensor]) -> list[int]:
        """Shape of the output."""
        batch, samples = inputs[0].shape
        return [batch, (samples - self.context) // self.per_frame, self.offset.shape[0]]


def _heard(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Silence behind each row's end."""
    return waveforms.float().masked_fill(~valid_frames(lengths, waveforms.shape[1]), 0.0)
