"""Bundles with a streaming graph: written, checked, read back and scored."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from model_export.checkpoint import ModelSpec, build_from_spec, save_checkpoint
from model_export.cli import main
from model_export.data import Corpus
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError, ParityFailed, StreamingRefused
from model_export.evaluate import Hearing, open_recogniser
from model_export.export import parity
from model_export.export.bundle import BundleFacts, write_bundle
from model_export.export.streaming_graph import check_streaming, form_of, write_streaming
from model_export.export.variants import FLOAT32, INT8, Recordings
from model_export.mixing.streaming import StreamingModel
from service.arrays import FloatArray
from service.backends import Tuning, load_model
from service.bundle import MANIFEST_FILE, Provenance, load_bundle, read_manifest
from service.errors import InvalidBundle


@pytest.fixture(scope="module")
def model(streaming_spec: ModelSpec) -> CtcModel:
    torch.manual_seed(0)
    return build_from_spec(streaming_spec).requires_grad_(False)


@pytest.fixture(scope="module")
def recordings(spoken: Corpus) -> list[FloatArray]:
    return [soundfile.read(clip.audio, dtype="float32")[0] for clip in spoken.clips]


@pytest.fixture(scope="module")
def facts() -> BundleFacts:
    provenance = Provenance(
        base="a base", base_licence="", data=(), weights_licence="", created_with=""
    )
    return BundleFacts("tones", "", provenance, chunk_frames=8)


@pytest.fixture(scope="module")
def bundle(
    streaming_spec: ModelSpec,
    model: CtcModel,
    recordings: list[FloatArray],
    facts: BundleFacts,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "tones"
    speech = Recordings(parity=recordings[:2], ranges=recordings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "INT8_FLIPPED_SHARE", 0.5)  # labels of random weights are near ties
        parities = write_bundle(
            out, streaming_spec, model, facts, variants=(INT8, FLOAT32), recordings=speech
        )
    for file in ("streaming.onnx", "streaming.onnx, in chunks"):
        assert parities[file].logit_difference <= parities[file].limit
    return out


def test_the_manifest_says_how_to_stream(bundle: Path) -> None:
    manifest = load_bundle(bundle).manifest
    form = manifest.streaming
    assert form is not None
    assert [variant.file for variant in form.variants] == [
        "streaming.int8.onnx.gz",
        "streaming.onnx",
    ]
    assert {"streaming.int8.onnx.gz", "streaming.onnx"} <= manifest.files.keys()
    assert manifest.longest_single_pass_s is None
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "chunks of 8 frames (160 ms) and 12.5 ms of lookahead" in card
    assert "waits 12.5 to 172.5 ms" in card


def test_weights_are_there_once_and_whole_utterances_heard_by_them(
    bundle: Path, model: CtcModel, recordings: list[FloatArray]
) -> None:
    manifest = load_bundle(bundle).manifest
    files = ["streaming.int8.onnx.gz", "streaming.onnx"]
    assert [variant.file for variant in manifest.variants] == files
    assert not list(bundle.glob("model.*"))
    tuning = Tuning(precision="float32")
    whole = load_model(load_bundle(bundle), device="cpu", sessions=1, tuning=tuning).model
    lengths = np.array([len(recordings[0]), len(recordings[1]) // 3, 1])
    rows = np.zeros((3, lengths.max()), np.float32)
    for row, recording, length in zip(rows, recordings, lengths, strict=False):
        row[:length] = recording[:length]
    logits, frame_lengths = whole.infer(rows, lengths)
    with torch.inference_mode():
        expected, expected_lengths = model(torch.from_numpy(rows), torch.from_numpy(lengths))
    assert frame_lengths.tolist() == expected_lengths.tolist()
    for row, count in enumerate(frame_lengths):
        np.testing.assert_allclose(logits[row, :count], expected[row, :count], atol=1e-4)


def test_a_streaming_file_without_digest_is_refused(bundle: Path, tmp_path: Path) -> None:
    content = json.loads((bundle / MANIFEST_FILE).read_text())
    del content["files"]["streaming.onnx"]
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(content))
    with pytest.raises(InvalidBundle, match=r"no digest for streaming\.onnx"):
        read_manifest(tmp_path)


def test_bundle_and_checkpoint_hear_the_same(
    bundle: Path,
    streaming_spec: ModelSpec,
    model: CtcModel,
    recordings: list[FloatArray],
    tmp_path: Path,
) -> None:
    save_checkpoint(tmp_path / "checkpoint", streaming_spec, model.requires_grad_(True))
    model.requires_grad_(False)
    chunks = Hearing(streaming=True)
    eager = open_recogniser(tmp_path / "checkpoint", hearing=chunks)
    exported = open_recogniser(bundle, hearing=chunks)
    assert eager.decoding == exported.decoding == "greedy, in chunks of 8 frames"
    assert open_recogniser(bundle).decoding == "greedy"
    lengths = np.array([len(recordings[0])])
    expected, _ = eager.model.infer(recordings[0][None], lengths)
    whole, _ = open_recogniser(tmp_path / "checkpoint").model.infer(recordings[0][None], lengths)
    assert not np.array_equal(expected, whole)
    longer = open_recogniser(tmp_path / "checkpoint", hearing=Hearing(True, 1000))
    found, _ = longer.model.infer(recordings[0][None], lengths)
    np.testing.assert_allclose(found, whole, atol=1e-4)


def test_chunks_that_a_bundle_has_not_are_refused(bundle: Path) -> None:
    with pytest.raises(StreamingRefused, match="in chunks of 8 frames, not 16"):
        open_recogniser(bundle, hearing=Hearing(True, 16))


def test_a_graph_that_is_another_is_refused(
    model: CtcModel, recordings: list[FloatArray], tmp_path: Path
) -> None:
    stream = StreamingModel(model, 8)
    form = form_of(stream, ["float32"])
    write_streaming(stream, form, tmp_path, [])
    check_streaming(model, form, tmp_path, recordings[:1])
    head = model.head.bias.clone()
    model.head.bias.add_(0.01)
    with pytest.raises(ParityFailed, match=r"streaming\.onnx is"):
        check_streaming(model, form, tmp_path, recordings[:1])
    model.head.bias.copy_(head)


def test_what_no_graph_can_do_is_refused(model: CtcModel, tmp_path: Path) -> None:
    stream = StreamingModel(model, 8)
    with pytest.raises(ExportError, match="no streaming graph is float16"):
        form_of(stream, ["float16"])
    with pytest.raises(ExportError, match="int8 needs recordings"):
        write_streaming(stream, form_of(stream, ["int8"]), tmp_path, [])


def test_export_says_what_forbids_streaming(
    spec: ModelSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "checkpoint", spec, build_from_spec(spec))
    command = ["export", str(tmp_path / "checkpoint"), "--out", str(tmp_path / "bundle")]
    assert main([*command, "--streaming"]) == 2
    told = capsys.readouterr().err
    assert "cannot stream: the front end looks far ahead: log-mel is floored" in told
    assert "layer 0 mixes the whole utterance by attention" in told
    assert main(["evaluate", str(tmp_path / "checkpoint"), "nothing", "--streaming"]) == 2
    assert "layer 0 mixes the whole utterance by attention" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
