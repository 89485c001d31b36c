import numpy as np
import pytest
import soundfile

from model_export.corpora.common_voice import _split, read_sentences

TABLE = """filename,text,up_votes,down_votes,age,gender,accent,duration
cv-valid-dev/a.mp3,they mounted their horses,1,0,,,,
cv-valid-dev/rejected.mp3,they mounted their horses,3,1,,,,
cv-valid-dev/gone.mp3,they mounted their horses,1,0,,,,
cv-valid-dev/b.mp3,"well, that's all i ask ",1,0,teens,male,us,
cv-valid-dev/long.mp3,oh no,1,0,,,,
"""


@pytest.fixture
def corpus(tmp_path):
    clips = tmp_path / "cv-valid-dev"
    (clips / "cv-valid-dev").mkdir(parents=True)
    (tmp_path / "cv-valid-dev.csv").write_text(TABLE)
    places = {"a": clips, "rejected": clips, "long": clips, "b": clips / "cv-valid-dev"}
    for name, folder in places.items():
        silence = np.zeros(48_000 * (5 if name == "long" else 2))
        soundfile.write(folder / f"{name}.mp3", silence, 48_000, format="MP3")
    return tmp_path


def test_clips_are_found_that_are_there_that_nobody_rejected_and_that_fit(corpus):
    found = {sentence.recording.name: sentence for sentence in read_sentences(corpus)}
    assert sorted(found) == ["a.mp3", "b.mp3"]
    assert found["b.mp3"].text == "well, that's all i ask"
    assert found["b.mp3"].recording.is_file()
    assert found["a.mp3"].speaker == "?"


def test_a_sentence_stands_in_one_split_by_its_words_alone():
    assert _split("Hello there!") == _split("hello, there")
    splits = [_split("x" * n + "y" * (n % 7)) for n in range(400)]
    assert splits.count("test") / len(splits) == pytest.approx(0.05, abs=0.03)
    assert splits.count("dev") / len(splits) == pytest.approx(0.05, abs=0.03)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_sentences(tmp_path))
