from itertools import pairwise

import numpy as np
import pytest
from recordings import joined, recordings

from service.arrays import FloatArray
from service.segmentation import Cutting, Segment, split, stitch

HOP = 320
RATE_HZ = 16_000
CUTTING = Cutting.of(28, sample_rate_hz=RATE_HZ, samples_per_frame=HOP)


def noise(seconds: float, level: float = 0.1) -> FloatArray:
    samples = np.random.default_rng(0).standard_normal(int(seconds * RATE_HZ))
    return level * samples.astype(np.float32)


def with_pauses(seconds: float, pauses_s: list[float], level: float) -> FloatArray:
    """Noise that falls to a level for half a second around each of these times."""
    waveform = noise(seconds)
    for pause_s in pauses_s:
        waveform[int((pause_s - 0.25) * RATE_HZ) : int((pause_s + 0.25) * RATE_HZ)] *= level
    return waveform


def cuts_s(segments: list[Segment]) -> list[float]:
    return [
        (left.end_sample + right.start_sample) / 2 / RATE_HZ for left, right in pairwise(segments)
    ]


def overlaps_s(segments: list[Segment]) -> list[float]:
    return [(left.end_sample - right.start_sample) / RATE_HZ for left, right in pairwise(segments)]


def test_audio_that_fits_is_one_segment() -> None:
    assert split(noise(28), CUTTING) == [Segment(0, 28 * RATE_HZ)]


def test_cuts_lie_in_pauses_and_share_less() -> None:
    segments = split(with_pauses(60, [18, 39], 0.0), CUTTING)
    assert cuts_s(segments) == pytest.approx([18, 39], abs=0.11)
    assert overlaps_s(segments) == pytest.approx([2.0, 2.0])


def test_a_pause_need_not_be_silent() -> None:
    segments = split(with_pauses(40, [20.5], 0.05), CUTTING)
    assert cuts_s(segments) == pytest.approx([20.5], abs=0.11)
    assert overlaps_s(segments) == pytest.approx([2.0])


def test_without_a_pause_the_quietest_place_is_cut_with_a_wide_overlap() -> None:
    segments = split(with_pauses(40, [18.5], 0.5), CUTTING)
    assert cuts_s(segments) == pytest.approx([18.5], abs=0.3)
    assert overlaps_s(segments) == [4.0]


def test_a_short_dip_such_as_a_stop_consonant_is_no_pause() -> None:
    waveform = noise(40)
    waveform[20 * RATE_HZ : 20 * RATE_HZ + 1600] = 0
    assert overlaps_s(split(waveform, CUTTING)) == [4.0]


def test_segments_are_of_about_equal_length() -> None:
    for seconds in (28.5, 50, 100, 600):
        segments = split(noise(seconds), CUTTING)
        lengths_s = [(one.end_sample - one.start_sample) / RATE_HZ for one in segments]
        assert min(lengths_s) > max(lengths_s) / 3


def test_real_speech_is_cut_between_words() -> None:
    waveform = joined([recording.waveform() for recording in recordings()] * 4)
    segments = split(waveform, CUTTING)
    assert len(segments) > 10
    assert overlaps_s(segments) == pytest.approx([2.0] * (len(segments) - 1))
    for cut_s in cuts_s(segments):
        around = waveform[int((cut_s - 0.1) * RATE_HZ) : int((cut_s + 0.1) * RATE_HZ)]
        assert np.square(around).mean() < np.square(waveform).mean() / 100


def test_the_overlap_is_cut_at_its_middle() -> None:
    segments = [Segment(0, 6 * HOP), Segment(2 * HOP, 8 * HOP)]
    left, right = np.zeros((6, 1), np.float32), np.ones((6, 1), np.float32)
    joined = stitch([left, right], segments, samples_per_frame=HOP)
    assert joined[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_one_segment_keeps_all_its_frames() -> None:
    logits = np.arange(6, dtype=np.float32).reshape(3, 2)
    joined = stitch([logits], [Segment(0, 1000)], samples_per_frame=HOP)
    assert np.array_equal(joined, logits)


@pytest.mark.parametrize("logits", [[], [np.zeros((3, 2), np.float32)] * 2])
def test_logits_and_segments_must_match(logits: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        stitch(logits, [Segment(0, 1000)], samples_per_frame=HOP)


def test_a_segment_is_a_view() -> None:
    waveform = np.arange(10, dtype=np.float32)
    part = Segment(2, 5).of(waveform)
    assert part.tolist() == [2, 3, 4]
    assert part.base is waveform
