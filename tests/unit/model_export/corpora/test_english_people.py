import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from model_export.corpora import english_people
from model_export.corpora.amazon_queen import Line
from model_export.corpora.rows import Sentence


def mp3(seconds):
    made = io.BytesIO()
    soundfile.write(made, np.zeros(int(seconds * 11025)), 11025, format="MP3")
    return made.getvalue()


@pytest.fixture
def rows(tmp_path, monkeypatch):
    def make(*texts, seconds=2, folders=()):
        lines = [Line(str(n), text, "Joe", mp3(seconds)) for n, text in enumerate(texts)]
        wav = tmp_path / "learner.wav"
        soundfile.write(wav, np.zeros(16000), 16000)
        sentence = Sentence(wav, "we call it bear", "0005", "test")
        monkeypatch.setattr(english_people, "spoken_lines", lambda _: iter(lines))
        monkeypatch.setitem(english_people.READERS, "speechocean", lambda _: iter([sentence]))
        english_people.main(["queen", "speechocean", str(tmp_path / "out"), *folders])
        manifest = (tmp_path / "out" / "manifest.jsonl").read_text()
        return [json.loads(line) for line in manifest.splitlines()]

    return make


def test_both_sources_become_one_manifest(rows, tmp_path):
    game, learner = rows("You couldn't pilot it, Joe!")
    assert (game["audio"], game["speaker"]) == ("queen/0.flac", "queen-Joe")
    assert game["text"] == "You couldn't pilot it, Joe!"
    assert (learner["audio"], learner["split"]) == ("speechocean/learner.flac", "test")
    assert learner["speaker"] == "speechocean-0005"
    for row in (game, learner):
        assert soundfile.info(tmp_path / "out" / row["audio"]).duration == pytest.approx(
            row["seconds"], abs=1e-3
        )


@pytest.mark.parametrize("text", ["Zzzap it!", "H", "10 items", "coupon ^_", "...", ""])
def test_noises_signs_and_single_letters_are_left_out(rows, text):
    assert [Path(row["audio"]).parent.name for row in rows(text)] == ["speechocean"]


def test_recordings_too_long_for_their_text_are_left_out(rows):
    assert len(rows("Hm well", seconds=30)) == 1


def test_a_line_is_learned_from_or_chooses_by_its_words_alone():
    assert english_people._share("Hello there!") == english_people._share("hello, there")
    shares = [english_people._share("x" * n + "y" * (n % 7)) for n in range(400)]
    assert shares.count(0) / len(shares) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("corpus", ["librispeech", "an4", "common_voice"])
def test_more_corpora_come_after_the_others_at_16_khz(rows, tmp_path, monkeypatch, corpus):
    ogg = tmp_path / "more.ogg"
    soundfile.write(ogg, np.zeros(48_000), 48_000)
    more = Sentence(ogg, "it's not far", "84", "dev")
    monkeypatch.setitem(english_people.READERS, corpus, lambda _: iter([more]))
    before = rows("You couldn't pilot it, Joe!")
    folders = [f"--{corpus.replace('_', '-')}", str(tmp_path)]
    *same, last = rows("You couldn't pilot it, Joe!", folders=folders)
    assert same == before
    assert last == {
        "audio": f"{corpus}/more.flac",
        "text": "it's not far",
        "seconds": 1.0,
        "speaker": f"{corpus}-84",
        "split": "dev",
    }
    assert soundfile.info(tmp_path / "out" / last["audio"]).samplerate == 16_000


def test_recordings_without_a_header_are_read(rows, tmp_path, monkeypatch):
    raw = tmp_path / "an251-fash-b.raw"
    raw.write_bytes(bytes([1, 2]) * 16_000)
    monkeypatch.setitem(
        english_people.READERS, "an4", lambda _: iter([Sentence(raw, "yes", "fash", "train")])
    )
    rows("You couldn't pilot it, Joe!", folders=["--an4", str(tmp_path)])
    written, _ = soundfile.read(tmp_path / "out/an4/an251-fash-b.flac", dtype="int16")
    assert written.tolist() == [0x102] * 16_000
