"""Whatever else is in a batch, and however far it is padded: every family hears the same."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch
from checkpoints import BASES, MakeBase
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.mixing.surgery import replace_attention

TOLERANCE = 1e-5
SHORTEST = 560  # of w2v-BERT, whose frames are the longest


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model_of(make_base: MakeBase) -> Callable[[str], CtcModel]:
    """Builds each base once, with WSM above attention."""

    @cache
    def build(base: str) -> CtcModel:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build_model(make_base(base), 5)
            replace_attention(model, layers=(1,), mixer="wsm", window_frames=3)
        return model

    return build


def batch_of(waveforms: list[Tensor], padding_samples: int) -> Tensor:
    """A batch whose padding holds nothing that can be computed with."""
    longest = max(map(len, waveforms))
    batch = torch.full((len(waveforms), longest + padding_samples), float("nan"))
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch


@pytest.mark.parametrize("base", BASES)
@settings(max_examples=12, deadline=None)
@given(
    lengths=st.lists(st.integers(SHORTEST, 9000), min_size=1, max_size=4),
    padding_samples=st.integers(0, 3000),
    seed=st.integers(0, 99),
)
def test_company_and_padding_change_nothing(
    model_of: Callable[[str], CtcModel],
    base: str,
    lengths: list[int],
    padding_samples: int,
    seed: int,
) -> None:
    model = model_of(base)
    generator = torch.Generator().manual_seed(seed)
    waveforms = [0.1 * torch.randn(length, generator=generator) for length in lengths]
    with torch.inference_mode():
        together, frames = model(batch_of(waveforms, padding_samples), torch.tensor(lengths))
        for logits, count, waveform in zip(together, frames, waveforms, strict=True):
            alone, alone_frames = model(waveform[None], torch.tensor([len(waveform)]))
            assert alone_frames.tolist() == [count] == [alone.shape[1]]
            torch.testing.assert_close(logits[:count], alone[0], atol=TOLERANCE, rtol=0.0)
