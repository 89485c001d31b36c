"""The same logits after a restart, with any number of threads and beside any others, from every
shipped bundle, over random mixes."""

import random

import numpy as np
import pytest
from recordings import recordings

from service.backends import Tuning, load_model
from service.backends.streaming import first_states, load_streaming_model, row_samples
from service.bundle import load_bundle
from service.config import PACKAGED_BUNDLES
from service.ctc import greedy_decode
from service.packing import pad_waveforms

NAMES = sorted(path.name for path in PACKAGED_BUNDLES.iterdir() if path.is_dir())
SPEECH = [clip.waveform() for clip in recordings()]
THREADS = (1, 2, 3)
TOLERANCE = 1e-4  # of logits, between numbers of threads and of rows
STEP = 0.2  # likewise, where a value may fall to another step of int8
MIXES = 6
MOST_TOGETHER = 5


@pytest.mark.parametrize("name", NAMES)
def test_neither_a_restart_nor_threads_change_the_text(name):
    bundle = load_bundle(PACKAGED_BUNDLES / name)

    def logits_with(threads):
        model = load_model(bundle, device="cpu", threads=threads).model
        return [alone(model, waveform) for waveform in SPEECH[::4]]

    first = logits_with(THREADS[0])
    for again, one in zip(logits_with(THREADS[0]), first, strict=True):
        np.testing.assert_array_equal(again, one)  # as after a restart
    worst = 0.0
    for threads in THREADS[1:]:
        others = logits_with(threads)
        assert texts(bundle, others) == texts(bundle, first)
        worst = max(worst, *map(difference, others, first))
    assert worst <= TOLERANCE, f"{name}: logits differ by up to {worst:.3g}"
    print(f"\n{name}: logits with {THREADS} threads differ by at most {worst:.3g}")  # noqa: T201


@pytest.mark.parametrize("name", NAMES)
def test_what_shares_a_batch_does_not_change_the_text(name):
    """Though the service gives each a batch of its own where the manifest does not promise it."""
    bundle = load_bundle(PACKAGED_BUNDLES / name)
    loaded = load_model(bundle, device="cpu", threads=1)
    generator = random.Random(0)
    lonely = [alone(loaded.model, waveform) for waveform in SPEECH]
    worst = 0.0
    for _ in range(MIXES):
        mix = generator.choices(range(len(SPEECH)), k=generator.randint(2, MOST_TOGETHER))
        rows = loaded.model.infer(*pad_waveforms([SPEECH[number] for number in mix]))
        together = [row[:frames] for row, frames in zip(*rows, strict=True)]
        expected = [lonely[number] for number in mix]
        assert texts(bundle, together) == texts(bundle, expected)
        worst = max(worst, *map(difference, together, expected))
    assert worst <= (TOLERANCE if loaded.variant.batch_invariant else STEP)
    print(f"\n{name}: logits in batches differ by at most {worst:.3g}")  # noqa: T201


@pytest.mark.parametrize("name", NAMES)
def test_who_else_speaks_changes_nothing(name):
    """Chunks of streams that begin and pause as they like are computed together."""
    bundle = load_bundle(PACKAGED_BUNDLES / name)
    if bundle.manifest.streaming is None:
        pytest.skip("its streams are heard in windows, as files are")
    model = load_streaming_model(bundle, device="cpu", runtime="onnxruntime", tuning=Tuning())
    generator = random.Random(0)
    lonely = spoken(bundle, model, lambda speaking: speaking[:1])
    assert len(lonely) == len(SPEECH)
    worst = 0.0
    for _ in range(MIXES):
        together = spoken(
            bundle,
            model,
            lambda speaking: generator.sample(
                speaking, generator.randint(1, min(MOST_TOGETHER, len(speaking)))
            ),
        )
        assert texts(bundle, together) == texts(bundle, lonely)
        worst = max(worst, *map(difference, together, lonely))
    assert worst <= TOLERANCE
    print(f"\n{name}: logits of streams beside others differ by at most {worst:.3g}")  # noqa: T201


def alone(model, waveform):
    logits, frames = model.infer(*pad_waveforms([waveform]))
    return logits[0, : frames[0]]


def difference(one, other):
    return float(np.abs(one - other).max())


def texts(bundle, rows):
    manifest = bundle.manifest
    frame_s = manifest.samples_per_frame / manifest.sample_rate_hz
    return [
        greedy_decode(row, manifest.vocabulary, frame_s=frame_s, duration_s=30).text for row in rows
    ]


def spoken(bundle, model, choose):
    """Logits of everybody's speech, a chunk at a time.

    Args:
        choose: whose chunks are computed next, together, of those who still speak.
    """
    graph, hop = bundle.manifest.streaming, bundle.manifest.samples_per_frame
    row, chunk = row_samples(graph, hop), graph.chunk_frames * hop
    waveforms = [np.pad(speech, (graph.left_context_samples, row)) for speech in SPEECH]
    states = [first_states(graph, 1) for _ in SPEECH]
    heard = [[] for _ in SPEECH]
    chunks = [len(speech) // chunk for speech in SPEECH]
    while speaking := [one for one, done in enumerate(heard) if len(done) < chunks[one]]:
        chosen = choose(speaking)
        starts = [len(heard[one]) * chunk for one in chosen]
        pieces = [
            waveforms[one][start : start + row] for one, start in zip(chosen, starts, strict=True)
        ]
        before = {name: np.concatenate([states[one][name] for one in chosen]) for name in states[0]}
        output = model.infer(np.stack(pieces), np.full(len(chosen), row, np.int64), before)
        for place, one in enumerate(chosen):
            heard[one].append(output.logits[place])
            states[one] = {name: state[place : place + 1] for name, state in output.states.items()}
    return [np.concatenate(rows) for rows in heard]
