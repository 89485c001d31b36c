import numpy as np
import pytest

from service.segmentation import Segment, split, stitch

HOP = 320


def test_audio_that_fits_is_one_segment() -> None:
    for longest in (16_000, None):
        segments = split(
            16_000, longest_samples=longest, overlap_samples=6400, samples_per_frame=HOP
        )
        assert segments == [Segment(0, 16_000)]


def test_longer_audio_is_cut_into_equal_overlapping_parts() -> None:
    segments = split(
        50 * HOP, longest_samples=30 * HOP, overlap_samples=10 * HOP, samples_per_frame=HOP
    )
    assert segments == [Segment(0, 30 * HOP), Segment(20 * HOP, 50 * HOP)]


def test_the_overlap_is_cut_at_its_middle() -> None:
    segments = [Segment(0, 6 * HOP), Segment(2 * HOP, 8 * HOP)]
    left, right = np.zeros((6, 1), np.float32), np.ones((6, 1), np.float32)
    joined = stitch([left, right], segments, samples_per_frame=HOP)
    assert joined[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_one_segment_keeps_all_its_frames() -> None:
    logits = np.arange(6, dtype=np.float32).reshape(3, 2)
    joined = stitch([logits], [Segment(0, 1000)], samples_per_frame=HOP)
    assert np.array_equal(joined, logits)


def test_an_overlap_longer_than_half_a_segment_is_shortened() -> None:
    segments = split(
        100 * HOP, longest_samples=10 * HOP, overlap_samples=50 * HOP, samples_per_frame=HOP
    )
    assert max(one.end_sample - one.start_sample for one in segments) <= 10 * HOP
    assert segments[0].end_sample - segments[1].start_sample == 4 * HOP


@pytest.mark.parametrize("logits", [[], [np.zeros((3, 2), np.float32)] * 2])
def test_logits_and_segments_must_match(logits: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        stitch(logits, [Segment(0, 1000)], samples_per_frame=HOP)


def test_a_segment_is_a_view() -> None:
    waveform = np.arange(10, dtype=np.float32)
    part = Segment(2, 5).of(waveform)
    assert part.tolist() == [2, 3, 4]
    assert part.base is waveform
