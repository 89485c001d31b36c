"""What to do about what a data report shows."""

from collections.abc import Iterator
from dataclasses import replace

from model_export.data_check.report import DataReport
from model_export.data_check.text_facts import RARE_CLIPS
from service.audio import SAMPLE_RATE_HZ

FEW_S = 3600.0
SHOWN_CHARACTERS = 12
SPOKEN_SYMBOLS = frozenset("%&€$£¥₹+=@°§№#")
ABOUT_ODD = {
    "silent": "silent: {}; remove them",
    "very quiet": "very quiet: {}; listen, and raise their level",
    "clipped": "clipped: {}; record them anew if you can",
    "DC offset": "with a DC offset: {}; filter it out (high-pass at 20 Hz)",
    "far more text than audio": "far more text than audio: {}; is the audio cut off?",
    "far less text than audio": "far less text than audio: {}; is text missing?",
}
ABOUT_DUPLICATES = {
    "same audio, same text": "clips that repeat another: {}; remove them",
    "same audio, another text": "clips with the audio of another but other words: {}; one is wrong",
}


def with_advice(report: DataReport) -> DataReport:
    """The report with its advice."""
    return replace(report, advice=tuple(_advice(report)))


def _advice(report: DataReport) -> Iterator[str]:
    yield from _about_digits(report)
    yield from _about_characters(report)
    for groups, texts in ((report.duplicates, ABOUT_DUPLICATES), (report.odd, ABOUT_ODD)):
        for group in groups:
            if group.kind in texts:
                yield texts[group.kind].format(group.count)
    yield from _about_speech(report)


def _about_digits(report: DataReport) -> Iterator[str]:
    digits = report.digits
    if not digits.clips:
        return
    if digits.spelled is None:
        spelling = f"--digits spell cannot be used: {digits.obstacle}"
    else:
        spelling = f"--digits spell would take {digits.spelled} of them"
    yield (
        f"texts with digits: {digits.clips}; --digits refuse skips them, keep makes digits labels; "
        f"{spelling}"
    )


def _about_characters(report: DataReport) -> Iterator[str]:
    characters = report.texts.characters
    if foreign := [c for c in characters if c.foreign]:
        listed = " ".join(c.character for c in foreign[:SHOWN_CHARACTERS])
        scripts = ", ".join(sorted({c.name.partition(" ")[0].capitalize() for c in foreign}))
        yield f"letters of another script ({scripts}), perhaps typed by mistake: {listed}"
    if rare := [c for c in characters if c.rare and not c.foreign]:
        listed = " ".join(c.character for c in rare[:SHOWN_CHARACTERS])
        yield (
            f"characters in fewer than {RARE_CLIPS} clips: {len(rare)} ({listed}); correct the "
            "texts, or leave them out by --vocabulary FILE"
        )
    if spoken := SPOKEN_SYMBOLS & report.dropped.keys():
        listed = " ".join(sorted(spoken))
        yield f"symbols that are read aloud are dropped ({listed}): write them as words, or --keep"
    if report.texts.spaceless:
        yield "words are not parted by spaces: look at the character error rate, not at the words'"


def _about_speech(report: DataReport) -> Iterator[str]:
    if report.audio_s < FEW_S:
        minutes = report.audio_s / 60
        yield f"only {minutes:.1f} min of audio: --init match and --copies 3 make the most of it"
    if report.speakers.count == 1 and not report.speakers.clips_without:
        yield "one speaker: others will be recognised worse"
    if report.speakers.count == 0:
        yield "no speakers are stated: see to it that dev and test have others than train"
    if narrow := sum(n for rate, n in report.rates_hz.items() if rate < SAMPLE_RATE_HZ):
        yield f"clips below 16 kHz: {narrow}; what will be served should sound the same"
