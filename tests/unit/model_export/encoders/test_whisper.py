from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperModel,
)

from model_export.encoders.families import build_model
from model_export.errors import BaseUnavailable

LENGTHS = [1, 150, 399, 401, 1117, 4801, 16000]
WEIGHTS = "model.safetensors"


def hidden_of(folder: Path, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """What the head would see `[batch, frames, width]`, and frame lengths."""
    model = build_model(folder, 5)
    with torch.inference_mode():
        hidden, frame_lengths = model.lower(waveforms, lengths, len(model.layers))
        return model.final_norm(hidden), frame_lengths


def whole(base: Path, _: Path) -> Path:
    return base


def encoder_only(base: Path, folder: Path) -> Path:
    tensors = load_file(base / WEIGHTS)
    kept = {name: value for name, value in tensors.items() if name.startswith("encoder.")}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})
    WhisperConfig.from_pretrained(base).save_pretrained(folder)
    return folder


def with_language_head(base: Path, folder: Path) -> Path:
    full = WhisperForConditionalGeneration(WhisperConfig.from_pretrained(base))
    full.model.load_state_dict(WhisperModel.from_pretrained(base).state_dict())
    full.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("saved_as", [whole, encoder_only, with_language_head])
def test_agrees_with_transformers_on_30_s(
    whisper_base: Path, noise_and_tones, tmp_path: Path, saved_as: Callable[[Path, Path], Path]
) -> None:
    waveform = noise_and_tones(480_000)
    features = WhisperFeatureExtractor()(waveform, sampling_rate=16000, return_tensors="pt")
    reference = WhisperModel.from_pretrained(whisper_base).eval()
    with torch.inference_mode():
        expected = reference.encoder(features.input_features).last_hidden_state
    hidden, frame_lengths = hidden_of(
        saved_as(whisper_base, tmp_path), torch.from_numpy(waveform)[None], torch.tensor([480_000])
    )
    assert frame_lengths.tolist() == [1500]
    torch.testing.assert_close(hidden, expected, atol=1e-3, rtol=1e-3)


def test_batched_equals_alone(whisper_base: Path, noise_and_tones) -> None:
    waveforms = [torch.from_numpy(noise_and_tones(length, length)) for length in LENGTHS]
    batch = torch.full((len(LENGTHS), 16500), 99.0)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    together, frame_lengths = hidden_of(whisper_base, batch, torch.tensor(LENGTHS))
    assert frame_lengths.tolist() == [-(-length // 320) for length in LENGTHS]
    for row, waveform, frames in zip(together, waveforms, frame_lengths, strict=True):
        alone, _ = hidden_of(whisper_base, waveform[None], torch.tensor([len(waveform)]))
        assert alone.shape[1] == frames
        torch.testing.assert_close(row[:frames], alone[0], atol=1e-4, rtol=1e-4)


def test_front_end_facts(whisper_base: Path) -> None:
    facts = build_model(whisper_base, 5).front_end
    assert facts.samples_per_frame == 320
    assert facts.receptive_field_samples == 400
    assert facts.longest_pass_s == 30.0


def test_missing_weights_are_named(whisper_base: Path, tmp_path: Path) -> None:
    folder = encoder_only(whisper_base, tmp_path)
    tensors = load_file(folder / WEIGHTS)
    del tensors["encoder.conv1.weight"]
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(
        BaseUnavailable, match=r"as WhisperEncoder lacks 1 weights, first .*conv1\.weight"
    ):
        build_model(folder, 5)
