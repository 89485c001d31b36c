import numpy as np
import pytest

from model_export.data import Reason, Skipped
from model_export.data_check.report import CheckedClip, group_skipped, outlying, overlap
from model_export.data_check.sound_facts import SoundFacts, describe_sound


def clip(name: str, text: str, digest: str, speaker: str | None = None) -> CheckedClip:
    sound = SoundFacts(1.0, 16000, -20.0, 0.0, 0.0, False, digest)
    return CheckedClip(name, text, speaker, sound)


def test_skipped_rows_are_grouped_by_reason() -> None:
    rows = [
        Skipped("m.jsonl:1", Reason.TEXT_TOO_LONG, "has 12 frames; its text needs 13"),
        Skipped("m.jsonl:7", Reason.EMPTY_TEXT, ""),
        Skipped("m.jsonl:8", Reason.TEXT_TOO_LONG, "has 1 frames; its text needs 99"),
    ]
    first, second = group_skipped(rows)
    assert (first.kind, first.count) == ("text longer than its frames", 2)
    assert first.examples[0] == "m.jsonl:1: has 12 frames; its text needs 13"
    assert (second.kind, second.count, second.examples) == ("empty text", 1, ("m.jsonl:7",))


def test_outliers_are_far_from_the_median_in_robust_deviations() -> None:
    rates = [10.0, 11.0, 12.0, 13.0, 14.0, 12.5, 11.5, 12.2, 40.0, 1.0]
    assert outlying(rates) == [0, 0, 0, 0, 0, 0, 0, 0, 1, -1]
    assert outlying([12.0] * 9 + [13.0]) == [0] * 10
    assert outlying([12.0] * 9 + [20.0]) == [0] * 9 + [1]
    assert outlying([12.0] * 8 + [20.0]) == [0] * 9
    assert outlying([]) == []


def test_overlaps_are_found_by_text_audio_and_speaker() -> None:
    train = [clip("a", "yes", "1", "ann"), clip("b", "no", "2")]
    dev = [clip("c", "yes", "3"), clip("d", "yes", "2"), clip("e", "new", "4", "ann")]
    shared = overlap(("train", train), ("dev", dev)).shared
    assert {group.kind: (group.count, group.examples[0]) for group in shared} == {
        "sentence": (2, "c: yes"),
        "recording": (1, "d"),
        "speaker": (1, "e: ann"),
    }
    assert overlap(("train", train), ("dev", [clip("f", "other", "9")])).shared == ()


def test_facts_of_a_sound() -> None:
    waveform = np.tile(np.array([1.0, -0.5], np.float32), 8000)
    facts = describe_sound(waveform, 8000)
    assert (facts.seconds, facts.rate_hz, facts.silent) == (1.0, 8000, False)
    assert facts.offset == pytest.approx(0.25)
    assert facts.clipped_share == pytest.approx(0.5)
    assert facts.level_dbfs == pytest.approx(20 * np.log10(0.75))
    assert facts.digest != describe_sound(0.9 * waveform, 8000).digest
    silence = describe_sound(np.zeros(100, np.float32), 8000)
    assert silence.silent
    assert silence.level_dbfs == -120
