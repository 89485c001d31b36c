"""Whether confidence tells right words from wrong ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from service.ctc import Transcript
from tests.benchmarks.spoken import SpokenSet, sets
from tests.benchmarks.tables import print_table, verdict
from tests.benchmarks.words import auroc, match

LEAST_AUROC = 0.7
RESAMPLES = 500


class Judged(NamedTuple):
    """The words that were heard in a clip.

    Attributes:
        confidences: `[words]`.
        is_right: `[words]`, whether each was said.
    """

    confidences: np.ndarray
    is_right: np.ndarray


@pytest.mark.bench
def test_confidences(service) -> None:
    rows = []
    for decoding in service.decodings:
        judged = {chosen.name: judge(service, chosen, decoding) for chosen in sets()}
        if len(judged) > 1:
            judged["all"] = [clip for clips in judged.values() for clip in clips]
        rows += [[name, decoding, *cells(clips)] for name, clips in judged.items()]
    header = ["set", "decoding", "words heard", "right, %", "confidence of right, wrong", "AUROC"]
    print_table(
        "Confidence of right and of wrong words",
        [*header, f"at least {LEAST_AUROC}"],
        rows,
        "95 % intervals by bootstrap over clips.",
    )


def judge(service, chosen: SpokenSet, decoding) -> list[Judged]:
    heard = service.transcribe_all([clip.waveform for clip in chosen.clips], decoding)
    return [
        judged(clip.words, transcript) for clip, transcript in zip(chosen.clips, heard, strict=True)
    ]


def judged(said: Sequence[str], transcript: Transcript) -> Judged:
    words = transcript.words
    is_right = np.zeros(len(words), dtype=bool)
    if words:
        found = match(said, [word.word for word in words])
        is_right[[at for _, at in found.pairs]] = True
    return Judged(np.array([word.confidence for word in words]), is_right)


def cells(clips: Sequence[Judged]) -> list[str]:
    all_words = together(clips)
    scores, is_right = all_words
    draws = np.random.default_rng(0).integers(len(clips), size=(RESAMPLES, len(clips)))
    low, high = np.nanpercentile(
        [auroc(*together([clips[one] for one in draw])) for draw in draws], (2.5, 97.5)
    )
    value = auroc(*all_words)
    means = [f"{scores[chosen].mean():.2f}" for chosen in (is_right, ~is_right)]
    return [
        str(len(scores)),
        f"{100 * is_right.mean():.1f}",
        ", ".join(means),
        f"{value:.3f} [{low:.3f}, {high:.3f}]",
        verdict(value >= LEAST_AUROC),
    ]


def together(clips: Sequence[Judged]) -> Judged:
    return Judged(*map(np.concatenate, zip(*clips, strict=True)))
