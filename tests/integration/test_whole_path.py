"""From a pretrained encoder to text over HTTP, by the commands that a user types."""

import copy
import json
import os
import re
import subprocess
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from audio_files import wav
from keys import make_signing_keys
from patience import PATIENCE_S
from server_process import serving

from model_export import cli
from model_export.export import variants
from model_export.export.exporters import export_torchscript

EXPORT, SERVE = (Path(sysconfig.get_path("scripts")) / name for name in ("wsm-export", "wsm-serve"))
torch.set_num_threads(1)  # the tensors are tiny; threads would only wait for each other

POLL_S = 0.005
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
LETTER_SAMPLES = 2400
TONES_HZ = {"a": 300, "b": 900, "c": 2700, " ": 0}


def run(*arguments, **variables):
    """A command that must succeed; its output, standard error behind standard output."""
    done = subprocess.run(
        arguments,
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def run_here(command, *arguments):
    """`wsm-export` within this process: another takes seconds to start."""
    assert command == EXPORT
    assert cli.main(list(map(str, arguments))) == 0


def kill_once(arguments, folder, pattern):
    """Start a command, and kill it as soon as a file of that pattern is in the folder."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(arguments, env=ENVIRONMENT, stdout=quiet, stderr=quiet) as started:
        try:
            deadline_s = time.monotonic() + PATIENCE_S
            while not any(folder.glob(pattern)):
                assert time.monotonic() < deadline_s
                assert started.poll() is None, "it ended too early"
                time.sleep(POLL_S)
        finally:
            started.kill()
    assert started.returncode < 0, "it ended too early"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("path")


@pytest.fixture(scope="module")
def manifest(folder):
    """Twelve clips of about a second in which each letter is a tone in noise."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(12):
        letters = "".join(generator.choice(list("abc"), 5 + number % 3))
        rows.append({"audio": f"{number}.wav", "text": f"{letters[:3]} {letters[3:]}"})
        seconds = np.arange(LETTER_SAMPLES) / 16000
        tones = [0.3 * np.sin(2 * np.pi * TONES_HZ[x] * seconds) for x in rows[-1]["text"]]
        waveform = np.concatenate(tones)
        waveform += 0.01 * generator.standard_normal(len(waveform))
        (folder / rows[-1]["audio"]).write_bytes(wav(waveform.astype(np.float32)))
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def finetune(folder, manifest, wav2vec2_base):
    """The command; steps enough to be killed in the middle, and to learn a little."""
    options = "--epochs 150 --learning-rate 1e-2 --batch-seconds 6 --language en --replace all"
    widened = "--also-train feed-forward --also-train final-norm"
    data = ["--train", str(manifest), "--dev", str(manifest)]
    places = ["--out", str(folder / "run"), "--cache-features", str(folder / "cache")]
    base = ["--base", str(wav2vec2_base)]
    return [EXPORT, "finetune", *base, *data, *places, *options.split(), *widened.split()]


@pytest.fixture(scope="module")
def log(folder, finetune):
    """Of a run that was killed twice: while it wrote its cache, and between two checkpoints."""
    kill_once(finetune, folder / "cache", "*.bf16")
    kill_once(finetune, folder / "run", "checkpoint-*/sealed.json")
    return run(*finetune)


@pytest.fixture(scope="module")
def checkpoint(folder, log):
    return folder / "run"


@pytest.fixture(scope="module")
def exported(folder, checkpoint):
    private, _ = make_signing_keys(folder / "keys")
    signed = ("--sign", private, "--clip", folder / "0.wav")
    run(EXPORT, "export", checkpoint, "--out", folder / "bundle", *signed)
    return folder / "bundle"


@pytest.fixture(scope="module")
def hypotheses(folder, manifest, checkpoint):
    return hypotheses_of(checkpoint, manifest, folder / "checkpoint.jsonl", by=run)


def hypotheses_of(model, manifest, path, by=run_here):
    by(EXPORT, "evaluate", model, manifest, "--hypotheses", path)
    rows = map(json.loads, path.read_text().splitlines())
    return {Path(row["audio"]).name: row["hypothesis"] for row in rows}


def test_a_killed_run_goes_on_from_its_checkpoint(log, checkpoint):
    steps = [(int(done), int(total)) for done, total in re.findall(r" step (\d+)/(\d+), ", log)]
    saved = int(re.search(r"going on from .*checkpoint-(\d+)", log)[1])
    first, total = steps[0]
    assert 0 < saved < first <= total
    assert steps[-1] == (total, total)
    assert re.search(r"WER [\d.]+ %, CER [\d.]+ % on dev", log)


def test_the_bundle_says_what_the_checkpoint_says(folder, manifest, exported, hypotheses):
    assert len(hypotheses) == 12
    assert len(set(hypotheses.values())) > 2
    assert hypotheses_of(exported, manifest, folder / "bundle.jsonl") == hypotheses


def test_inspect_tells_what_the_bundle_is(exported, capsys):
    assert cli.main(["inspect", str(exported)]) == 0
    printed = capsys.readouterr().out
    assert "every digest holds" in printed
    assert "3 wsm (w = 8)" in printed
    assert re.search(r"model\.onnx: onnxruntime, float32.*\n.*model\.ts: torchscript", printed)


def test_int8_says_almost_what_the_checkpoint_says(
    folder, manifest, checkpoint, hypotheses, capsys
):
    out = folder / "int8"
    command = [EXPORT, "export", checkpoint, "--out", out, "--precision", "int8"]
    run_here(*command, "--ranges", manifest)
    printed = capsys.readouterr().out
    assert re.search(r"model\.int8\.onnx\.gz: .* of \d+ labels differ", printed)
    found = hypotheses_of(out, manifest, folder / "int8.jsonl")
    assert sum(found[name] == text for name, text in hypotheses.items()) >= 10
    served = run(SERVE, "transcribe", "--bundle", out, folder / "0.wav", STT_PRECISION="int8")
    assert found["0.wav"] in served


def test_int8_needs_speech_for_its_ranges(checkpoint, tmp_path, capsys):
    command = ["export", str(checkpoint), "--out", str(tmp_path / "out"), "--precision", "int8"]
    assert cli.main(command) == 2
    assert "--ranges" in the_line(capsys.readouterr().err)
    assert cli.main([*command, "--runtime", "torchscript"]) == 2
    assert "no variant is int8 for torchscript" in the_line(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("runtime", ["onnxruntime", "torchscript"])
def test_each_runtime_says_what_the_checkpoint_says(folder, exported, hypotheses, runtime):
    files = [folder / name for name in hypotheses]
    printed = run(SERVE, "transcribe", "--bundle", exported, *files, STT_RUNTIME=runtime)
    lines = [f"{folder / name}: {text}" for name, text in hypotheses.items()]
    assert printed.splitlines()[: len(lines)] == lines


def test_a_server_that_wants_it_signed_says_what_the_checkpoint_says(folder, exported, hypotheses):
    owner = str(folder / "keys" / "public.pem")
    with serving(exported, STT_BUNDLE_PUBLIC_KEY=owner) as client:
        for name, text in hypotheses.items():
            answer = client.post("/transcribe", files={"file": (folder / name).read_bytes()})
            assert answer.json()["text"] == text


@pytest.mark.parametrize(
    ("change", "message"), [(3e-4, "off eager logits; the limit is 0.000"), (1e-2, "self-test")]
)
def test_a_bundle_that_leaves_its_tolerance_is_not_written(
    checkpoint, tmp_path, monkeypatch, capsys, change, message
):
    def export_wrongly(model, path):
        damaged = copy.deepcopy(model)
        with torch.no_grad():
            damaged.head.weight[1, 1] += change
        export_torchscript(damaged, path)

    monkeypatch.setattr(variants, "export_torchscript", export_wrongly)
    out = tmp_path / "bundle"
    assert cli.main(["export", str(checkpoint), "--out", str(out), "--runtime", "torchscript"]) == 2
    assert message in the_line(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_errors_are_one_line(finetune, manifest, tmp_path, wav2vec2_base, capsys):
    def error_of(command, **changes):
        options = {"out": tmp_path / "out", "train": manifest, "dev": manifest} | changes
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        assert cli.main([*command, *flags]) == 2
        return the_line(capsys.readouterr().err)

    command = ["finetune"]
    base = {"base": wav2vec2_base}
    assert "nowhere.jsonl" in error_of(command, **base, train="nowhere.jsonl")
    assert "has no config.json" in error_of(command, base=tmp_path)
    assert "none of last:N" in error_of(command, **base, replace="top")
    assert "layers 0 to 2" in error_of(command, **base, replace="last:9")
    assert "layers 0 to 2" in error_of(command, **base, replace="3")
    assert "found: none" in error_of(command, **base, train=f"{manifest}#nosplit")
    assert not (tmp_path / "out").exists()


def test_a_base_that_cannot_be_fetched_is_one_line(manifest, tmp_path):
    command = [EXPORT, "finetune", "--base", "nobody/nothing", "--out", tmp_path / "out"]
    command += ["--train", manifest, "--dev", manifest]
    offline = ENVIRONMENT | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, env=offline, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert "nobody/nothing" in the_line(done.stderr)


def test_other_folders_are_left_alone(exported, checkpoint, manifest, tmp_path, capsys):
    assert cli.main(["export", str(checkpoint), "--out", str(exported)]) == 2
    assert "exists" in the_line(capsys.readouterr().err)
    assert cli.main(["export", str(tmp_path), "--out", str(tmp_path / "bundle")]) == 2
    assert "is not a checkpoint" in the_line(capsys.readouterr().err)
    assert cli.main(["inspect", str(tmp_path)]) == 2
    assert "is not a bundle" in the_line(capsys.readouterr().err)
    assert cli.main(["evaluate", str(tmp_path), str(manifest)]) == 2
    assert "is not a bundle" in the_line(capsys.readouterr().err)


def the_line(printed):
    (line,) = printed.splitlines()
    assert line.startswith("wsm-export: ")
    return line
