import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from model_export.corpora import english_people
from model_export.corpora.amazon_queen import Line
from model_export.corpora.speechocean import Sentence


def mp3(seconds):
    made = io.BytesIO()
    soundfile.write(made, np.zeros(int(seconds * 11025)), 11025, format="MP3")
    return made.getvalue()


@pytest.fixture
def rows(tmp_path, monkeypatch):
    def make(*texts, seconds=2):
        lines = [Line(str(n), text, "Joe", mp3(seconds)) for n, text in enumerate(texts)]
        wav = tmp_path / "learner.wav"
        soundfile.write(wav, np.zeros(16000), 16000)
        sentence = Sentence(wav, "we call it bear", "0005", "test")
        monkeypatch.setattr(english_people, "spoken_lines", lambda _: iter(lines))
        monkeypatch.setattr(english_people, "read_sentences", lambda _: iter([sentence]))
        english_people.main(["queen", "speechocean", str(tmp_path / "out")])
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
