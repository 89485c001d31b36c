from pathlib import Path

import pytest
import torch
from checkpoints import BASES, MakeBase
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.encoders.layer_calls import MixerInPlace
from model_export.mixing.surgery import replace_attention

# About 53 frames, by the front end; no width and no count of anything else is near.
WAVEFORMS = 0.1 * torch.randn(1, 17_100, generator=torch.Generator().manual_seed(0))
# Their attention makes T x T tensors that can be seen; that of the others is one operation.
BIASED = ["wavlm", "conformer relative", "w2v-bert", "w2v-bert relative"]


class Shapes(TorchDispatchMode):
    """Keeps the shape of every tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else [result]
        self.seen += [tuple(each.shape) for each in results if isinstance(each, Tensor)]
        return result


def squares_of(model: CtcModel) -> int:
    """How many tensors pair frames with frames, or with distances between frames."""
    with torch.inference_mode(), Shapes() as shapes:
        logits, _ = model(WAVEFORMS, torch.tensor([WAVEFORMS.shape[1]]))
    frames = logits.shape[1]
    assert frames in (52, 53, 54)
    long = {frames, 2 * frames - 1}
    return sum(sum(size in long for size in shape) > 1 for shape in shapes.seen)


def built(folder: Path, *replaced: int) -> CtcModel:
    model = build_model(folder, 5)
    replace_attention(model, layers=replaced, mixer="wsm", window_frames=2)
    return model


@pytest.mark.parametrize("base", BIASED)
def test_biased_attention_pairs_all_frames(make_base: MakeBase, base: str) -> None:
    one, both = squares_of(built(make_base(base), 0)), squares_of(built(make_base(base)))
    assert 0 < one < both


@pytest.mark.parametrize("base", BASES)
def test_without_attention_nothing_grows_with_the_square_of_time(
    make_base: MakeBase, base: str
) -> None:
    assert squares_of(built(make_base(base), 0, 1)) == 0


class Spy(nn.Module):
    def forward(self, frames: Tensor, valid_mask: Tensor) -> Tensor:
        return torch.where(valid_mask.unsqueeze(2), frames, 0.0)


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("shape", [(2, 4), (2, 1, 1, 4)])
def test_a_mixer_takes_masks_and_gives_outputs_as_attention_does(outputs: int, shape) -> None:
    frames = torch.randn(2, 4, 3)
    valid_mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    mixed, *nothing = MixerInPlace(Spy(), outputs)(
        hidden_states=frames, attention_mask=valid_mask.view(shape), position_bias=None
    )
    assert torch.equal(mixed, torch.where(valid_mask.unsqueeze(2), frames, 0.0))
    assert nothing == [None] * (outputs - 1)
