from pathlib import Path

import pytest
import torch

from model_export.ctc_model import CtcModel
from model_export.families import build_model
from model_export.surgery import replace_attention


@pytest.fixture(params=["whisper", "wav2vec2"])
def model(request: pytest.FixtureRequest, whisper_base: Path, wav2vec2_base: Path) -> CtcModel:
    model = build_model({"whisper": whisper_base, "wav2vec2": wav2vec2_base}[request.param], 5)
    replace_attention(model, layers=(1,), mixer="wsm", window_frames=2)
    return model


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_cutting_between_layers_changes_nothing(model: CtcModel, cut: int) -> None:
    waveforms, lengths = torch.randn(2, 6000) * 0.1, torch.tensor([6000, 4000])
    with torch.inference_mode():
        logits, frame_lengths = model(waveforms, lengths)
        hidden, lower_lengths = model.lower(waveforms, lengths, cut)
        pieced = model.upper(hidden, lower_lengths, cut)
    assert torch.equal(lower_lengths, frame_lengths)
    torch.testing.assert_close(pieced, logits)


def test_logits_of_a_batch_equal_those_alone(model: CtcModel, noise_and_tones) -> None:
    rows = [torch.from_numpy(noise_and_tones(length, length)) for length in (7001, 400, 3333)]
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=5.0)
    with torch.inference_mode():
        together, frame_lengths = model(batch, torch.tensor([len(row) for row in rows]))
        for row, logits, frames in zip(rows, together, frame_lengths, strict=True):
            alone, _ = model(row[None], torch.tensor([len(row)]))
            torch.testing.assert_close(logits[:frames], alone[0], atol=1e-4, rtol=1e-4)


def test_width_is_that_of_the_encoder(model: CtcModel) -> None:
    assert model.width == 32
