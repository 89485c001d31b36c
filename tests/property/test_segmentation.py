from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.arrays import FloatArray
from service.segmentation import Cutting, split, stitch


@dataclass(frozen=True)
class Case:
    cutting: Cutting
    waveform: FloatArray
    receptive_field_samples: int

    def frames(self, samples: int) -> int:
        """What a convolutional front end gives."""
        hop = self.cutting.samples_per_frame
        return max(0, (samples - self.receptive_field_samples) // hop + 1)


@st.composite
def cuttings(draw: st.DrawFn) -> Cutting:
    longest = draw(st.integers(8, 60))
    overlap = 2 * draw(st.integers(1, longest // 4))
    return Cutting(
        samples_per_frame=draw(st.integers(1, 12)),
        longest=longest,
        search=draw(st.integers(0, (longest - overlap) // 2)),
        pause=2 * draw(st.integers(0, 4)),
        pause_overlap=2 * draw(st.integers(1, overlap // 2)),
        overlap=overlap,
    )


@st.composite
def waveforms(draw: st.DrawFn) -> FloatArray:
    """Loud and silent stretches, tones and noise, in any order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.lists(st.sampled_from([0.0, 1e-4, 0.1, 1.0, 100.0]), min_size=1, max_size=20))
    parts = [level * rng.standard_normal(draw(st.integers(1, 400))) for level in levels]
    return np.concatenate(parts).astype(np.float32)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    cutting = draw(cuttings())
    reach = cutting.pause_overlap // 2 * cutting.samples_per_frame
    return Case(cutting, draw(waveforms()), draw(st.integers(1, reach)))


@settings(deadline=None, max_examples=300)
@given(cases())
def test_segments_cover_all_samples_and_none_is_too_long(case: Case) -> None:
    hop = case.cutting.samples_per_frame
    segments = split(case.waveform, case.cutting)
    assert segments[0].start_sample == 0
    assert segments[-1].end_sample == case.waveform.size
    for segment in segments:
        assert 0 < segment.end_sample - segment.start_sample <= case.cutting.longest * hop
        assert segment.start_sample % hop == 0
    for left, right in pairwise(segments):
        assert left.start_sample < right.start_sample
        overlap = (left.end_sample - right.start_sample) // hop
        assert overlap in (case.cutting.pause_overlap, case.cutting.overlap)


@settings(deadline=None, max_examples=300)
@given(cases())
def test_no_frame_is_lost_doubled_or_moved(case: Case) -> None:
    hop = case.cutting.samples_per_frame
    segments = split(case.waveform, case.cutting)
    logits = []
    for segment in segments:
        first = segment.start_sample // hop
        frames = case.frames(segment.end_sample - segment.start_sample)
        logits.append(np.arange(first, first + frames, dtype=np.float32)[:, np.newaxis])
    joined = stitch(logits, segments, samples_per_frame=hop)
    assert joined[:, 0].tolist() == list(range(case.frames(case.waveform.size)))


@settings(deadline=None, max_examples=100)
@given(st.floats(0.2, 4000), st.sampled_from([8_000, 16_000]), st.sampled_from([160, 320, 640]))
def test_the_usual_way_keeps_its_own_rules(longest_s: float, rate_hz: int, hop: int) -> None:
    cutting = Cutting.of(longest_s, sample_rate_hz=rate_hz, samples_per_frame=hop)
    assert cutting.longest * hop <= longest_s * rate_hz
    assert 0 <= cutting.search <= (cutting.longest - cutting.overlap) // 2
    assert cutting.overlap <= cutting.longest // 2
    assert cutting.pause_overlap <= cutting.overlap
    for even in (cutting.pause, cutting.pause_overlap, cutting.overlap):
        assert even % 2 == 0
