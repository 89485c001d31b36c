"""Opening every recording before training, so that none fails in hour three."""

import os
from dataclasses import replace
from multiprocessing.pool import ThreadPool

from tqdm import tqdm

from model_export.data.corpus import Clip, Corpus, Reason, Skipped, usable
from model_export.errors import ManifestInvalid
from model_export.recordings import FileSegment, load_waveform, packets_s
from service.audio import SAMPLE_RATE_HZ
from service.errors import AudioTooLong

CLIPS_AT_ONCE = 8
TOLERANCE_S = 0.1  # what codecs add and durations are rounded to
TOLERANCE_SHARE = 0.02


def verify_audio(corpus: Corpus, name: str) -> Corpus:
    """Open every clip, skip those that cannot be read, and find the duration of the others.

    A file whose packets last as long as its source states is not decoded; all others are.

    Args:
        corpus: what to open.
        name: for the progress bar.

    Returns:
        The readable clips, each with its duration.

    Raises:
        ManifestInvalid: no clip can be read.
    """
    with ThreadPool(os.cpu_count()) as pool:  # libav and libsndfile run beside each other
        measured = pool.imap(_verified, corpus.clips, CLIPS_AT_ONCE)
        results = list(tqdm(measured, f"open {name}", len(corpus.clips), unit="clip"))
    pairs = zip(corpus.clips, results, strict=True)
    corrected = sum(isinstance(new, Clip) and not _agree(old, new) for old, new in pairs)
    verified = Corpus(
        tuple(result for result in results if isinstance(result, Clip)),
        (*corpus.skipped, *(result for result in results if isinstance(result, Skipped))),
        corrected,
    )
    return usable(verified, f"no recording of {name} can be read")


def _verified(clip: Clip) -> Clip | Skipped:
    if _lasts_as_stated(clip):
        return clip
    try:
        return replace(clip, seconds=len(load_waveform(clip.audio)) / SAMPLE_RATE_HZ)
    except ManifestInvalid as error:
        return clip.skipped(_reason(error.__cause__), str(error.__cause__))


def _lasts_as_stated(clip: Clip) -> bool:
    if clip.seconds is None or isinstance(clip.audio, FileSegment):
        return False
    try:
        return _is_near(packets_s(clip.audio), clip.seconds)
    except (ManifestInvalid, OSError):
        return False  # decoding will tell


def _agree(stated: Clip, real: Clip) -> bool:
    if stated.seconds is None or real.seconds is None:
        return True
    return _is_near(real.seconds, stated.seconds)


def _is_near(real_s: float, stated_s: float) -> bool:
    return abs(real_s - stated_s) <= max(TOLERANCE_S, TOLERANCE_SHARE * real_s)


def _reason(cause: BaseException | None) -> Reason:
    if isinstance(cause, FileNotFoundError):
        return Reason.MISSING_AUDIO
    return Reason.TOO_LONG if isinstance(cause, AudioTooLong) else Reason.UNREADABLE_AUDIO
