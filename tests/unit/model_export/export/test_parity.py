from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.errors import ParityFailed
from model_export.export.parity import (
    Parity,
    measure_parity,
    require_parity,
    require_same_labels,
)

LABELS = 5


class Tampered:
    """The eager model with something done to its logits, given the batch's size."""

    def __init__(self, model: CtcModel, tamper=lambda logits, rows: logits) -> None:
        self._model = model
        self._tamper = tamper

    def infer(self, waveforms, lengths):
        with torch.inference_mode():
            logits, frame_lengths = self._model(
                torch.from_numpy(waveforms), torch.from_numpy(lengths)
            )
        return self._tamper(logits.numpy(), len(waveforms)), frame_lengths.numpy()


@pytest.fixture(scope="module")
def model(wav2vec2_base: Path) -> CtcModel:
    return build_model(wav2vec2_base, LABELS)


def test_the_model_itself_passes(model: CtcModel, noise_and_tones) -> None:
    parity = measure_parity(model, Tampered(model), [noise_and_tones(5000)])
    assert parity.logit_difference == 0
    assert parity.flipped_frames == 0
    require_parity("itself", parity)


def test_a_shift_is_measured_and_refused(model: CtcModel) -> None:
    parity = measure_parity(model, Tampered(model, lambda logits, _: logits + 0.25))
    assert parity.logit_difference == pytest.approx(0.25, abs=1e-4)
    with pytest.raises(ParityFailed, match=r"shifted is 0\.25 off eager logits"):
        require_parity("shifted", parity)


def test_dependence_on_batch_mates_is_refused(model: CtcModel) -> None:
    uneven = Tampered(model, lambda logits, rows: logits + 0.01 * (rows == 1))
    parity = measure_parity(model, uneven)
    assert parity.batch_difference == pytest.approx(0.01, abs=1e-4)
    with pytest.raises(ParityFailed, match="batch 1"):
        require_parity("uneven", Parity(0.0, parity.batch_difference, 0, 1.0, 1))


def test_flips_are_counted(model: CtcModel) -> None:
    flipped = measure_parity(model, Tampered(model, lambda logits, _: -logits))
    assert flipped.flipped_frames > 0


def test_other_frames_are_refused(model: CtcModel) -> None:
    with pytest.raises(ParityFailed, match="frames differ"):
        measure_parity(model, Tampered(model, lambda logits, _: logits[:, :-1]))


def test_nan_is_refused(model: CtcModel) -> None:
    broken = Tampered(model, lambda logits, _: np.full_like(logits, np.nan))
    with pytest.raises(ParityFailed):
        require_parity("broken", measure_parity(model, broken))


def test_nan_is_beyond_every_tolerance() -> None:
    with pytest.raises(ParityFailed, match="nan off eager"):
        require_parity("broken", Parity(float("nan"), 0.0, 0, 1.0, 1))


@pytest.mark.parametrize(("largest_logit", "limit"), [(0.0, 1e-4), (2.0, 1e-4), (20.0, 1e-3)])
def test_the_limit_grows_with_the_logits(largest_logit: float, limit: float) -> None:
    require_parity("close", Parity(0.99 * limit, 0.99 * limit, 0, largest_logit, 1))
    with pytest.raises(ParityFailed, match=f"the limit is {limit:.2g}"):
        require_parity("far", Parity(1.01 * limit, 0.0, 0, largest_logit, 1))


def test_a_large_variant_does_not_raise_its_own_limit(model: CtcModel) -> None:
    huge = measure_parity(model, Tampered(model, lambda logits, _: 1000 * logits))
    assert huge.largest_logit == measure_parity(model, Tampered(model)).largest_logit > 0


def test_frames_of_clips_are_counted(model: CtcModel, noise_and_tones) -> None:
    clips = [noise_and_tones(5000) for _ in range(7)]
    parity = measure_parity(model, Tampered(model, lambda logits, _: -logits), clips, trials=0)
    assert parity.frames % 7 == 0
    assert parity.flipped_share == pytest.approx(1.0, abs=0.2)


def test_int8_may_flip_few_labels() -> None:
    require_same_labels("good", Parity(5.0, 0.2, 5, 20.0, 100))
    with pytest.raises(ParityFailed, match=r"coarse gives 6\.0 % .* the limit is 5 %"):
        require_same_labels("coarse", Parity(5.0, 0.0, 6, 20.0, 100))
