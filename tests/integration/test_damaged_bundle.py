"""A bundle that is not what it was: both commands say so in one line, and end."""

import gzip
import json

import pytest
from audio_files import wav
from patience import PATIENCE_S
from server_process import process
from tiny_bundle import make_bundle, speak

from service.bundle import GOLDEN_FILE, MANIFEST_FILE, sha256_of
from service.config import PACKAGED_BUNDLE

MODEL_FILE, OTHER_MODEL_FILE = "model.int8.onnx.gz", "model.onnx"
# What KenLM writes while it loads; it cannot be told not to.
PROGRESS = ("Loading the LM", "Reading ", "----", "****")


def flip_a_byte(name):
    def damage(folder):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        replace(folder, name, bytes(content))

    return damage


def remove(name):
    return lambda folder: (folder / name).unlink()


def take_another_bundles(name):
    def damage(folder):
        other = make_bundle(folder.parent / "other")
        replace(folder, name, (other / name).read_bytes())

    return damage


def replace_and_sign(name, content):
    """As somebody does who edits a bundle by hand."""

    def damage(folder):
        replace(folder, name, content(folder) if callable(content) else content)
        manifest = json.loads((folder / MANIFEST_FILE).read_text())
        manifest["files"][name] = sha256_of(folder / name)
        replace(folder, MANIFEST_FILE, json.dumps(manifest).encode())

    return damage


def anothers_model(folder):
    other = make_bundle(folder.parent / "other")
    return gzip.compress((other / OTHER_MODEL_FILE).read_bytes())


def truncated_file(folder):
    return (folder / MODEL_FILE).read_bytes()[:-1000]


def truncated_model(folder):
    return gzip.compress(gzip.decompress((folder / MODEL_FILE).read_bytes())[:-1000], 1)


def replace(folder, name, content):
    (folder / name).unlink()  # it is a link to the packaged file
    (folder / name).write_bytes(content)


@pytest.fixture
def folder(tmp_path):
    """The packaged bundle, by links."""
    folder = tmp_path / "english"
    folder.mkdir()
    for path in PACKAGED_BUNDLE.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


DAMAGES = {
    "model-flipped": (flip_a_byte(MODEL_FILE), "model.int8.onnx.gz is damaged"),
    "golden-flipped": (flip_a_byte(GOLDEN_FILE), "golden.npz is damaged"),
    "model-missing": (remove(MODEL_FILE), "model.int8.onnx.gz is missing"),
    "manifest-missing": (remove(MANIFEST_FILE), "is not a bundle"),
    "manifest-of-another": (take_another_bundles(MANIFEST_FILE), "is damaged"),
    "manifest-damaged": (
        lambda folder: replace(folder, MANIFEST_FILE, b"{"),
        "is not a valid manifest",
    ),
    "model-garbage": (
        replace_and_sign(MODEL_FILE, b"garbage"),
        "model.int8.onnx.gz cannot be unpacked",
    ),
    "file-truncated": (
        replace_and_sign(MODEL_FILE, truncated_file),
        "model.int8.onnx.gz cannot be unpacked",
    ),
    "model-truncated": (
        replace_and_sign(MODEL_FILE, truncated_model),
        "cannot be loaded by ONNX Runtime",
    ),
    "model-of-another": (replace_and_sign(MODEL_FILE, anothers_model), "fails its self-test"),
    "golden-garbage": (replace_and_sign(GOLDEN_FILE, b"garbage"), "golden.npz cannot be read"),
    "golden-empty": (replace_and_sign(GOLDEN_FILE, b""), "golden.npz cannot be read"),
}
# Both commands read bundles by the same code: the server is shown what each of its parts finds.
OF_EACH_PART = ("manifest-missing", "model-flipped", "model-truncated", "model-of-another")


@pytest.mark.parametrize(
    ("command", "name"),
    [*(("transcribe", name) for name in DAMAGES), *(("run", name) for name in OF_EACH_PART)],
)
def test_a_damaged_bundle_is_one_clear_line(folder, tmp_path, command, name):
    damage, message = DAMAGES[name]
    damage(folder)
    audio = tmp_path / "audio.wav"
    audio.write_bytes(wav(speak("a")))
    with process(folder, command, *([audio] if command == "transcribe" else [])) as started:
        output, log = started.communicate(timeout=PATIENCE_S)
    assert (started.returncode, output) == (1, "")
    lines = [line for line in log.splitlines() if " INFO uvicorn" not in line]
    (line,) = [line for line in lines if not line.startswith(PROGRESS)]
    assert message in line
    assert str(folder) in line or "self-test" in line
