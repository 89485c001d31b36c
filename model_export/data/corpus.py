"""Clips, and the rows that cannot be used."""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

from model_export.data.recordings import Audio
from model_export.errors import ManifestInvalid
from service.bundle import Vocabulary


class Reason(StrEnum):
    """Why a row is skipped."""

    MALFORMED = "malformed row"
    UNDECODABLE = "text is not UTF-8"
    MISSING_FIELD = "a field is missing"
    BAD_DURATION = "stated duration is not a positive number"
    EMPTY_TEXT = "empty text"
    REFUSED_TEXT = "text refused"
    SHELL_PIPE = "shell command instead of a file, not run"
    MISSING_AUDIO = "audio is missing"
    DUPLICATE = "duplicate row"
    UNREADABLE_AUDIO = "audio cannot be decoded"
    TOO_SHORT = "audio too short"
    TOO_LONG = "audio too long"
    TEXT_TOO_LONG = "text longer than its frames"
    NOT_IN_VOCABULARY = "characters outside the vocabulary"


@dataclass(frozen=True)
class Skipped:
    """A row that is not used.

    Attributes:
        place: of the row, such as FILE:LINE.
        reason: what kind of fault it has.
        detail: what was found.
    """

    place: str
    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Clip:
    """One utterance with its transcript.

    Attributes:
        audio: a file, a part of one, or a row of a data set.
        text: normalised transcript, not empty.
        seconds: duration, if it is known.
        speaker: who speaks, if the source says so.
        place: of its row, for messages.
    """

    audio: Audio
    text: str
    seconds: float | None
    speaker: str | None = None
    place: str = ""

    @property
    def key(self) -> str:
        """Tells it from the other clips of its source: its place or, lacking one, its audio."""
        return self.place or str(self.audio)

    def skipped(self, reason: Reason, detail: str) -> Skipped:
        """The record of leaving this clip out."""
        return Skipped(self.key, reason, detail)


@dataclass(frozen=True)
class Corpus:
    """The usable rows of a source, and why the others are not.

    Attributes:
        clips: at least one.
        skipped: the other rows.
        corrected: clips whose source states a duration that is far from the real one.
    """

    clips: tuple[Clip, ...]
    skipped: tuple[Skipped, ...]
    corrected: int = 0


def usable(corpus: Corpus, what: str) -> Corpus:
    """The same corpus, if it has a clip.

    Raises:
        ManifestInvalid: it has none; the message begins with `what` and counts the reasons.
    """
    if corpus.clips:
        return corpus
    counts = Counter(row.reason for row in corpus.skipped).most_common()
    reasons = ", ".join(f"{reason}: {count}" for reason, count in counts)
    if not corpus.skipped:
        raise ManifestInvalid(f"{what}; it is empty")
    first = corpus.skipped[0]
    raise ManifestInvalid(f"{what}; {len(corpus.skipped)} skipped ({reasons}), first: {first}")


def keep_spellable(corpus: Corpus, vocabulary: Vocabulary) -> Corpus:
    """Skip clips whose text has characters outside the vocabulary.

    Raises:
        ManifestInvalid: that is every clip.
    """
    spellable = {*vocabulary.tokens, " "} - {vocabulary.word_delimiter}
    odd = [" ".join(sorted(set(clip.text) - spellable)) for clip in corpus.clips]
    pairs = list(zip(corpus.clips, odd, strict=True))
    faults = [clip.skipped(Reason.NOT_IN_VOCABULARY, rest) for clip, rest in pairs if rest]
    return usable(
        replace(
            corpus,
            clips=tuple(clip for clip, rest in pairs if not rest),
            skipped=(*corpus.skipped, *faults),
        ),
        "no text fits the vocabulary",
    )
