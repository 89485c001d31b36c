import pytest

from model_export.corpora.speechocean import read_sentences


@pytest.fixture
def repository(tmp_path):
    for half, speakers in [("train", ("0001",)), ("test", ("0005", "0006", "0007"))]:
        (tmp_path / half).mkdir()
        names = [f"{speaker}10011" for speaker in speakers]
        tables = {
            "text": [f"{name}\tWE CALL IT BEAR" for name in names],
            "wav.scp": [f"{name}\tWAVE/{name}.WAV" for name in names],
            "utt2spk": [f"{name} {name[:4]}" for name in names],
        }
        for table, rows in tables.items():
            (tmp_path / half / table).write_text("".join(f"{row}\n" for row in rows))
    return tmp_path


def test_of_the_second_half_every_fifth_speaker_measures_and_every_fifth_chooses(repository):
    found = {sentence.speaker: sentence.split for sentence in read_sentences(repository)}
    assert found == {"0001": "train", "0005": "test", "0006": "dev", "0007": "train"}


def test_texts_are_in_lower_case_and_recordings_in_the_clone(repository):
    sentence = next(read_sentences(repository))
    assert sentence.text == "we call it bear"
    assert sentence.recording == repository / "WAVE" / "000110011.WAV"


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_sentences(tmp_path))
