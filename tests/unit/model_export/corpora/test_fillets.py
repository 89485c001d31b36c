import json

import numpy as np
import pytest
import soundfile

from model_export.corpora import fillets

DIALOGUES = """
dialogId("reef-greeting", "font_small", "Ahoy, \\"captain\\"!")
dialogStr("Ahoj,  \\"kapitáne\\"!")

dialogId("reef-mute", "font_big", "Nobody recorded this.")
dialogStr("Tohle nikdo nenahrál.")

dialogId("reef-noise", "font_crab", "Ow!")
dialogStr("Au!")
"""


@pytest.fixture
def packages(tmp_path):
    script = tmp_path / fillets.GAME / "script" / "reef" / "dialogs_cs.lua"
    sounds = tmp_path / fillets.GAME / "sound" / "reef" / "cs"
    script.parent.mkdir(parents=True)
    sounds.mkdir(parents=True)
    script.write_text(DIALOGUES)
    for name, seconds in [("reef-greeting", 2), ("reef-noise", 5)]:
        soundfile.write(sounds / f"{name}.ogg", np.zeros(seconds * 22050), 22050)
    return tmp_path


def test_rows_are_spoken_lines_whose_recordings_fit_them(packages):
    fillets.main([str(packages), "--language", "cs"])
    (row,) = map(json.loads, (packages / "cs.jsonl").read_text().splitlines())
    assert (row["text"], row["speaker"], row["seconds"]) == ('Ahoj, "kapitáne"!', "small", 2.0)
    assert (packages / row["audio"]).name == "reef-greeting.ogg"


def test_a_folder_without_dialogues_is_refused(packages, capsys):
    with pytest.raises(SystemExit):
        fillets.main([str(packages), "--language", "nl"])
    assert "no dialogue in nl" in capsys.readouterr().err


def test_a_sentence_stands_in_one_split_however_it_is_written():
    assert fillets.split_of("Jé, ještě žije!") == fillets.split_of("jé ... ještě žije")


def test_the_splits_have_about_the_sizes_they_should():
    splits = [
        fillets.split_of(f"věta {'ab'[i % 2]}{chr(97 + i % 26)}{'x' * i}") for i in range(900)
    ]
    shares = [splits.count(name) / len(splits) for name in ("train", "dev", "test")]
    assert np.allclose(shares, [0.7, 0.1, 0.2], atol=0.05)
