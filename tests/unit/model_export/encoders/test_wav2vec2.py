from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2Model

from model_export.encoders.families import build_model
from model_export.front_ends import convolutions

STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
POST_NORM = {"do_stable_layer_norm": False, "feat_extract_norm": "layer"}
GROUP_NORM = {"do_stable_layer_norm": False, "feat_extract_norm": "group", "conv_bias": False}
VARIANTS = [
    pytest.param(STABLE, id="stable"),
    pytest.param(POST_NORM, id="post-norm"),
    pytest.param(GROUP_NORM, id="group-norm"),
]
# Of a whole batch at once: each test here is one piece, or many.
PIECE_SAMPLES = [80_000, 1_600]
LENGTHS = [400, 719, 720, 1117, 4801, 16000]
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True, params=PIECE_SAMPLES)
def piece_samples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "PIECE_SAMPLES", request.param)


def hidden_of(folder: Path, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """What the head would see `[batch, frames, width]`, and frame lengths."""
    model = build_model(folder, 5)
    with torch.inference_mode():
        hidden, frame_lengths = model.lower(waveforms, lengths, len(model.layers))
        return model.final_norm(hidden), frame_lengths


def transformers_hidden(folder: Path, waveforms: Tensor, attention_mask: Tensor | None) -> Tensor:
    model = Wav2Vec2Model.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(waveforms, attention_mask=attention_mask).last_hidden_state


def batch_of(waveforms: list[Tensor], padding: float) -> Tensor:
    batch = torch.full((len(waveforms), max(map(len, waveforms)) + 1000), padding)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch


def with_preprocessor(base: Path, folder: Path, *, do_normalize: bool) -> Path:
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
    for file in base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_waveform_as_in_transformers(
    make_wav2vec2_base, noise_and_tones, tmp_path: Path, variant
) -> None:
    folder = with_preprocessor(make_wav2vec2_base(**variant), tmp_path, do_normalize=False)
    waveform = torch.from_numpy(noise_and_tones(9001))[None]
    expected = transformers_hidden(folder, waveform, None)
    hidden, frame_lengths = hidden_of(folder, waveform, torch.tensor([9001]))
    assert frame_lengths.tolist() == [expected.shape[1]]
    torch.testing.assert_close(hidden, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", [STABLE, POST_NORM])
def test_padded_batch_as_in_transformers(
    make_wav2vec2_base, noise_and_tones, tmp_path: Path, variant
) -> None:
    folder = with_preprocessor(make_wav2vec2_base(**variant), tmp_path, do_normalize=False)
    lengths = torch.tensor(LENGTHS)
    waveforms = [torch.from_numpy(noise_and_tones(length, length)) for length in LENGTHS]
    batch = batch_of(waveforms, 0.0)
    attention_mask = (torch.arange(batch.shape[1]) < lengths.unsqueeze(1)).long()
    expected = transformers_hidden(folder, batch, attention_mask)
    hidden, frame_lengths = hidden_of(folder, batch, lengths)
    for row, wanted, frames in zip(hidden, expected, frame_lengths, strict=True):
        torch.testing.assert_close(row[:frames], wanted[:frames], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("do_normalize", [False, True])
def test_batched_equals_alone(
    make_wav2vec2_base, noise_and_tones, tmp_path: Path, variant, do_normalize: bool
) -> None:
    folder = with_preprocessor(make_wav2vec2_base(**variant), tmp_path, do_normalize=do_normalize)
    waveforms = [torch.from_numpy(noise_and_tones(length, length)) for length in LENGTHS]
    batch = batch_of(waveforms, float("nan"))
    together, frame_lengths = hidden_of(folder, batch, torch.tensor(LENGTHS))
    for row, waveform, frames in zip(together, waveforms, frame_lengths, strict=True):
        alone, _ = hidden_of(folder, waveform[None], torch.tensor([len(waveform)]))
        assert alone.shape[1] == frames
        torch.testing.assert_close(row[:frames], alone[0], atol=1e-4, rtol=1e-4)


def test_frame_lengths_as_in_transformers(wav2vec2_base: Path) -> None:
    reference = Wav2Vec2Model(Wav2Vec2Config.from_pretrained(wav2vec2_base))
    lengths = torch.tensor([400, 401, 719, 720, 721, 1039, 1040, 2345])
    _, frame_lengths = hidden_of(wav2vec2_base, torch.zeros(len(lengths), 2345), lengths)
    expected = reference._get_feat_extract_output_lengths(lengths)
    assert frame_lengths.tolist() == expected.tolist()


def test_fine_tuned_models_load_without_their_mask_embedding(
    wav2vec2_base: Path, noise_and_tones, tmp_path: Path
) -> None:
    full = Wav2Vec2ForCTC(Wav2Vec2Config.from_pretrained(wav2vec2_base, vocab_size=7))
    full.wav2vec2.load_state_dict(Wav2Vec2Model.from_pretrained(wav2vec2_base).state_dict())
    full.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    del tensors["wav2vec2.masked_spec_embed"]
    save_file(tensors, tmp_path / WEIGHTS, metadata={"format": "pt"})

    waveform, lengths = torch.from_numpy(noise_and_tones(4000))[None], torch.tensor([4000])
    hidden, _ = hidden_of(tmp_path, waveform, lengths)
    expected, _ = hidden_of(wav2vec2_base, waveform, lengths)
    torch.testing.assert_close(hidden, expected)


def test_the_preprocessor_decides_about_normalising(
    wav2vec2_base: Path, noise_and_tones, tmp_path: Path
) -> None:
    waveform = noise_and_tones(5000)
    extractor = Wav2Vec2FeatureExtractor()  # a base without its own is treated as by this one
    prepared = extractor(waveform, sampling_rate=16000, return_tensors="pt").input_values
    expected = transformers_hidden(wav2vec2_base, prepared, None)
    hidden, _ = hidden_of(wav2vec2_base, torch.from_numpy(waveform)[None], torch.tensor([5000]))
    torch.testing.assert_close(hidden, expected, atol=1e-4, rtol=1e-4)

    assert "unit variance" in build_model(wav2vec2_base, 5).front_end.convention
    plain = with_preprocessor(wav2vec2_base, tmp_path, do_normalize=False)
    assert "not normalised" in build_model(plain, 5).front_end.convention


@pytest.mark.parametrize("variant", VARIANTS)
def test_front_end_facts(make_wav2vec2_base: Callable[..., Path], variant) -> None:
    facts = build_model(make_wav2vec2_base(**variant), 5).front_end
    assert facts.samples_per_frame == 320
    assert facts.receptive_field_samples == 400
    assert facts.longest_pass_s is None
