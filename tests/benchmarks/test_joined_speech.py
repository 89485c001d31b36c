"""Clips joined to a long recording: as many errors as in the clips alone?"""

import random
from collections.abc import Sequence
from itertools import chain, count

import numpy as np
import pytest

from service.audio import SAMPLE_RATE_HZ
from tests.benchmarks import hearing, options
from tests.benchmarks.joining import ROOM_DB, Joined, join
from tests.benchmarks.spoken import SpokenClip, sets
from tests.benchmarks.tables import print_table, verdict
from tests.benchmarks.words import Matched, match

GAP_S = (0.4, 1.6)
AROUND_S = 0.2  # of the gaps, when a clip is heard alone
MOST_POINTS = 0.5


@pytest.mark.bench
def test_error_rates_of_joined_clips(service) -> None:
    clips = program()
    joined = join([clip.waveform for clip in clips], GAP_S, room_db=ROOM_DB)
    seconds = len(joined.waveform) / SAMPLE_RATE_HZ
    rows = []
    longest_s = service.manifest.longest_single_pass_s
    for decoding in service.decodings:
        alone = alone_errors(service, clips, joined, decoding)
        said = alone.said
        heard = {
            f"passes of {pass_s(longest_s):g} s": service.transcribe(joined.waveform, decoding)
        }
        if longest_s is None or longest_s >= seconds:
            with hearing.serving(max_pass_s=seconds + 1) as whole:
                heard["one pass"] = whole.transcribe(joined.waveform, decoding)
        for how, transcript in heard.items():
            words = [word.word for word in transcript.words]
            both = match([word for clip in clips for word in clip.words], words)
            rows.append([decoding, how, str(said), *cells(alone, both)])
    print_table(
        f"{seconds:.0f} s of joined clips ({len({id(clip) for clip in clips})} different ones)",
        ["decoding", "how", "words", "alone", "joined", "WER, more", f"at most {MOST_POINTS}"],
        rows,
        "WER % (substituted, deleted, inserted); alone: the same samples, clip by clip."
        + ("" if longest_s is None else f" The bundle allows passes of {longest_s:g} s."),
    )


def program() -> list[SpokenClip]:
    """Clips of all sets in random order, again and again, for so long as is asked for."""
    clips = list(chain.from_iterable(chosen.clips for chosen in sets()))
    chosen, seconds = [], 0.0
    for seed in count():
        for clip in random.Random(seed).sample(clips, len(clips)):
            if seconds >= options.JOINED_S:
                return chosen
            chosen.append(clip)
            seconds += len(clip.waveform) / SAMPLE_RATE_HZ + sum(GAP_S) / 2
    return chosen


def alone_errors(service, clips: Sequence[SpokenClip], joined: Joined, decoding) -> Matched:
    """Errors of all clips, each cut out of the recording."""
    starts = (np.array(joined.starts_s) * SAMPLE_RATE_HZ).round().astype(int)
    around = int(AROUND_S * SAMPLE_RATE_HZ)
    pieces = [
        joined.waveform[start - around : start + len(clip.waveform) + around]
        for start, clip in zip(starts, clips, strict=True)
    ]
    heard = service.transcribe_all(pieces, decoding)
    found = [
        match(clip.words, [word.word for word in transcript.words])
        for clip, transcript in zip(clips, heard, strict=True)
    ]
    return Matched((), *(sum(column) for column in list(zip(*found, strict=True))[1:]))


def pass_s(longest_s: float | None) -> float:
    default_s = 30.0
    return default_s if longest_s is None else min(default_s, longest_s)


def cells(alone: Matched, joined: Matched) -> list[str]:
    more = 100 * (joined.errors - alone.errors) / alone.said
    return [rates(alone), rates(joined), f"{more:+.2f}", verdict(more <= MOST_POINTS)]


def rates(found: Matched) -> str:
    kinds = (found.substitutions, found.deletions, found.insertions)
    parts = ", ".join(f"{100 * count / found.said:.2f}" for count in kinds)
    return f"{100 * found.errors / found.said:.2f} ({parts})"
