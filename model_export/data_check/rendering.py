"""Data reports as text to read."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import chain, repeat

from model_export.data_check.report import DataReport, Group, Overlap
from model_export.data_check.text_facts import CharacterFacts

WIDTH = 100
LABEL_WIDTH = 12
INDENT = " " * (LABEL_WIDTH + 4)
SHOWN_CHARACTERS = 8
LONGEST_EXAMPLE = 60
LONGEST_REASON = 300


def render_report(report: DataReport) -> str:
    """A report, several lines."""
    foreign = [c for c in report.texts.characters if c.foreign]
    rare = [c for c in report.texts.characters if c.rare and not c.foreign]
    lines = [
        f"{report.reference}: {_length(report.audio_s)} in {report.clips} clips",
        *_field("durations", _durations(report)),
        *_field("speakers", _speakers(report)),
        *_field("rates", ", ".join(f"{r} Hz: {n} clips" for r, n in report.rates_hz.items())),
        *_field("words", _words(report)),
        *_field(
            "characters", " ".join(f"{c.character} {c.count}" for c in report.texts.characters)
        ),
        *_list("rare", _described(rare[::-1])),
        *_list("other script", _described(foreign)),
        *_field("dropped", " ".join(f"{c} {n}" for c, n in report.dropped.items())),
        *_field("digits", _digits(report)),
        *_list("duplicates", map(_grouped, report.duplicates)),
        *_list("odd", map(_grouped, report.odd)),
        *_list("skipped", map(_skipped, report.skipped)),
        *_list("advice", report.advice),
    ]
    return "\n".join(lines)


def render_overlap(overlap: Overlap) -> str:
    """What two corpora share, in one line or more."""
    head = f"{overlap.second} and {overlap.first} share"
    if not overlap.shared:
        return f"{head} no sentence, recording or speaker"
    return "\n".join([head, *_list("", map(_grouped, overlap.shared))])


def _length(seconds: float) -> str:
    for unit_s, unit in ((3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds:.0f} s"


def _durations(report: DataReport) -> str:
    found = report.durations
    return (
        f"{found.shortest_s:.2f} to {found.longest_s:.2f} s, median {found.median_s:.2f} s, "
        f"95 % up to {found.p95_s:.2f} s"
    )


def _speakers(report: DataReport) -> str:
    speakers = report.speakers
    if not speakers.count:
        return "unknown"
    largest = ", ".join(f"{name} {_length(s)}" for name, s in speakers.largest_s.items())
    more = ", ..." if speakers.count > len(speakers.largest_s) else ""
    without = f"; {speakers.clips_without} clips do not say" if speakers.clips_without else ""
    return f"{speakers.count} ({largest}{more}){without}"


def _words(report: DataReport) -> str:
    texts = report.texts
    return (
        f"{texts.words}, {texts.vocabulary_words} different; {texts.sentences} different texts; "
        f"{len(texts.characters)} different characters"
    )


def _digits(report: DataReport) -> str:
    digits = report.digits
    if not digits.clips:
        return ""
    spelled = "cannot be used" if digits.spelled is None else f"takes {digits.spelled}"
    return (
        f"{digits.clips} texts: refuse skips them, keep takes them, spell {spelled}; "
        f"such as: {_short(digits.example or '')}"
    )


def _described(characters: Sequence[CharacterFacts]) -> list[str]:
    shown = [
        f"{c.character} in {c.clips}, such as {_short(c.example)}"
        for c in characters[:SHOWN_CHARACTERS]
    ]
    more = len(characters) - len(shown)
    return [*shown, f"and {more} more"] if more else shown


def _grouped(group: Group) -> str:
    return f"{group.kind}: {group.count}, such as {_short(group.examples[0])}"


def _skipped(group: Group) -> str:
    example = textwrap.shorten(group.examples[0], LONGEST_REASON, placeholder=" ...")
    return f"{group.kind}: {group.count}, such as {example}"


def _short(example: str) -> str:
    return textwrap.shorten(example, LONGEST_EXAMPLE, placeholder=" ...")


def _field(label: str, value: str) -> list[str]:
    """A labelled value over as many lines as it needs; none if it is empty."""
    if not value:
        return []
    lines = textwrap.wrap(
        value, WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False
    )
    return [f"  {label:<{LABEL_WIDTH}}  {lines[0]}", *(INDENT + line for line in lines[1:])]


def _list(label: str, entries: Iterable[str]) -> list[str]:
    """Entries below each other behind one label."""
    labels = chain([label], repeat(""))
    return [
        line for name, entry in zip(labels, entries, strict=False) for line in _field(name, entry)
    ]
