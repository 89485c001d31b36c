import json

import numpy as np
import pytest
import soundfile

from model_export.corpora import tuxpaint

CAPTIONS = {
    "dog": "A dog.\nes.utf8=Un perro  pequeño.\nes_MX.utf8=Un perrito.\n",
    "coin": "A coin.\nes.utf8=Una moneda de 1 dólar.\n",
    "sigh": "Sigh.\nes.utf8=Ay.\n",
    "mute": "Nobody read this.\nes.utf8=Nadie leyó esto.\n",
    "english": "Only in English.\n",
}


@pytest.fixture
def packages(tmp_path):
    animals = tmp_path / tuxpaint.STAMPS / "animals"
    animals.mkdir(parents=True)
    for name, caption in CAPTIONS.items():
        (animals / f"{name}.txt").write_text(caption, encoding="utf-8")
        if name != "mute":
            soundfile.write(animals / f"{name}_desc_es.ogg", np.zeros(2 * 44100), 44100)
    return tmp_path


def test_rows_are_readings_whose_caption_is_what_is_said(packages):
    tuxpaint.main([str(packages), "--language", "es"])
    (row,) = map(json.loads, (packages / "es.jsonl").read_text().splitlines())
    assert (row["text"], row["seconds"], row["split"]) == ("Un perro  pequeño.", 2.0, "test")
    assert (packages / row["audio"]).name == "dog_desc_es.ogg"


def test_a_language_nobody_reads_is_refused(packages, capsys):
    with pytest.raises(SystemExit):
        tuxpaint.main([str(packages), "--language", "xx"])
    assert "holds no readings in 'xx'" in capsys.readouterr().err
