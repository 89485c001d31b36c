"""Looking at a corpus before anyone trains: reads it, measures it, and says what it is."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from os.path import commonprefix
from pathlib import Path

from model_export.data import Clip, Corpus, Skipped, read_corpus
from model_export.data.corpus import usable
from model_export.data_check.advice import with_advice
from model_export.data_check.report import (
    CheckedClip,
    DataReport,
    Overlap,
    describe_corpus,
    overlap,
)
from model_export.data_check.sound_facts import SoundFacts, measure_clips
from model_export.data_check.text_facts import (
    DigitFacts,
    describe_digits,
    dropped_characters,
    every_symbol,
)
from model_export.encoders.ctc_model import FrontEndFacts
from model_export.errors import ManifestInvalid, NormalisationInvalid
from model_export.training.training_data import keep_fitting
from model_export.transcripts.normalisation import make_vocabulary, require_usable
from service.bundle import TextNormalisation

REPORT_VERSION = 1
# Without a base: the frames of every family we know, and no limit of length.
ANY_FRONT_END = FrontEndFacts(
    samples_per_frame=320, receptive_field_samples=400, longest_pass_s=None, convention=""
)


@dataclass(frozen=True)
class Findings:
    """What was found in some corpora.

    Attributes:
        corpora: each by itself, in the order asked for.
        overlaps: every two of them.
    """

    corpora: tuple[DataReport, ...]
    overlaps: tuple[Overlap, ...]

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        content = {"version": REPORT_VERSION, **asdict(self)}
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def check(
    references: Sequence[str], rules: TextNormalisation, front_end: FrontEndFacts = ANY_FRONT_END
) -> Findings:
    """Read and measure corpora.

    Args:
        references: as for `read_corpus`.
        rules: applied to every transcript.
        front_end: of the base that shall be trained.

    Raises:
        ManifestInvalid: one cannot be read, or no clip of it can be trained on.
    """
    clips, reports = [], []
    for reference in references:
        corpus = read_corpus(reference, rules)
        checked, skipped = _checked(corpus, front_end)
        clips.append((reference, checked))
        report = describe_corpus(
            reference,
            checked,
            skipped=skipped,
            digits=_digits(reference, rules),
            dropped=dropped_characters(
                [clip.text for clip in corpus.clips], _wide(reference, rules)
            ),
        )
        reports.append(with_advice(report))
    pairs = combinations(clips, 2)
    return Findings(tuple(reports), tuple(overlap(first, second) for first, second in pairs))


def _checked(
    corpus: Corpus, front_end: FrontEndFacts
) -> tuple[list[CheckedClip], tuple[Skipped, ...]]:
    """Clips that can be trained on, and the other rows."""
    measured: list[tuple[Clip, SoundFacts]] = []
    skipped = list(corpus.skipped)
    for clip, sound in zip(corpus.clips, measure_clips(corpus.clips), strict=True):
        if isinstance(sound, Skipped):
            skipped.append(sound)
        else:
            measured.append((replace(clip, seconds=sound.seconds), sound))
    clips = tuple(clip for clip, _ in measured)
    decoded = usable(Corpus(clips, tuple(skipped)), "no recording can be decoded")
    vocabulary = make_vocabulary(clip.text for clip in clips)
    fitting = keep_fitting(decoded, front_end, vocabulary)
    kept = set(fitting.clips)
    checked = [
        CheckedClip(name, clip.text, clip.speaker, sound)
        for name, (clip, sound) in zip(_names(clips), measured, strict=True)
        if clip in kept
    ]
    return checked, fitting.skipped


def _names(clips: Sequence[Clip]) -> list[str]:
    """Names of recordings, without the folder that holds them all."""
    paths = [str(clip.audio).split("/") for clip in clips]
    folder = commonprefix([path[:-1] for path in paths])  # noqa: RUF071  lists, so whole names
    return ["/".join(path[len(folder) :]) for path in paths]


def _digits(reference: str, rules: TextNormalisation) -> DigitFacts:
    texts = _texts(reference, rules.model_copy(update={"digits": "keep"}))
    spelling = rules.model_copy(update={"digits": "spell"})
    try:
        require_usable(spelling)
    except NormalisationInvalid as error:
        return describe_digits(texts, None, str(error))
    return describe_digits(texts, len(_texts(reference, spelling)))


def _wide(reference: str, rules: TextNormalisation) -> list[str]:
    return _texts(reference, rules.model_copy(update={"digits": "keep", "keep": every_symbol()}))


def _texts(reference: str, rules: TextNormalisation) -> list[str]:
    try:
        return [clip.text for clip in read_corpus(reference, rules).clips]
    except ManifestInvalid:
        return []
