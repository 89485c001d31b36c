"""Which clips are learnt from and tested on."""

from pathlib import Path

import pytest

from model_export.paper.experiments import Setting
from model_export.paper.parts import divide
from model_export.paper.sets import SetClip

CLIPS = [
    SetClip(Path(), text, 1.0, f"fillets-cs-font_{role}", split, "fillets")
    for text, role, split in [
        ("ahoj", "big", "train"),
        ("ano", "small", "train"),
        ("ne", "big", "dev"),
        ("dobre", "small", "test"),
        ("ahoj", "crab", "train"),
        ("ne", "crab", "dev"),
        ("krab", "crab", "train"),
        ("dost", "crab", "test"),
    ]
]
FRAMES = [50] * len(CLIPS)


def test_a_whole_set_is_divided_by_its_splits():
    parts = divide(CLIPS, FRAMES, Setting().experiment("wsm"))
    assert (parts.train, parts.dev, parts.tests) == ([0, 1, 4, 6], [2, 5], {"all": [3, 7]})
    assert [len(labels) for labels in parts.labels] == [4, 3, 0, 0, 4, 0, 4, 0]


def test_other_readers_are_tested_on_what_was_not_learnt():
    roles = {"learnt_from": "main roles", "tested_on": "minor roles"}
    parts = divide(CLIPS, FRAMES, Setting().experiment("wsm", **roles))
    assert (parts.train, parts.dev) == ([0, 1], [2])
    assert parts.tests == {"main roles": [3], "minor roles": [6, 7]}
    assert "k" not in parts.vocabulary.tokens


@pytest.mark.parametrize(("index", "frames"), [(0, 0), (1, 2)])
def test_clips_that_are_too_long_or_too_short_for_their_text_are_left_out(index, frames):
    counts = [frames if each == index else 50 for each in range(len(CLIPS))]
    parts = divide(CLIPS, counts, Setting().experiment("wsm"))
    assert index not in parts.train
    assert parts.left_out == 1
