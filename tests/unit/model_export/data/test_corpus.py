from pathlib import Path

import pytest

from model_export.data import Clip, Corpus, Reason, Skipped, keep_spellable
from model_export.errors import ManifestInvalid
from model_export.transcripts.normalisation import make_vocabulary


def test_texts_outside_the_vocabulary_are_skipped() -> None:
    clips = tuple(Clip(Path(f"{text}.wav"), text, None) for text in ("ab a", "abdc", "b"))
    earlier = Skipped("rows.csv:3", Reason.EMPTY_TEXT, "")
    kept = keep_spellable(Corpus(clips, (earlier,), corrected=2), make_vocabulary(["ab"]))
    assert kept.clips == (clips[0], clips[2])
    assert kept.skipped == (earlier, Skipped("abdc.wav", Reason.NOT_IN_VOCABULARY, "c d"))
    assert kept.corrected == 2


def test_no_text_in_the_vocabulary_is_an_error() -> None:
    clip = Clip(Path("c.wav"), "c", None)
    with pytest.raises(ManifestInvalid, match=r"no text fits the vocabulary; 2 skipped .*: 2\)"):
        keep_spellable(Corpus((clip, clip), ()), make_vocabulary(["ab"]))


def test_a_skipped_row_tells_place_reason_and_detail() -> None:
    clip = Clip(Path("c.wav"), "c", None, place="rows.csv:3")
    assert str(clip.skipped(Reason.TOO_SHORT, "0.01 s")) == "rows.csv:3: audio too short (0.01 s)"
    assert str(clip.skipped(Reason.EMPTY_TEXT, "")) == "rows.csv:3: empty text"
