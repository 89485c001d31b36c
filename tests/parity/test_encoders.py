"""Whole encoders: eager, ONNX and TorchScript agree, alone and in batches."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export import convolutions
from model_export.ctc_model import CtcModel
from model_export.exporters import export_onnx, export_torchscript
from model_export.families import build_model
from model_export.parity import measure_parity, require_parity
from model_export.surgery import replace_attention
from service.backends.base import AcousticModel
from service.backends.onnx import OnnxModel
from service.backends.torchscript import TorchScriptModel

LABELS = 5
GROUP_NORM = {"do_stable_layer_norm": False, "feat_extract_norm": "group", "conv_bias": False}
# As short as they may be, at the edge of a frame, and longer than any trace.
CLIP_SAMPLES = (400, 401, 719, 720, 16_000, 40_123)
# The exporter's example is one such piece, most of what parity is measured on is many.
PIECE_SAMPLES = 40_000


@pytest.fixture(params=["whisper", "stable", "group-norm", "all layers wsm"])
def model(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    whisper_base: Path,
    make_wav2vec2_base: Callable[..., Path],
) -> CtcModel:
    """A tiny base of each kind with WSM in its last layer, or in all."""
    folders: dict[str, Callable[[], Path]] = {
        "whisper": lambda: whisper_base,
        "stable": make_wav2vec2_base,
        "group-norm": lambda: make_wav2vec2_base(**GROUP_NORM),
        "all layers wsm": lambda: whisper_base,
    }
    monkeypatch.setattr(convolutions, "PIECE_SAMPLES", PIECE_SAMPLES)
    torch.manual_seed(0)
    model = build_model(folders[request.param](), LABELS)
    last = len(model.layers) - 1
    layers = tuple(range(last + 1)) if request.param == "all layers wsm" else (last,)
    replace_attention(model, layers=layers, mixer="wsm", window_frames=3)
    return model


def onnx_variant(model: CtcModel, folder: Path) -> AcousticModel:
    export_onnx(model, folder / "model.onnx")
    assert b"model_export" not in (folder / "model.onnx").read_bytes(), "traces of the exporter"
    return OnnxModel(folder / "model.onnx", device="cpu", threads=1, vocabulary_size=LABELS)


def torchscript_variant(model: CtcModel, folder: Path) -> AcousticModel:
    export_torchscript(model, folder / "model.ts")
    return TorchScriptModel(folder / "model.ts", device="cpu", threads=None)


@pytest.mark.parametrize("export", [onnx_variant, torchscript_variant])
def test_an_exported_encoder_equals_the_eager_one(
    model: CtcModel,
    noise_and_tones,
    tmp_path: Path,
    export: Callable[[CtcModel, Path], AcousticModel],
) -> None:
    exported = export(model, tmp_path)
    clips = [noise_and_tones(samples, samples) for samples in CLIP_SAMPLES]
    require_parity("exported", measure_parity(model, exported, clips))


def test_what_lies_in_the_padding_is_ignored(
    model: CtcModel, noise_and_tones, tmp_path: Path
) -> None:
    exported = torchscript_variant(model, tmp_path)
    lengths = np.array([9000, 4000], dtype=np.int64)
    clean = np.zeros((2, 9000), dtype=np.float32)
    for row, length in zip(clean, lengths, strict=True):
        row[:length] = noise_and_tones(length, length)
    dirty = clean.copy()
    dirty[1, 4000:] = 1e3
    expected, frame_lengths = exported.infer(clean, lengths)
    found, _ = exported.infer(dirty, lengths)
    for row, frames in enumerate(frame_lengths):
        np.testing.assert_allclose(found[row, :frames], expected[row, :frames], atol=1e-5)
