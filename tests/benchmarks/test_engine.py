"""The shipped bundle's engine: batches packed by length against one utterance at a time."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from service.audio import SAMPLE_RATE_HZ, decode_audio
from service.backends import load_model
from service.backends.parallelism import usable_cores
from service.bundle import load_bundle
from service.config import PACKAGED_BUNDLE, Settings
from service.packing import BatchBudget, Line, Pending, choose_batch, pad_waveforms
from tests.benchmarks.timing import time_pairs

SPEECH = Path(__file__).parents[1] / "assets" / "speech"
UTTERANCES = 56


@pytest.mark.bench
@pytest.mark.parametrize("threads", [1, 2])
def test_batches_against_single_utterances(threads):
    model = load_model(load_bundle(PACKAGED_BUNDLE), device="cpu", threads=threads).model
    waveforms = _waveforms()
    audio_s = sum(map(len, waveforms)) / SAMPLE_RATE_HZ

    def run(groups):
        for group in groups:
            model.infer(*pad_waveforms(group))

    singles, batches = [[waveform] for waveform in waveforms], _packed(waveforms)
    pairs = time_pairs(lambda: run(batches), lambda: run(singles), pairs=11)
    print(
        f"\n{threads} thread(s), {len(waveforms)} clips, {audio_s:.0f} s of audio in "
        f"{len(batches)} batches: {pairs}; {audio_s / np.median(pairs.first_s):.0f}x real time "
        f"batched, {audio_s / np.median(pairs.second_s):.0f}x one by one"
    )
    assert pairs.ratio > 0.5


@pytest.mark.bench
@pytest.mark.parametrize("competing", [False, True])
def test_inferences_at_once_against_threads_of_one(competing):
    """What `service.backends.parallelism` builds on; a busy Python thread stands for decoding."""
    bundle, cores = load_bundle(PACKAGED_BUNDLE), usable_cores()
    single = load_model(bundle, device="cpu", threads=1).model
    threaded = load_model(bundle, device="cpu", threads=cores).model
    waveforms = _waveforms()
    batches = [pad_waveforms(group) for group in _packed(waveforms)]
    audio_s = sum(map(len, waveforms)) / SAMPLE_RATE_HZ

    def run(model, at_once):
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(lambda batch: model.infer(*batch), batches))

    with _busy_thread() if competing else nullcontext():
        pairs = time_pairs(lambda: run(single, cores), lambda: run(threaded, 1), pairs=11)
        alone = time_pairs(
            lambda: single.infer(*batches[0]), lambda: threaded.infer(*batches[0]), pairs=11
        )
    print(
        f"\n{cores} at once x 1 thread against 1 x {cores} threads"
        f"{', beside a busy thread' if competing else ''}: {pairs}; "
        f"{audio_s / np.median(pairs.first_s):.0f}x and "
        f"{audio_s / np.median(pairs.second_s):.0f}x real time; one batch alone: {alone}"
    )
    assert pairs.ratio > 0.5


@contextmanager
def _busy_thread():
    stop = threading.Event()

    def work():
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _waveforms():
    rows = (SPEECH / "manifest.jsonl").read_text().splitlines()
    clips = [decode_audio(SPEECH / json.loads(row)["audio"]) for row in rows]
    waveforms = clips * (UTTERANCES // len(clips))
    random.Random(0).shuffle(waveforms)
    return waveforms


def _packed(waveforms):
    defaults = Settings()
    budget = BatchBudget(
        max_batch_samples=int(defaults.max_batch_s * SAMPLE_RATE_HZ),
        max_batch_size=defaults.max_batch_size,
    )
    batches, line = [], Line()
    for key, one in enumerate(waveforms):
        line.add(Pending(key, len(one), arrived_s=key))
    while len(line):
        batch = choose_batch(line, budget)
        batches.append([waveforms[one.key] for one in batch])
        for one in batch:
            line.remove(one)
    return batches
