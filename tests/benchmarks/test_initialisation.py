"""New mixers begun at random, or made to imitate the attention they replace: errors after training.

Both sides learn from the same audio for the same number of epochs: what matching takes is taken
from CTC training. The errors are those of the development clips that also choose the best epoch, so
they compare the two sides; they say nothing about other speech.
"""

import json
import random
import re
import statistics
import subprocess
import sys

import pytest

from model_export.data import read_corpus
from model_export.training.training_data import duration_s
from service.bundle import TextNormalisation
from tests.benchmarks import options
from tests.benchmarks.tables import print_table
from tests.benchmarks.timing import seconds_of

NEEDED = ("BENCH_BASE", "BENCH_TRAIN", "BENCH_DEV")
REPLACED = "last:2"
WINDOW_FRAMES = 8
BEST = re.compile(r"WER ([\d.]+) %, CER ([\d.]+) % on dev")


@pytest.fixture(scope="session")
def corpora(tmp_path_factory):
    """Manifests of the training and the development clips, cut to their minutes."""
    if missing := [name for name in NEEDED if getattr(options, name.removeprefix("BENCH_")) == ""]:
        pytest.skip(f"{', '.join(missing)} not set: see tests/benchmarks/options.py")
    folder = tmp_path_factory.mktemp("corpora")
    train = take(options.TRAIN, 60 * options.TRAIN_MINUTES, folder / "train.jsonl")
    return train, take(options.DEV, 60 * options.DEV_MINUTES, folder / "dev.jsonl")


def take(reference, seconds, path):
    """Write a manifest of so many seconds of clips, drawn alike each time."""
    clips = list(read_corpus(reference, TextNormalisation()).clips)
    random.Random(0).shuffle(clips)
    rows, left_s = [], seconds
    while clips and left_s > 0:
        clip = clips.pop()
        rows.append(
            {"audio": str(clip.audio.resolve()), "text": clip.text, "seconds": duration_s(clip)}
        )
        left_s -= rows[-1]["seconds"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.bench
def test_random_against_matched_mixers(corpora, tmp_path):
    finetune(corpora, tmp_path / "warm-up", 0, epochs=0.01)  # fills the cache
    rows = []
    for epochs in options.EPOCHS:
        measured = {"random": [], "match": []}
        for seed in options.SEEDS:
            for start, runs in measured.items():
                out = tmp_path / f"{start}-{epochs:g}-{seed}"
                matching = options.MATCH_EPOCHS if start == "match" else 0
                runs.append(finetune(corpora, out, seed, epochs=epochs, matching=matching))
        rows += [row(epochs, start, runs) for start, runs in measured.items()]
        rows.append(difference(epochs, measured["random"], measured["match"]))
    print_table(
        f"--init match against random: {options.BASE}, WSM in {REPLACED}, window {WINDOW_FRAMES}, "
        f"{options.TRAIN_MINUTES:g} min of {options.TRAIN}",
        ["epochs", "mixers begin", "CER %", "WER %", "seconds", "seeds"],
        rows,
        f"Mean ± standard deviation over seeds, on {options.DEV_MINUTES:g} min of {options.DEV}, "
        "which chose the best epoch. Of the epochs of `match`, the first "
        f"{options.MATCH_EPOCHS:g} imitate attention. Frozen part cached.",
    )


def finetune(corpora, out, seed, *, epochs, matching=0):
    """WER and CER in percent, and the seconds of the whole command."""
    train, dev = corpora
    command = [sys.executable, "-m", "model_export.cli", "finetune", "--base", options.BASE]
    command += ["--train", str(train), "--dev", str(dev), "--out", str(out), "--seed", str(seed)]
    command += ["--replace", REPLACED, "--mixer", "wsm", "--window", str(WINDOW_FRAMES)]
    command += ["--epochs", str(epochs - matching), "--cache-features", str(options.CACHE / "init")]
    if matching:
        command += ["--init", "match", "--match-epochs", str(matching)]
    done = []
    taken_s = seconds_of(lambda: done.append(run(command)))
    wer, cer = BEST.findall(done[0])[-1]
    return {"WER": float(wer), "CER": float(cer), "seconds": taken_s}


def run(command):
    """What a command prints; what it complains of is shown if it fails."""
    done = subprocess.run(command, cwd=options.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def row(epochs, start, runs):
    cells = (f"{spread([one[name] for one in runs])}" for name in ("CER", "WER"))
    taken_s = statistics.mean(one["seconds"] for one in runs)
    return [f"{epochs:g}", start, *cells, f"{taken_s:.0f}", str(len(runs))]


def difference(epochs, first, second):
    """Of runs that share their seed, and so their order of clips."""
    cells = [
        spread([b[name] - a[name] for a, b in zip(first, second, strict=True)], "+")
        for name in ("CER", "WER")
    ]
    return [f"{epochs:g}", "match - random", *cells, "", str(len(first))]


def spread(values, sign=""):
    """Mean and standard deviation, and the values themselves."""
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    each = ", ".join(f"{value:{sign}.1f}" for value in values)
    return f"{statistics.mean(values):{sign}.1f}{deviation} ({each})"
