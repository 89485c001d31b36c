"""Long audio as overlapping segments, and their logits as one array; pure functions.

Segments start on frame boundaries, so a segment's frames are frames of the whole audio. Where two
segments overlap, both see too little context near their ends: each gives the half of the overlap
that lies further inside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from service.arrays import FloatArray

OVERLAP_S = 4.0


@dataclass(frozen=True)
class Segment:
    """A range of samples: from `start_sample` up to, and without, `end_sample`."""

    start_sample: int
    end_sample: int

    def of(self, waveform: FloatArray) -> FloatArray:
        """View of this range of a waveform `[samples]`."""
        return waveform[self.start_sample : self.end_sample]


def split(
    samples: int, *, longest_samples: int | None, overlap_samples: int, samples_per_frame: int
) -> list[Segment]:
    """Cut audio into the fewest segments, equal in length up to rounding to frames.

    Args:
        samples: length of the audio.
        longest_samples: of one segment, at least two frames; None means no limit.
        overlap_samples: shared by neighbours, rounded down to an even number of frames and to half
            a segment; at least twice what one frame's front end sees.
        samples_per_frame: hop of the logits.

    Returns:
        Segments in order, together covering all samples; one segment if the audio fits.
    """
    if longest_samples is None or samples <= longest_samples:
        return [Segment(0, samples)]
    frames = -(-samples // samples_per_frame)
    longest_frames = longest_samples // samples_per_frame
    overlap_frames = min(overlap_samples // samples_per_frame, longest_frames // 2) // 2 * 2
    count = -(-(frames - overlap_frames) // (longest_frames - overlap_frames))
    starts = [number * (frames - overlap_frames) // count for number in range(count + 1)]
    return [
        Segment(
            start * samples_per_frame,
            min((next_start + overlap_frames) * samples_per_frame, samples),
        )
        for start, next_start in pairwise(starts)
    ]


def stitch(
    logits: Sequence[FloatArray], segments: Sequence[Segment], *, samples_per_frame: int
) -> FloatArray:
    """Join the logits of segments, each overlap cut at its middle.

    Args:
        logits: of each segment, `[frames, vocab]`.
        segments: as `split` returned them.
        samples_per_frame: hop of the logits.

    Returns:
        `[frames, vocab]`, as many frames as one pass over the whole audio gives.
    """
    cuts = [
        (left.end_sample + right.start_sample) // 2 // samples_per_frame
        for left, right in pairwise(segments)
    ]
    starts = [segment.start_sample // samples_per_frame for segment in segments]
    pieces = [
        rows[first - start : None if last is None else last - start]
        for rows, start, first, last in zip(logits, starts, [0, *cuts], [*cuts, None], strict=True)
    ]
    return np.concatenate(pieces)
