"""Fine-tuning on several processes, as torchrun starts them."""

import json
import os
import re
import subprocess
import sys

import pytest
import soundfile
import torch
from patience import PATIENCE_S
from safetensors.torch import load_file

from model_export import cli
from model_export.checkpoint import WEIGHTS_FILE, load_checkpoint

LETTERS = "abc"
torch.set_num_threads(1)  # as many as the processes that it is compared with


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("torchrun")


@pytest.fixture(scope="module")
def finetune(folder, whisper_base, noise_and_tones):
    """Arguments of a short run over 9 clips in 4 batches; without dropout and masks."""
    rows = []
    for number in range(9):
        soundfile.write(folder / f"{number}.wav", noise_and_tones(8000 + 800 * number), 16000)
        text = LETTERS[number % 3] + " " + LETTERS[number // 3]
        rows.append({"audio": f"{number}.wav", "text": text})
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = ["--base", str(whisper_base), "--train", str(manifest), "--dev", str(manifest)]
    options = (
        "--replace last:1 --epochs 10 --learning-rate 1e-2 --batch-seconds 2.5 --match-epochs 5"
    )
    return ["finetune", *data, *options.split(), "--no-spec-augment"]


@pytest.fixture(scope="module")
def two_processes(folder, finetune):
    """The output of a run on two processes, with a cache and matching."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    places = ["--out", folder / "two", "--cache-features", folder / "cache", "--init", "match"]
    done = subprocess.run(
        [*torchrun, "-m", "model_export.cli", *finetune, *places],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def one_process(folder, finetune, two_processes):
    """A run that accumulates as many batches as two processes take."""
    places = ["--out", str(folder / "one"), "--cache-features", str(folder / "cache")]
    assert cli.main([*finetune, *places, "--init", "match", "--accumulate", "2"]) == 0


def history(run, reading):
    newest = max(run.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    log = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    return [entry[reading] for entry in log if reading in entry]


def test_the_first_process_alone_reports_and_writes(folder, two_processes):
    assert len(re.findall(r"WER [\d.]+ %, CER [\d.]+ % on dev", two_processes)) == 1
    assert len(re.findall("parameters learn", two_processes)) == 1
    assert len(re.findall("writing a feature cache", two_processes)) == 1
    assert json.loads((folder / "two" / "run.json").read_text())["processes"] == 2
    losses = history(folder / "two", "loss")
    assert losses[-1] < losses[0] / 2
    load_checkpoint(folder / "two")


def test_two_processes_learn_what_one_learns_from_twice_the_batches(folder, one_process):
    for stage in ("matching", ""):
        one, two = folder / "one" / stage, folder / "two" / stage
        for reading in ("loss", "grad_norm", "eval_loss"):
            found, expected = history(two, reading), history(one, reading)
            assert len(expected) >= 10
            assert found == pytest.approx(expected, rel=1e-3)
        assert history(two, "step") == history(one, "step")
    assert history(folder / "two", "eval_cer") == history(folder / "one", "eval_cer")
    expected = load_file(folder / "one" / WEIGHTS_FILE)
    for name, value in load_file(folder / "two" / WEIGHTS_FILE).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-2, atol=1e-4)
