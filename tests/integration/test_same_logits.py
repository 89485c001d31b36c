"""The same text after a restart, and with any number of threads, on every shipped bundle."""

import numpy as np
import pytest
from recordings import recordings

from service.backends import load_model
from service.bundle import load_bundle
from service.config import PACKAGED_BUNDLES
from service.ctc import greedy_decode
from service.packing import pad_waveforms

NAMES = ("english", "english-live")
SPEECH = [clip.waveform() for clip in recordings()[::4]]
THREADS = (1, 2, 3)
TOLERANCE = 1e-4  # of logits, between numbers of threads


@pytest.mark.parametrize("name", NAMES)
def test_neither_a_restart_nor_threads_change_the_text(name):
    bundle = load_bundle(PACKAGED_BUNDLES / name)

    def logits_with(threads):
        model = load_model(bundle, device="cpu", threads=threads).model
        rows = []
        for waveform in SPEECH:
            logits, frames = model.infer(*pad_waveforms([waveform]))
            rows.append(logits[0, : frames[0]])
        return rows

    def texts(rows):
        frame_s = bundle.manifest.samples_per_frame / bundle.manifest.sample_rate_hz
        return [
            greedy_decode(row, bundle.manifest.vocabulary, frame_s=frame_s, duration_s=30).text
            for row in rows
        ]

    first = logits_with(THREADS[0])
    for again, one in zip(logits_with(THREADS[0]), first, strict=True):
        np.testing.assert_array_equal(again, one)  # as after a restart
    worst = 0.0
    for threads in THREADS[1:]:
        others = logits_with(threads)
        assert texts(others) == texts(first)
        differences = [np.abs(other - one).max() for other, one in zip(others, first, strict=True)]
        worst = max(worst, *map(float, differences))
    assert worst <= TOLERANCE, f"{name}: logits differ by up to {worst:.3g}"
    print(f"\n{name}: logits with {THREADS} threads differ by at most {worst:.3g}")  # noqa: T201
