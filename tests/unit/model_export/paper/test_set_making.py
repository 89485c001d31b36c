"""Sets made from folders that look like Debian's packages."""

import gzip
import json

import numpy as np
import pytest
import soundfile
from audio_files import encode

from model_export.cli import main
from model_export.corpora import asterisk, tuxpaint
from model_export.corpora.real_speech import packages_of
from model_export.errors import CorpusUnavailable
from model_export.paper.packages import unpack
from model_export.paper.set_making import differences, make_set
from model_export.paper.sets import MAIN_SPEAKERS, SetClip, has_part, read_set

PROMPTS = "agent: Agente conectado\nkeys: Pulse [la tecla]\n"


@pytest.fixture
def packages(tmp_path):
    """A prompt and a caption in Spanish, and a prompt that is not said as it is written."""
    folder = tmp_path / "packages"
    (folder / "packages").mkdir(parents=True)
    for package in packages_of("es"):
        (folder / "packages" / f"{package}.unpacked").touch()
    tone = 0.3 * np.sin(np.arange(2 * 44100, dtype=np.float32) * 0.05)
    prompts = asterisk.PROMPTS["es"]
    (folder / prompts.transcripts).parent.mkdir(parents=True)
    (folder / prompts.transcripts).write_bytes(gzip.compress(PROMPTS.encode()))
    (folder / prompts.sounds).mkdir(parents=True)
    for name in ("agent", "keys"):
        encode(tone[:32000], "g722", "g722", path=folder / prompts.sounds / f"{name}.g722")
    stamps = folder / tuxpaint.STAMPS
    stamps.mkdir(parents=True)
    (stamps / "dog.txt").write_text("A dog.\nes.utf8=Un perro  pequeño.\n")
    soundfile.write(stamps / "dog_desc_es.ogg", tone, 44100)
    return folder


@pytest.mark.parametrize("form", ["flac", "opus"])
def test_a_set_holds_what_can_be_learnt_from(packages, tmp_path, form):
    make_set("es", packages, tmp_path, form)

    prompt, caption = read_set(tmp_path, "es")
    assert (prompt.text, prompt.corpus, prompt.split) == ("agente conectado", "asterisk", "test")
    assert (caption.text, caption.speaker) == ("un perro pequeño", "tuxpaint-es-?")
    for clip in (prompt, caption):
        waveform, rate_hz = soundfile.read(clip.audio)
        assert rate_hz == 16000
        assert len(waveform) / rate_hz == pytest.approx(clip.seconds, abs=0.01)
        assert 0.2 < np.abs(waveform).max() < 0.5


def test_what_differs_from_a_list_is_told(packages, tmp_path, capsys):
    options = ["--languages", "es", "--packages", str(packages), "--sets", str(tmp_path)]
    listed = tmp_path / "list.jsonl"
    assert main(["paper", "sets", *options]) == 0
    assert "test 1 clips" in capsys.readouterr().out
    prompt, caption = map(json.loads, (tmp_path / "es.jsonl").read_text().splitlines())
    rows = [prompt | {"lang": "es", "split": "train"}, caption | {"lang": "es", "path": "other"}]
    rows.append(caption | {"lang": "fr"})
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))

    found = sorted(differences(tmp_path, "es", listed))

    assert found == sorted([
        f"{prompt['path']}: split 'test', not 'train'",
        f"{caption['path']} is only in the set",
        "other is only in the list",
    ])  # fmt: skip


def test_without_debian_it_is_told_what_to_unpack(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusUnavailable, match="unpack the Debian package fillets-ng-data into"):
        unpack(["fillets-ng-data"], tmp_path)


def test_parts_are_corpora_and_roles(tmp_path):
    main_role, minor_role = (
        SetClip(tmp_path, "ahoj", 1.0, speaker, "train", "fillets")
        for speaker in (min(MAIN_SPEAKERS), "fillets-cs-font_crab")
    )
    assert has_part(main_role, "main roles")
    assert has_part(minor_role, "minor roles")
    assert not has_part(main_role, "minor roles")
    assert has_part(minor_role, "fillets")
    assert has_part(minor_role, "all")
    assert not has_part(minor_role, "asterisk")
