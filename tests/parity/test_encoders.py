"""Whole encoders: eager, ONNX and TorchScript agree, alone and in batches."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import BASES, MakeBase

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.export import parity
from model_export.export.exporters import export_onnx, export_torchscript
from model_export.export.parity import measure_parity, require_parity
from model_export.front_ends import convolutions
from model_export.mixing.chunking import wsm_blocks
from model_export.mixing.surgery import replace_attention
from service.backends.base import AcousticModel
from service.backends.onnx import OnnxModel
from service.backends.torchscript import TorchScriptModel

LABELS = 5
# As short as they may be, at the edge of a frame, and longer than any trace.
CLIP_SAMPLES = (560, 561, 719, 720, 16_000, 40_123)
# The exporter's example is one such piece, most of what parity is measured on is many.
PIECE_SAMPLES = 40_000
TRIALS = 4  # of parity, beside the clips


@pytest.fixture
def make_model(monkeypatch: pytest.MonkeyPatch, make_base: MakeBase) -> Callable[..., CtcModel]:
    """Builds a tiny base with WSM in the layers that are named."""
    monkeypatch.setattr(convolutions, "PIECE_SAMPLES", PIECE_SAMPLES)
    monkeypatch.setattr(parity, "TRIALS", TRIALS)

    def make(base: str, *replaced: int, **changes: int) -> CtcModel:
        torch.manual_seed(0)
        model = build_model(make_base(base, **changes), LABELS)
        replace_attention(model, layers=replaced, mixer="wsm", window_frames=3)
        return model

    return make


def onnx_variant(model: CtcModel, folder: Path) -> AcousticModel:
    export_onnx(model, folder / "model.onnx")
    assert b"model_export" not in (folder / "model.onnx").read_bytes(), "traces of the exporter"
    return OnnxModel(folder / "model.onnx", device="cpu", threads=1, vocabulary_size=LABELS)


def torchscript_variant(model: CtcModel, folder: Path) -> AcousticModel:
    export_torchscript(model, folder / "model.ts")
    return TorchScriptModel(folder / "model.ts", device="cpu", threads=None)


def compare(model: CtcModel, exported: AcousticModel, noise_and_tones) -> None:
    clips = [noise_and_tones(samples, samples) for samples in CLIP_SAMPLES]
    require_parity("exported", measure_parity(model, exported, clips))


@pytest.mark.parametrize("base", BASES)
def test_a_traced_encoder_equals_the_eager_one(
    make_model, noise_and_tones, tmp_path: Path, base: str
) -> None:
    model = make_model(base, 1)
    compare(model, torchscript_variant(model, tmp_path), noise_and_tones)


def test_a_traced_encoder_without_attention_equals_the_eager_one(
    make_model, noise_and_tones, tmp_path: Path
) -> None:
    model = make_model("wavlm stable", 0, 1)
    compare(model, torchscript_variant(model, tmp_path), noise_and_tones)


# The usual bases are exported to ONNX on their whole path, and w2v-BERT beside its front end.
def test_an_onnx_graph_with_rotary_positions_equals_the_eager_encoder(
    make_model, noise_and_tones, tmp_path: Path
) -> None:
    model = make_model("conformer rotary", num_hidden_layers=1)
    compare(model, onnx_variant(model, tmp_path), noise_and_tones)


@pytest.mark.parametrize("variant", [onnx_variant, torchscript_variant])
def test_a_model_that_can_stream_takes_whole_utterances_too(
    make_base: MakeBase, monkeypatch, noise_and_tones, tmp_path: Path, variant
) -> None:
    monkeypatch.setattr(parity, "TRIALS", TRIALS)
    model = build_model(make_base("whisper"), LABELS, streaming=True)
    replace_attention(model, layers=(0, 1), mixer="wsm", window_frames=3, window_weights="learned")
    for block in wsm_blocks(model):
        torch.nn.init.normal_(block.window_weights)
    exported = variant(model, tmp_path)
    compare(model, exported, noise_and_tones)
    minutes = noise_and_tones(40 * 16_000)[None]  # longer than Whisper's positions
    logits, frame_lengths = exported.infer(minutes, np.array([minutes.shape[1]]))
    assert frame_lengths.tolist() == [2000]
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("base", ["wav2vec2", "whisper"])
def test_what_lies_in_the_padding_is_ignored(
    make_model, noise_and_tones, tmp_path: Path, base: str
) -> None:
    exported = torchscript_variant(make_model(base, 1), tmp_path)
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
