import json
from functools import partial

import numpy as np
import pytest
from tiny_bundle import CHUNK_FRAMES, HOP, LEFT_CONTEXT, LOOKAHEAD, TOKENS, make_streaming_bundle

from service.backends import onnx_streaming
from service.backends.arena import Returns
from service.backends.base import Tuning
from service.backends.onnx_options import run_options
from service.backends.streaming import first_state, load_streaming_model, row_samples
from service.bundle import load_bundle
from service.errors import InferenceFailed, InvalidBundle

SAMPLES = LEFT_CONTEXT + CHUNK_FRAMES * HOP + LOOKAHEAD


@pytest.fixture
def folder(tmp_path):
    return make_streaming_bundle(tmp_path / "bundle")


def load(folder, **changes):
    path = folder / "bundle.json"
    manifest = json.loads(path.read_text())
    if manifest["streaming"] is not None:
        manifest["streaming"] |= changes
    path.write_text(json.dumps(manifest))
    bundle = load_bundle(folder)
    return load_streaming_model(bundle, device="cpu", runtime="onnxruntime", tuning=Tuning())


def rows(levels):
    waveforms = np.zeros((len(levels), SAMPLES), np.float32)
    states = {"level": np.array(levels, np.float32)[:, np.newaxis]}
    return waveforms, np.full(len(levels), SAMPLES, np.int64), states


def test_rows_of_a_batch_go_on_from_their_own_states(folder):
    model = load(folder)
    output = model.infer(*rows([2.0, 5.0]))
    assert output.logits.shape == (2, CHUNK_FRAMES, len(TOKENS))
    assert output.logits.argmax(axis=2).tolist() == [[2] * CHUNK_FRAMES, [5] * CHUNK_FRAMES]
    assert output.frame_lengths.tolist() == [CHUNK_FRAMES] * 2
    assert output.states["level"].tolist() == [[2.0], [5.0]]


def test_once_a_minute_what_chunks_took_together_is_given_back(folder, monkeypatch):
    now_s, asked = [0.0], []

    def note(device, *, give_back):
        asked.append(give_back)
        return run_options(device, give_back=give_back)

    monkeypatch.setattr(onnx_streaming, "Returns", partial(Returns, clock=lambda: now_s[0]))
    monkeypatch.setattr(onnx_streaming, "run_options", note)
    model = load(folder)
    asked.clear()
    for now_s[0] in (59.0, 60.0, 61.0):
        model.infer(*rows([2.0]))
    assert asked == [False, True, False]


def test_a_short_row_has_fewer_frames(folder):
    waveforms, lengths, states = rows([0.0])
    output = load(folder).infer(waveforms, lengths - LOOKAHEAD - 2 * HOP - 1, states)
    assert output.frame_lengths.tolist() == [CHUNK_FRAMES - 2]


def test_sizes_and_first_states_are_the_manifests(folder):
    manifest = load_bundle(folder).manifest
    assert row_samples(manifest.streaming, HOP) == SAMPLES
    assert first_state(manifest.streaming)["level"].tolist() == [0.0]


def test_a_bundle_without_one_has_none(folder):
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"streaming": None}))
    assert load(folder) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"states": []}, "not the streaming graph of its manifest"),
        ({"chunk_frames": CHUNK_FRAMES + 1}, "fails on silence"),
        ({"states": [{"name": "level", "shape": [2], "dtype": "float32"}]}, "fails on silence"),
        ({"states": [{"name": "level", "shape": [1], "dtype": "int64"}]}, "fails on silence"),
        ({"variants": [{"file": "golden.npz", "precision": "int8"}]}, "cannot be loaded"),
        ({"variants": [{"file": "other.onnx", "precision": "int8"}]}, "no digest for other.onnx"),
        ({"variants": []}, "variants"),
    ],
)
def test_a_graph_that_is_not_the_manifests_is_refused(folder, changes, told):
    with pytest.raises(InvalidBundle, match=told):
        load(folder, **changes)


def test_what_the_runtime_refuses_is_an_inference_that_failed(folder):
    waveforms, lengths, states = rows([0.0])
    with pytest.raises(InferenceFailed, match="ONNX Runtime"):
        load(folder).infer(waveforms[:, :-1], lengths, states)
