"""Long audio as segments cut at pauses, and their logits as one array; pure functions.

Segments start on frame boundaries, so a segment's frames are frames of the whole audio. Each cut
lies at the quietest place of a range. Both sides overlap, less in a pause than where nobody pauses,
and each gives the half of the overlap that lies further inside it, since a model sees too little
context near an end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray

SEARCH_S = 8.0
PAUSE_S = 0.3  # as long as a stop consonant lasts at most, so that its closure is no pause
PAUSE_DEPTH_DB = 20.0  # below the mean power of the range
PAUSE_OVERLAP_S = 2.0  # the shipped model lost half a word more per cut with 0.4 s, 0.1 with 2 s
OVERLAP_S = 4.0


@dataclass(frozen=True)
class Segment:
    """A range of samples: from `start_sample` up to, and without, `end_sample`."""

    start_sample: int
    end_sample: int

    def of(self, waveform: FloatArray) -> FloatArray:
        """View of this range of a waveform `[samples]`."""
        return waveform[self.start_sample : self.end_sample]


@dataclass(frozen=True)
class Cutting:
    """How to cut; everything but the hop is counted in frames.

    Attributes:
        samples_per_frame: hop of the logits.
        longest: of one segment, at least 8.
        search: range in which a cut is chosen, at most half of what `overlap` leaves of `longest`.
        pause: how long it must be quiet around a cut for a pause; even.
        pause_overlap: shared by neighbours that are cut in a pause; even, at most `overlap`, and at
            least twice what one frame's front end sees.
        overlap: shared by other neighbours; even, at most half of `longest`.
    """

    samples_per_frame: int
    longest: int
    search: int
    pause: int
    pause_overlap: int
    overlap: int

    @classmethod
    def of(cls, longest_s: float, *, sample_rate_hz: int, samples_per_frame: int) -> "Cutting":
        """The usual way, with segments of at most `longest_s`."""
        frames_per_s = sample_rate_hz / samples_per_frame
        longest = int(longest_s * frames_per_s)
        overlap = min(_even(OVERLAP_S * frames_per_s), _even(longest / 2))
        return cls(
            samples_per_frame=samples_per_frame,
            longest=longest,
            search=min(int(SEARCH_S * frames_per_s), (longest - overlap) // 2),
            pause=_even(PAUSE_S * frames_per_s),
            pause_overlap=min(_even(PAUSE_OVERLAP_S * frames_per_s), overlap),
            overlap=overlap,
        )


def split(waveform: FloatArray, cutting: Cutting) -> list[Segment]:
    """Cut audio into segments of about equal length.

    Args:
        waveform: `[samples]`.
        cutting: how.

    Returns:
        Segments in order, together covering all samples; one segment if the audio fits.
    """
    hop, frames = cutting.samples_per_frame, -(-waveform.size // cutting.samples_per_frame)
    segments, first = [], 0
    while waveform.size - first * hop > cutting.longest * hop:
        cut, overlap = _choose_cut(waveform, first, frames, cutting)
        segments.append(Segment(first * hop, (cut + overlap // 2) * hop))
        first = cut - overlap // 2
    return [*segments, Segment(first * hop, waveform.size)]


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


def _choose_cut(waveform: FloatArray, first: int, frames: int, cutting: Cutting) -> tuple[int, int]:
    """Frame of the cut that ends the segment from `first`, and frames that both sides share."""
    rest, overlap = frames - first, cutting.overlap
    count = -(-(rest - overlap) // (cutting.longest - overlap))
    latest = first + min(rest // count + cutting.search // 2, cutting.longest - overlap // 2)
    earliest = latest - cutting.search
    levels = _levels(waveform, earliest, latest, cutting)
    quietest = int(levels.argmin())
    is_pause = levels[quietest] <= levels.mean() * 10 ** (-PAUSE_DEPTH_DB / 10)
    return earliest + quietest, cutting.pause_overlap if is_pause else overlap


def _levels(
    waveform: FloatArray, earliest: int, latest: int, cutting: Cutting
) -> npt.NDArray[np.float32]:
    """Power around each frame boundary from `earliest` to `latest`, over the length of a pause."""
    hop, half = cutting.samples_per_frame, max(1, cutting.pause // 2)
    start = max(0, earliest - half)
    frames = waveform[start * hop : (latest + half) * hop]
    frames = frames[: frames.size // hop * hop].reshape(-1, hop)
    power = np.einsum("fs,fs->f", frames, frames)
    levels = np.convolve(power, np.ones(2 * half, np.float32), mode="full")[half - 1 :]
    return levels[earliest - start : latest - start + 1]


def _even(frames: float) -> int:
    return int(frames) // 2 * 2
