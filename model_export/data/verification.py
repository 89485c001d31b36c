"""Opening every recording before training, so that none fails in hour three."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tqdm import tqdm

from model_export.data.corpus import Clip, Corpus, Reason, Skipped, usable
from model_export.data.recordings import FileSegment, load_waveform, packets_s
from model_export.errors import ManifestInvalid
from service.audio import SAMPLE_RATE_HZ
from service.errors import AudioTooLong

CLIPS_AT_ONCE = 8
TOLERANCE_S = 0.1  # what codecs add and durations are rounded to
TOLERANCE_SHARE = 0.02

Verdict = float | tuple[Reason, str]  # duration in seconds, or a fault


def verify_audio(corpus: Corpus, name: str, known: Mapping[str, Verdict] | None = None) -> Corpus:
    """Open every clip, skip those that cannot be read, and find the duration of the others.

    A file whose packets last as long as its source states is not decoded; all others are.

    Args:
        corpus: what to open.
        name: for the progress bar.
        known: earlier verdicts by `Clip.key`; their clips are not opened again.

    Returns:
        The readable clips, each with its duration.

    Raises:
        ManifestInvalid: no clip can be read.
    """
    with ThreadPool(os.cpu_count()) as pool:  # libav and libsndfile run beside each other
        measured = pool.imap(partial(_verified, known or {}), corpus.clips, CLIPS_AT_ONCE)
        results = list(tqdm(measured, f"open {name}", len(corpus.clips), unit="clip", disable=None))
    pairs = zip(corpus.clips, results, strict=True)
    corrected = sum(isinstance(new, Clip) and not _agree(old, new) for old, new in pairs)
    verified = Corpus(
        tuple(result for result in results if isinstance(result, Clip)),
        (*corpus.skipped, *(result for result in results if isinstance(result, Skipped))),
        corrected,
    )
    return usable(verified, f"no recording of {name} can be read")


def write_verdicts(path: Path, before: Corpus, verified: Corpus) -> None:
    """Keep what `verify_audio` found, so that a resumed run goes on with the very same clips.

    Args:
        path: of the file.
        before: what was verified.
        verified: the result.
    """
    seconds = {clip.key: clip.seconds for clip in verified.clips}
    faults = {row.place: (row.reason, row.detail) for row in verified.skipped}
    verdicts = {clip.key: seconds.get(clip.key) or faults[clip.key] for clip in before.clips}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_suffix(".partial")
    partial_file.write_text(json.dumps(verdicts))
    partial_file.replace(path)


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """What an earlier run kept; nothing if there is no such file."""
    if not path.is_file():
        return {}
    kept = json.loads(path.read_text())
    return {
        key: (Reason(verdict[0]), verdict[1]) if isinstance(verdict, list) else verdict
        for key, verdict in kept.items()
    }


def fault_of(error: ManifestInvalid) -> tuple[Reason, str]:
    """Reason and detail of what `load_waveform` raised."""
    cause = error.__cause__
    if isinstance(cause, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return Reason.MISSING_AUDIO, str(cause.filename or cause)
    is_long = isinstance(cause, AudioTooLong)
    return Reason.TOO_LONG if is_long else Reason.UNREADABLE_AUDIO, str(cause)


def _verified(known: Mapping[str, Verdict], clip: Clip) -> Clip | Skipped:
    verdict = known.get(clip.key) or _verdict(clip)
    return clip.skipped(*verdict) if isinstance(verdict, tuple) else replace(clip, seconds=verdict)


def _verdict(clip: Clip) -> Verdict:
    if clip.seconds is not None and _lasts_as_stated(clip):
        return clip.seconds
    try:
        return len(load_waveform(clip.audio)) / SAMPLE_RATE_HZ
    except ManifestInvalid as error:
        return fault_of(error)


def _lasts_as_stated(clip: Clip) -> bool:
    if clip.seconds is None or isinstance(clip.audio, FileSegment):
        return False
    try:
        return _is_near(packets_s(clip.audio), clip.seconds)
    except ManifestInvalid:
        return False  # decoding will tell


def _agree(stated: Clip, real: Clip) -> bool:
    if stated.seconds is None or real.seconds is None:
        return True
    return _is_near(real.seconds, stated.seconds)


def _is_near(real_s: float, stated_s: float) -> bool:
    return abs(real_s - stated_s) <= max(TOLERANCE_S, TOLERANCE_SHARE * real_s)
