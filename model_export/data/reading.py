"""From a reference to a corpus: which kind of data it names, and which rows can be used."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from model_export.data import common_voice, hugging_face, kaldi, manifests, metadata
from model_export.data.corpus import Clip, Corpus, Reason, Skipped, usable
from model_export.data.recordings import Audio
from model_export.data.rows import Row, Rows
from model_export.errors import ExportError, ManifestInvalid
from model_export.transcripts.normalisation import normalise
from service.bundle import TextNormalisation

SOURCES = (
    manifests.SOURCE,
    common_voice.SOURCE,
    kaldi.SOURCE,
    hugging_face.SAVED,
    hugging_face.PARQUET,
    metadata.AUDIOFOLDER,
    metadata.LJSPEECH,
)


def read_corpus(reference: str, rules: TextNormalisation) -> Corpus:
    """Read clips from wherever a reference points; whether their audio is there is not asked.

    Args:
        reference: path of a file or folder of one of the kinds in `SOURCES`, with `#SPLIT` behind
            it to take that split alone; or `hf:NAME[@REVISION][:CONFIG]#SPLIT`.
        rules: applied to every transcript.

    Raises:
        ManifestInvalid: nothing is there, its kind is not clear, or no row of it is usable.
    """
    clips: dict[tuple[Audio, str], Clip] = {}
    skipped: list[Skipped] = []
    for row in _rows(reference):
        clip = row if isinstance(row, Skipped) else _clip(row, rules)
        if isinstance(clip, Skipped):
            skipped.append(clip)
        elif (first := clips.setdefault((clip.audio, clip.text), clip)) is not clip:
            skipped.append(clip.skipped(Reason.DUPLICATE, f"as {first.place}"))
    return usable(Corpus(tuple(clips.values()), tuple(skipped)), f"{reference} has no usable row")


def read_corpora(references: Sequence[str], rules: TextNormalisation) -> Corpus:
    """Clips of several references, one behind the other; see `read_corpus`.

    Raises:
        ManifestInvalid: one of them cannot be used.
    """
    corpora = [read_corpus(reference, rules) for reference in references]
    return Corpus(
        tuple(clip for corpus in corpora for clip in corpus.clips),
        tuple(row for corpus in corpora for row in corpus.skipped),
    )


def read_texts(reference: str) -> Iterator[str]:
    """Texts of wherever a reference points, as they are written; see `read_corpus`.

    Raises:
        ManifestInvalid: nothing is there, or its kind is not clear.
    """
    return (row.text for row in _rows(reference) if isinstance(row, Row))


def name_of(reference: str) -> str:
    """Short name of what a reference points to, for the record."""
    if reference.startswith(hugging_face.PREFIX):
        return reference
    path, split = _split(reference)
    return f"{path.name}#{split}" if split else path.name


def _split(reference: str) -> tuple[Path, str]:
    """Path and split, empty if there is none; a path may have a # of its own."""
    whole = Path(reference).expanduser()
    if "#" not in reference or whole.exists():
        return whole, ""
    name, _, split = reference.rpartition("#")
    return Path(name).expanduser(), split


def _rows(reference: str) -> Rows:
    if reference.startswith(hugging_face.PREFIX):
        name, _, split = reference.removeprefix(hugging_face.PREFIX).partition("#")
        return hugging_face.hub_rows(name, split)
    path, split = _split(reference)
    if not path.exists():
        raise ManifestInvalid(f"{path} does not exist")
    found = [source for source in SOURCES if source.recognises(path)]
    if len(found) != 1:
        listed = "; ".join(f"{source.kind}: {source.signs}" for source in found or SOURCES)
        state = "could be several kinds of data" if found else "is no data of a kind we know"
        raise ManifestInvalid(f"{path} {state}; looked for {listed}")
    return found[0].rows(path, split)


def _clip(row: Row, rules: TextNormalisation) -> Clip | Skipped:
    try:
        text = normalise(row.text, rules)
    except ExportError as error:
        return Skipped(row.place, Reason.REFUSED_TEXT, str(error))
    seconds = _positive(row.seconds)
    clip = Clip(row.audio, text, seconds, row.speaker, row.place)
    for reason, detail in _faults(clip, row):
        return clip.skipped(reason, detail)
    return clip


def _faults(clip: Clip, row: Row) -> Iterator[tuple[Reason, str]]:
    if not clip.text:
        yield Reason.EMPTY_TEXT, f"of {row.text!r} nothing is left" if row.text else ""
    if clip.seconds is not None and math.isnan(clip.seconds):
        yield Reason.BAD_DURATION, repr(row.seconds)


def _positive(stated: object) -> float | None:
    """A stated duration; NaN if it is not a positive number, None if there is none."""
    if stated is None or stated == "":
        return None
    try:
        seconds = float(str(stated))
    except ValueError:
        return math.nan
    return seconds if 0 < seconds < math.inf else math.nan
