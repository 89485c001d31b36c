from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.segmentation import Segment, split, stitch


@dataclass(frozen=True)
class Case:
    samples: int
    longest_samples: int
    overlap_samples: int
    samples_per_frame: int
    receptive_field_samples: int

    def split(self) -> list[Segment]:
        return split(
            self.samples,
            longest_samples=self.longest_samples,
            overlap_samples=self.overlap_samples,
            samples_per_frame=self.samples_per_frame,
        )

    def frames(self, samples: int) -> int:
        """What a convolutional front end gives."""
        return max(0, (samples - self.receptive_field_samples) // self.samples_per_frame + 1)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    hop = draw(st.integers(1, 12))
    overlap_frames = 2 * draw(st.integers(1, 6))
    longest_frames = 2 * overlap_frames + draw(st.integers(0, 30))
    return Case(
        samples=draw(st.integers(1, 4000)),
        longest_samples=longest_frames * hop + draw(st.integers(0, hop - 1)),
        overlap_samples=overlap_frames * hop + draw(st.integers(0, hop - 1)),
        samples_per_frame=hop,
        receptive_field_samples=draw(st.integers(1, overlap_frames // 2 * hop)),
    )


@settings(deadline=None, max_examples=200)
@given(cases())
def test_segments_cover_all_samples_and_none_is_too_long(case: Case) -> None:
    segments = case.split()
    assert segments[0].start_sample == 0
    assert segments[-1].end_sample == case.samples
    for segment in segments:
        assert 0 < segment.end_sample - segment.start_sample <= case.longest_samples
        assert segment.start_sample % case.samples_per_frame == 0
    for left, right in pairwise(segments):
        overlap_samples = left.end_sample - right.start_sample
        assert overlap_samples > case.overlap_samples - 2 * case.samples_per_frame


@settings(deadline=None, max_examples=200)
@given(cases())
def test_segments_are_equal_up_to_rounding(case: Case) -> None:
    sizes = [segment.end_sample - segment.start_sample for segment in case.split()]
    assert max(sizes) - min(sizes) <= 2 * case.samples_per_frame


@settings(deadline=None, max_examples=200)
@given(cases())
def test_no_frame_is_lost_doubled_or_moved(case: Case) -> None:
    segments = case.split()
    logits = []
    for segment in segments:
        first = segment.start_sample // case.samples_per_frame
        frames = case.frames(segment.end_sample - segment.start_sample)
        logits.append(np.arange(first, first + frames, dtype=np.float32)[:, np.newaxis])
    joined = stitch(logits, segments, samples_per_frame=case.samples_per_frame)
    assert joined[:, 0].tolist() == list(range(case.frames(case.samples)))
