from pathlib import Path

import pytest

from model_export.errors import SynthesisRefused
from model_export.language_model.held_out import NOTHING_HELD_OUT, HeldOut
from model_export.synthesis.sentences import read_sources, read_speakable

TEXT = """He came in. She left early, didn't she?
It cost 5 pounds.
A (bracketed) word
He came in.
¿Dónde está?
Please leave a message.
one two three four five six seven
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "talk.txt").write_text(TEXT)
    return tmp_path / "talk.txt"


def test_what_can_be_spoken_is_kept_once(path: Path) -> None:
    kept = read_speakable(path, NOTHING_HELD_OUT, (2, 6))
    assert kept[:2] == ["He came in.", "She left early, didn't she?"]
    assert kept[2:] == ["¿Dónde está?", "Please leave a message."]


def test_held_out_sentences_are_not_spoken(path: Path) -> None:
    held_out = HeldOut.of(["please leave a message"])
    assert "Please leave a message." not in read_speakable(path, held_out, (2, 6))


def test_sources_are_called_by_their_files(path: Path) -> None:
    assert list(read_sources([path], NOTHING_HELD_OUT, (1, 9))) == ["talk"]


def test_a_text_without_such_sentences_is_refused(path: Path) -> None:
    with pytest.raises(SynthesisRefused, match=r"talk\.txt has no sentence of 20 to 30 words"):
        read_speakable(path, NOTHING_HELD_OUT, (20, 30))
