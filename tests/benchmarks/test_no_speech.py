"""Noise, tones, music and long silence: no words where nobody speaks."""

from collections.abc import Sequence

import pytest

from service.audio import SAMPLE_RATE_HZ
from service.ctc import Transcript, Word
from tests.benchmarks import options
from tests.benchmarks.joining import ROOM_DB, join
from tests.benchmarks.sounds import SECONDS, music, sounds
from tests.benchmarks.spoken import sets
from tests.benchmarks.tables import print_table, verdict
from tests.benchmarks.words import match

SILENCE_S = (120.0, 180.0)
CLIPS = 6
NEAR_S = 0.3  # so far from a clip, a word is still its own
SHOWN = 8
WHERE_MUSIC_IS = (
    "BENCH_MUSIC names no folder with music; Debian has some: "
    "apt-get download asterisk-moh-opsound-wav && dpkg -x asterisk-moh-opsound-wav*.deb music"
)


@pytest.mark.bench
@pytest.mark.parametrize("seconds", SECONDS)
def test_noise_and_tones(service, seconds: float) -> None:
    names, waveforms = zip(*sounds(seconds), strict=True)
    rows = []
    for decoding in service.decodings:
        heard = service.transcribe_all(waveforms, decoding)
        spoken = [f"{n}: {h.text!r}" for n, h in zip(names, heard, strict=True) if h.text]
        rows.append([decoding, str(len(names)), str(len(spoken)), verdict(not spoken)])
        rows[-1].append("; ".join(spoken[:SHOWN]))
    header = ["decoding", "sounds", "with words", "none", "which"]
    print_table(f"Noise and tones of {seconds:g} s", header, rows)


@pytest.mark.bench
def test_music(service) -> None:
    pieces = {name: sound for folder in options.MUSIC for name, sound in music(folder)}
    if not pieces:
        pytest.skip(WHERE_MUSIC_IS)
    rows = []
    for decoding in service.decodings:
        for name, waveform in pieces.items():
            words = service.transcribe(waveform, decoding).words
            minutes = f"{len(waveform) / SAMPLE_RATE_HZ / 60:.1f}"
            rows.append([name, minutes, decoding, *counted(words)])
    print_table("Music", ["piece", "minutes", "decoding", "words", "none", "which"], rows)


@pytest.mark.bench
@pytest.mark.parametrize("room_db", [None, ROOM_DB])
def test_minutes_of_silence_between_clips(service, room_db: float | None) -> None:
    clips = sets()[0].clips[:CLIPS]
    joined = join([clip.waveform for clip in clips], SILENCE_S, room_db=room_db)
    ranges = [
        (start_s - NEAR_S, start_s + len(clip.waveform) / SAMPLE_RATE_HZ + NEAR_S)
        for start_s, clip in zip(joined.starts_s, clips, strict=True)
    ]
    rows = []
    for decoding in service.decodings:
        alone = service.transcribe_all([clip.waveform for clip in clips], decoding)
        heard = service.transcribe(joined.waveform, decoding)
        invented = [word for word in heard.words if not lies_in(word, ranges)]
        rows.append([decoding, *errors(clips, alone, heard), *counted(invented)])
    print_table(
        f"{len(joined.waveform) / SAMPLE_RATE_HZ / 60:.0f} minutes with {len(clips)} clips, "
        + ("else digital silence" if room_db is None else f"else noise at {room_db:g} dB"),
        ["decoding", "errors alone", "errors joined", "words between", "none", "which"],
        rows,
    )


def lies_in(word: Word, ranges: Sequence[tuple[float, float]]) -> bool:
    return any(start_s <= word.start_s and word.end_s <= end_s for start_s, end_s in ranges)


def errors(clips, alone: Sequence[Transcript], joined: Transcript) -> list[str]:
    """Words wrong, alone and joined."""
    said = [word for clip in clips for word in clip.words]
    parts = [word.word for transcript in alone for word in transcript.words]
    whole = [word.word for word in joined.words]
    return [f"{match(said, heard).errors} of {len(said)}" for heard in (parts, whole)]


def counted(words: Sequence[Word]) -> list[str]:
    shown = (f"{one.word} ({one.start_s:.1f} s, {one.confidence:.2f})" for one in words[:SHOWN])
    return [str(len(words)), verdict(not words), ", ".join(shown)]
