"""The images that compose does not start here: for GPUs, and for fine-tuning and export.

IMAGES="gpu export" builds them, from gigabytes; TORCH_INDEX, if set, is where torch is found.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from audio_files import wav
from recordings import recordings

pytestmark = pytest.mark.containers
ROOT = Path(__file__).parents[2]
BUILD_S, RUN_S = 1800, 600
LOCKS = {"gpu": "gpu-cuda12.txt", "export": "export.txt"}
NOT_LOCKED = {"wsm-stt", "torch"}
SOMEBODY = "4321"  # whom the image does not know
FINETUNE = "--language en --replace last:1 --epochs 2 --batch-seconds 6"


def docker(*command, timeout_s=RUN_S):
    return subprocess.run(
        ["docker", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def printed(*command, timeout_s=RUN_S):
    done = docker(*command, timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def image():
    """Builds the image of that name, once."""
    built = set()

    def build(name):
        if name not in os.environ.get("IMAGES", "").split():
            pytest.skip(f'it is built where IMAGES="{name}" asks for it')
        tag = f"wsm-stt:{name}"
        if name not in built:
            index = os.environ.get("TORCH_INDEX")
            given = ["--build-arg", f"TORCH_INDEX={index}"] if index and name == "export" else []
            dockerfile = ROOT / "docker" / f"{name}.Dockerfile"
            build_it = ("build", "--network=host", "--tag", tag, "--file", dockerfile)
            printed(*build_it, *given, ROOT, timeout_s=BUILD_S)
            built.add(name)
        return tag

    return build


@pytest.mark.parametrize("name", LOCKS)
def test_it_holds_what_is_locked(image, name):
    cat = ("run", "--rm", "--entrypoint", "cat", image(name), "/opt/wsm/sbom.cdx.json")
    components = json.loads(printed(*cat))["components"]
    found = {plain(one["name"]): one["version"] for one in components}
    lock = (ROOT / "docker" / "requirements" / LOCKS[name]).read_text()
    locked = re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE)
    others = {one for one in found.items() if one[0] not in NOT_LOCKED}
    assert len(others) > 25
    assert others <= {(plain(package), version) for package, version in locked}


def plain(package):
    """A distribution's name, however it is spelled."""
    return re.sub(r"[-_.]+", "-", package).lower()


def test_without_a_gpu_it_ends_and_says_why(image):
    done = docker("run", "--rm", "--env", "STT_ALLOW_WITHOUT_KEYS=true", image("gpu"))
    assert done.returncode == 1
    assert "CUDAExecutionProvider is offered but does not start; choose the device cpu" in (
        done.stderr
    )


@pytest.mark.parametrize("suffix", ["opus", "flac"])
def test_what_it_needs_to_hear_is_in_it(image, suffix):
    """On the CPU that it is told to use."""
    clip = next(one.path for one in recordings() if one.path.suffix == f".{suffix}")
    alone = ("run", "--rm", "--read-only", "--tmpfs", "/tmp", "--network", "none")
    given = ("--env", "STT_DEVICE=cpu", "--volume", f"{clip}:/clip:ro")
    assert len(printed(*alone, *given, image("gpu"), "transcribe", "/clip").split()) > 2


def test_anybody_may_fine_tune_and_export(image, wav2vec2_base, tmp_path):
    tmp_path.chmod(0o777)
    for path in wav2vec2_base.iterdir():
        path.chmod(0o644)
    generator = np.random.default_rng(0)
    (tmp_path / "a.wav").write_bytes(wav(generator.standard_normal(16_000).astype(np.float32) / 9))
    (tmp_path / "data.jsonl").write_text('{"audio": "a.wav", "text": "abc"}\n' * 2)

    def export(*command):
        mounted = ("--volume", f"{tmp_path}:/work", "--volume", f"{wav2vec2_base}:/base:ro")
        alone = ("run", "--rm", "--network", "none", "--user", SOMEBODY)
        return printed(*alone, *mounted, image("export"), *command)

    data = ("--train", "data.jsonl", "--dev", "data.jsonl")
    export("finetune", "--base", "/base", *data, "--out", "run", *FINETUNE.split())
    export("export", "run", "--out", "bundle")
    assert "every digest holds" in export("inspect", "bundle")
    assert (tmp_path / "bundle" / "bundle.json").stat().st_uid == int(SOMEBODY)
