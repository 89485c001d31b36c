"""What images are made of is locked, and nothing that is read is run.

Pickle runs what it reads, so weights come as safetensors or ONNX; a hub's old files are read by
torch's `weights_only`, arrays without `allow_pickle`.
"""

import ast
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import make_bundle

from service.bundle import load_bundle, sha256_of
from service.config import PACKAGED_BUNDLES, Settings
from service.errors import InvalidBundle

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker" / "requirements"
LOCKS = sorted(path for path in FOLDER.glob("*.txt"))
IMAGES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SOURCES = [path for name in ("service", "model_export") for path in (ROOT / name).rglob("*.py")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_package_is_locked_to_a_version_and_hashes(path):
    entries = re.split(r"^(?=[a-z0-9])", path.read_text(), flags=re.MULTILINE | re.IGNORECASE)
    packages = [entry for entry in entries if not entry.startswith("#")]
    assert len(packages) > 10
    for entry in packages:
        assert re.match(r"[\w.-]+==[\w.]+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in path.read_text()
    assert "index-url" not in path.read_text()


@pytest.mark.parametrize("lock", ["cpu", "gpu-cuda12", "gpu-cuda13", "export"])
def test_whatever_is_declared_is_locked(lock):
    extras = {"cpu": ["cpu"], "export": ["cpu", "export"]}.get(lock, ["gpu"])
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["signing"]]
    for extra in extras:
        declared += PROJECT["optional-dependencies"][extra]
    names = {re.match(r"[\w.-]+", one)[0].lower() for one in declared} - {"torch"}
    text = (FOLDER / f"{lock}.txt").read_text()
    assert names <= set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_images_install_nothing_that_is_not_locked(path):
    text = path.read_text()
    installs = re.findall(r"pip (?:install|wheel) (.+)", text)
    assert len(installs) >= 4
    for arguments in installs:
        assert "--require-hashes" in arguments or "--no-deps" in arguments or "torch" in arguments
    assert "sbom.cdx.json" in text
    if path.name == "export.Dockerfile":
        (torch,) = PROJECT["optional-dependencies"]["torch"]
        assert f"ARG TORCH={torch.removeprefix('torch==')}\n" in text


def test_every_locked_package_of_the_service_has_its_licence_listed():
    listed = (FOLDER / "licences.md").read_text()
    names = re.findall(r"^([\w.-]+)==", (FOLDER / "cpu.txt").read_text(), re.MULTILINE)
    rows = {re.sub(r"[-_.]+", "-", row) for row in re.findall(r"^\| ([\w.-]+) \|", listed, re.M)}
    only_elsewhere = {"colorama"}  # on Windows
    assert {re.sub(r"[-_.]+", "-", name) for name in names} - rows <= only_elsewhere


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_run(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not PICKLES & {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module in PICKLES:
            assert {alias.name for alias in node.names} == {"UnpicklingError"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            call = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if call == "torch.load":
                assert given.get("weights_only") == "True", call
            if call in {"np.load", "numpy.load"}:
                assert given.get("allow_pickle") == "False", call


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_in_a_bundle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_bundle(tmp_path / "tiny")
    bomb = np.array([Bomb()], dtype=object)
    np.savez(folder / "golden.npz", waveform=bomb, logits=bomb)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["golden.npz"] = sha256_of(folder / "golden.npz")
    (folder / "bundle.json").write_text(json.dumps(manifest))
    bundle = load_bundle(folder)
    with pytest.raises(InvalidBundle, match="cannot be read"):
        bundle.golden("float32")
    assert not Path("exploded").exists()


def test_torchscript_runs_only_where_it_is_asked_for():
    assert Settings().runtime == "onnxruntime"
    for folder in PACKAGED_BUNDLES.iterdir():
        assert {path.suffix for path in folder.iterdir()}.isdisjoint({".ts", ".pt", ".bin", ".pkl"})
