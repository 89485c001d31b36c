"""The statistics that the benchmarks print."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from service.ctc import Word
from tests.benchmarks import options, timing
from tests.benchmarks.joining import join, onset_s
from tests.benchmarks.sounds import SLOPES_DB, noise
from tests.benchmarks.timing import estimate, interleave, ratios
from tests.benchmarks.words import auroc, faults, match


def test_a_median_has_its_interval_by_order_statistics():
    found = estimate([11, 3, 5, 7, 1, 9, 2, 4, 6, 8, 10])
    assert (found.value, found.low, found.high, found.count) == (6, 2, 10, 11)
    assert f"{found:.0f}" == "6 [2, 10]"


def test_few_values_give_their_range_and_one_gives_itself():
    assert f"{estimate([3, 1, 2]):.1f}" == "2.0 (range 1.0-3.0)"
    assert f"{estimate([3]):.1f}" == "3.0"


def test_intervals_cover_the_true_quantile_as_often_as_they_say():
    draw = random.Random(0)
    for quantile, size in ((0.5, 11), (0.95, 200), (0.99, 1000)):
        samples = [[draw.random() for _ in range(size)] for _ in range(200)]
        intervals = [estimate(sample, quantile) for sample in samples]
        covering = sum(one.low <= quantile <= one.high for one in intervals)
        assert covering / len(intervals) > 0.92


def test_ratios_are_taken_within_rounds():
    assert ratios([10, 200, 30], [5, 100, 10]).value == 2


def test_every_round_begins_with_another_alternative():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    interleave(runs, rounds=3)
    assert "".join(order) == "abcbcacab"


@pytest.mark.parametrize(("budget_s", "rounds"), [(1, 1), (40, 4), (1000, 5)])
def test_no_round_begins_that_would_pass_the_budget(monkeypatch, budget_s, rounds):
    clock = SimpleNamespace(now_s=0.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr(timing, "time", clock)
    monkeypatch.setattr(options, "BUDGET", 1.0)

    def run():
        clock.now_s += 10

    assert len(interleave({"only": run}, rounds=5, budget_s=budget_s)["only"]) == rounds


def test_auroc_is_how_often_a_right_word_is_surer():
    assert auroc([0.9, 0.8, 0.2], [True, True, False]) == 1
    assert auroc([0.1, 0.5, 0.3, 0.5], [True, True, False, False]) == pytest.approx(1.5 / 4)
    assert np.isnan(auroc([0.5], [True]))


def test_equal_words_are_matched_and_the_others_counted():
    said = ["it", "isn't", "far", "to", "go", "now"]
    found = match(said, ["it", "isnt", "too", "go", "now", "'"])
    assert found.pairs == ((0, 0), (1, 1), (4, 3), (5, 4))
    assert (found.substitutions, found.deletions, found.insertions, found.said) == (1, 1, 1, 6)
    assert found.errors == 3


def test_faulty_times_are_found():
    good = [Word("a", 0.0, 0.1, 1), Word("b", 0.1, 0.2, 1)]
    assert faults(good, 0.2) == []
    assert len(faults([*good, Word("c", 0.15, 0.15, 1)], 0.2)) == 2
    assert len(faults(good, 0.19)) == 1


def test_clips_begin_where_a_joined_recording_says():
    clip = np.r_[np.zeros(1600), np.ones(1600)].astype(np.float32)
    joined = join([clip, clip, clip], (0.5, 1.5), room_db=-60)
    heard_s = (np.flatnonzero(np.diff((joined.waveform > 0.5).astype(int)) == 1) + 1) / 16_000
    assert heard_s == pytest.approx([start_s + onset_s(clip) for start_s in joined.starts_s])
    assert onset_s(clip) == pytest.approx(0.1)
    assert len(joined.waveform) > (joined.starts_s[-1] + 0.5) * 16_000


@pytest.mark.parametrize("colour", SLOPES_DB)
def test_noise_has_its_level_and_colour(colour):
    waveform = noise(colour, 160_000, -30)
    assert 10 * np.log10(np.mean(np.square(waveform))) == pytest.approx(-30, abs=0.1)
    power = np.square(np.abs(np.fft.rfft(waveform)))
    octave_db = 10 * np.log10(power[20_000:40_000].mean() / power[10_000:20_000].mean())
    assert octave_db == pytest.approx(SLOPES_DB[colour], abs=0.5)
