import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.arrays import FloatArray
from service.backends import Tuning, load_model
from service.backends.parallelism import usable_cores
from service.bundle import Bundle, Variant, load_bundle, sha256_of
from service.errors import InferenceFailed, InvalidBundle

ROOT = Path(__file__).parents[3]
TOKENS = ("<pad>", "|", "a")
WEIGHTS = np.array([[1.0, -2.0, 3.0]], dtype=np.float32)
WAVEFORM = np.array([0.5, -1.0, 0.25, 0.0], dtype=np.float32)


def logits_of(waveform: FloatArray) -> FloatArray:
    """What the tiny model computes: one frame per sample."""
    return waveform[:, np.newaxis] * WEIGHTS


def graph(
    *,
    waveforms: str = "waveforms",
    batch: str | int = "batch",
    weights: FloatArray = WEIGHTS,
    frames: tuple[str, list[str]] = ("Identity", ["lengths"]),
) -> onnx.ModelProto:
    """A linear map of each sample, with ways to get the contract wrong."""
    nodes = [
        helper.make_node("Unsqueeze", [waveforms, "last"], ["columns"]),
        helper.make_node("MatMul", ["columns", "weights"], ["logits"]),
        helper.make_node(*frames, ["frame_lengths"]),
    ]
    vocabulary_size = weights.shape[1]
    inputs = [
        helper.make_tensor_value_info(waveforms, TensorProto.FLOAT, [batch, "samples"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, [batch]),
    ]
    outputs = [
        helper.make_tensor_value_info(
            "logits", TensorProto.FLOAT, ["batch", "frames", vocabulary_size]
        ),
        helper.make_tensor_value_info("frame_lengths", TensorProto.INT64, ["batch"]),
    ]
    constants = [
        onnx.numpy_helper.from_array(weights, "weights"),
        onnx.numpy_helper.from_array(np.array([2]), "last"),
    ]
    body = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    return helper.make_model(
        body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="test"
    )


def onnx_variant(file: str = "model.onnx", precision: str = "float32") -> dict[str, Any]:
    return {
        "file": file,
        "runtime": "onnxruntime",
        "precision": precision,
        "batch_invariant": True,
    }


TORCHSCRIPT = {**onnx_variant("model.ts"), "runtime": "torchscript"}


def bundle_of(folder: Path, *variants: dict[str, Any], golden: FloatArray | None = None) -> Bundle:
    """A bundle around the model files that already lie in the folder."""
    golden = logits_of(WAVEFORM) if golden is None else golden
    np.savez(folder / "golden.npz", waveform=WAVEFORM, logits=golden)
    files = [path for path in folder.iterdir() if path.name != "bundle.json"]
    manifest = {
        "schema_version": 1,
        "name": "tiny",
        "languages": ["en"],
        "sample_rate_hz": 16_000,
        "samples_per_frame": 1,
        "receptive_field_samples": 1,
        "longest_single_pass_s": None,
        "vocabulary": {"tokens": TOKENS, "blank_id": 0, "word_delimiter": "|"},
        "text_normalisation": {},
        "input_convention": "none",
        "layers": [],
        "variants": variants or [onnx_variant()],
        "files": {path.name: sha256_of(path) for path in files},
        "provenance": {
            "base": "none",
            "base_licence": "none",
            "data": [],
            "weights_licence": "none",
            "created_with": "test",
        },
    }
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return load_bundle(folder)


def saved(folder: Path, model: onnx.ModelProto, file: str = "model.onnx") -> None:
    (folder / file).write_bytes(model.SerializeToString())


def test_an_onnx_variant_is_loaded_tested_and_run(tmp_path: Path) -> None:
    saved(tmp_path, graph())
    loaded = load_model(bundle_of(tmp_path), device="cpu", threads=1)
    assert loaded.device == "cpu"
    assert loaded.variant == Variant(**onnx_variant())
    assert loaded.memory_bytes >= 0
    waveforms = np.array([[1, 2, 3], [4, 5, 0]], dtype=np.float32)
    logits, frame_lengths = loaded.model.infer(waveforms, np.array([3, 2]))
    np.testing.assert_allclose(logits, waveforms[:, :, np.newaxis] * WEIGHTS)
    assert frame_lengths.tolist() == [3, 2]
    assert (logits.dtype, frame_lengths.dtype) == (np.float32, np.int64)


def test_importing_the_backends_imports_no_runtime() -> None:
    code = (
        "import sys, service.backends;"
        "assert not {'torch', 'onnxruntime', 'service.backends.onnx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_manifest_decides_among_what_suits_the_device(tmp_path: Path) -> None:
    for file in ("half.onnx", "small.onnx", "full.onnx"):
        saved(tmp_path, graph(), file)
    half = onnx_variant("half.onnx", "float16")
    small, full = onnx_variant("small.onnx", "int8"), onnx_variant("full.onnx")
    for variants, expected in [
        ((half, small, full), "small.onnx"),
        ((half, full, small), "full.onnx"),
        ((half,), "half.onnx"),
    ]:
        bundle = bundle_of(tmp_path, *variants)
        assert load_model(bundle, device="cpu", threads=1).variant.file == expected


def test_archives_with_code_are_not_loaded_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "model.ts").write_bytes(b"never opened")
    with pytest.raises(InvalidBundle, match="no variant for onnxruntime") as refused:
        load_model(bundle_of(tmp_path, TORCHSCRIPT))
    assert refused.value.found == ["torchscript"]


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(InvalidBundle, match="cannot be loaded"):
        load_model(bundle_of(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("mistakes", "message"),
    [
        ({"waveforms": "pixels"}, "not an acoustic model"),
        ({"batch": 1}, "one fixed size only"),
        ({"weights": WEIGHTS[:, :2]}, "has 2 labels, the manifest 3"),
        ({"frames": ("ReduceMax", ["waveforms"])}, "cannot be loaded"),
        ({"weights": WEIGHTS * np.float32(1.01)}, "logits are off by 0.03"),
        ({"weights": WEIGHTS * np.float32(np.nan)}, "logits are off by nan"),
    ],
)
def test_a_foreign_graph_is_refused(tmp_path: Path, mistakes: dict[str, Any], message: str) -> None:
    saved(tmp_path, graph(**mistakes))
    with pytest.raises(InvalidBundle, match=message):
        load_model(bundle_of(tmp_path), device="cpu", threads=1)


def test_the_self_test_tells_what_it_found_and_what_is_allowed(tmp_path: Path) -> None:
    saved(tmp_path, graph())
    golden = logits_of(WAVEFORM) + np.float32(0.5)
    with pytest.raises(InvalidBundle) as refused:
        load_model(bundle_of(tmp_path, golden=golden), device="cpu")
    assert (refused.value.found, refused.value.limit) == (pytest.approx(0.5), 1e-3)
    with pytest.raises(InvalidBundle, match=r"logits \(4, 3\), golden \(2, 3\)"):
        load_model(bundle_of(tmp_path, golden=golden[:2]), device="cpu")


def test_rounded_weights_may_differ_more(tmp_path: Path) -> None:
    saved(tmp_path, graph())
    golden = logits_of(WAVEFORM) + np.float32(0.5)
    bundle = bundle_of(tmp_path, onnx_variant(precision="int8"), golden=golden)
    assert load_model(bundle, device="cpu").variant.precision == "int8"


def test_int8_is_held_to_its_own_logits_where_there_are_any(tmp_path: Path) -> None:
    saved(tmp_path, graph())
    bundle = bundle_of(tmp_path, onnx_variant(precision="int8"), golden=logits_of(WAVEFORM))
    assert load_model(bundle, device="cpu").variant.precision == "int8"
    far = {"waveform": WAVEFORM, "logits": logits_of(WAVEFORM)}
    np.savez(tmp_path / "golden.npz", **far, **{"logits.int8": logits_of(WAVEFORM) + 2})
    with pytest.raises(InvalidBundle, match="off by 2"):
        load_model(bundle, device="cpu")


def test_an_absent_device_is_said_so(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime can use CUDA")
    saved(tmp_path, graph())
    bundle = bundle_of(tmp_path)
    with pytest.raises(InvalidBundle, match="cannot run models on cuda"):
        load_model(bundle, device="cuda")
    assert load_model(bundle, device="auto").device == "cpu"


def test_an_error_of_the_runtime_is_ours(tmp_path: Path) -> None:
    saved(tmp_path, graph())
    model = load_model(bundle_of(tmp_path), device="cpu").model
    with pytest.raises(InferenceFailed, match="ONNX Runtime failed"):
        model.infer(np.zeros(3, np.float32), np.array([3]))


def archive(folder: Path, kind: str) -> None:
    torch = pytest.importorskip("torch")

    class Tiny(torch.nn.Module):
        def forward(
            self, waveforms: torch.Tensor, lengths: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            weights = torch.tensor([[1.0, -2.0, 3.0]])
            return waveforms.unsqueeze(2) @ weights, lengths

    class Foreign(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels

    class Broken(torch.nn.Module):
        def forward(
            self, waveforms: torch.Tensor, lengths: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return waveforms @ waveforms, lengths

    class Flat(torch.nn.Module):
        def forward(
            self, waveforms: torch.Tensor, lengths: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return waveforms.flatten(), lengths

    modules = {"tiny": Tiny, "foreign": Foreign, "broken": Broken, "flat": Flat}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(modules[kind]()).save(str(folder / "model.ts"))


def test_a_torchscript_archive_is_loaded_when_asked_for(tmp_path: Path) -> None:
    archive(tmp_path, "tiny")
    bundle = bundle_of(tmp_path, TORCHSCRIPT)
    loaded = load_model(bundle, device="cpu", threads=1, runtime="torchscript")
    waveforms = np.array([[1, 2, 3], [4, 5, 0]], dtype=np.float32)
    logits, frame_lengths = loaded.model.infer(waveforms, np.array([3, 2]))
    np.testing.assert_allclose(logits, waveforms[:, :, np.newaxis] * WEIGHTS)
    assert frame_lengths.tolist() == [3, 2]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("foreign", "not an acoustic model"),
        ("broken", "fails its self-test: TorchScript failed"),
        ("flat", r"logits \(4,\), golden \(4, 3\)"),
    ],
)
def test_a_foreign_archive_is_refused(tmp_path: Path, kind: str, message: str) -> None:
    archive(tmp_path, kind)
    with pytest.raises(InvalidBundle, match=message):
        load_model(bundle_of(tmp_path, TORCHSCRIPT), device="cpu", runtime="torchscript")


def test_precision_chooses_the_variant(tmp_path: Path) -> None:
    for file in ("half.onnx", "full.onnx"):
        saved(tmp_path, graph(), file)
    variants = onnx_variant("full.onnx"), onnx_variant("half.onnx", "float16")
    bundle = bundle_of(tmp_path, *variants)
    half = load_model(bundle, device="cpu", tuning=Tuning(precision="float16"))
    assert half.variant.file == "half.onnx"
    with pytest.raises(InvalidBundle, match="no int8 variant") as refused:
        load_model(bundle, device="cpu", tuning=Tuning(precision="int8"))
    assert refused.value.found == ["float16", "float32"]


def test_an_archive_computes_in_the_precision_asked_for(tmp_path: Path) -> None:
    archive(tmp_path, "tiny")
    bundle = bundle_of(tmp_path, TORCHSCRIPT)
    tuning = Tuning(precision="bfloat16")
    loaded = load_model(bundle, device="cpu", threads=1, runtime="torchscript", tuning=tuning)
    exact = np.full((1, 4), 0.1, np.float32)
    logits, _ = loaded.model.infer(exact, np.array([4]))
    difference = np.abs(logits - exact[:, :, np.newaxis] * WEIGHTS).max()
    assert 1e-5 < difference < 1e-2  # rounded, as bfloat16 rounds
    assert logits.dtype == np.float32
    with pytest.raises(InvalidBundle, match="no int8 variant"):
        load_model(bundle, device="cpu", runtime="torchscript", tuning=Tuning(precision="int8"))


def test_sessions_and_threads_share_the_cores(tmp_path: Path) -> None:
    saved(tmp_path, graph())
    bundle = bundle_of(tmp_path)
    assert load_model(bundle, device="cpu", threads=1, sessions=3).sessions == 3
    assert load_model(bundle, device="cpu", threads=1).sessions == usable_cores()


def test_first_runs_that_fail_fail_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, graph())

    def fail(*_: object) -> None:
        raise InferenceFailed("a kernel is missing")

    monkeypatch.setattr("service.backends.warm_up", fail)
    with pytest.raises(InvalidBundle, match="fails its first runs: a kernel is missing"):
        load_model(bundle_of(tmp_path), device="cpu")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "model.ts").write_bytes(b"not an archive")
    with pytest.raises(InvalidBundle, match="cannot be loaded by torch"):
        load_model(bundle_of(tmp_path, TORCHSCRIPT), device="cpu", runtime="torchscript")


def test_the_runtime_reports_to_nobody(tmp_path):
    """ONNX Runtime's telemetry would leave the id of this device in the user's folder."""
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", "import service.backends.onnx"]
    subprocess.run(command, env=environment, cwd=ROOT, check=True)
    assert list(tmp_path.rglob("*")) == []
