import pytest

from model_export.corpora.librispeech import read_sentences


@pytest.fixture
def corpus(tmp_path):
    def make(subset="dev-clean", speakers=("84", "251", "1919"), suffix=".flac"):
        for speaker in speakers:
            chapter = tmp_path / subset / speaker / "7"
            chapter.mkdir(parents=True)
            names = [f"{speaker}-7-000{number}" for number in range(2)]
            lines = "".join(f"{name} IT'S NOT FAR\n" for name in names)
            (chapter / f"{speaker}-7.trans.txt").write_text(lines)
            (chapter / f"{names[0]}{suffix}").touch()
        return tmp_path

    return make


def test_named_speakers_measure_and_choose(corpus):
    found = {sentence.speaker: sentence.split for sentence in read_sentences(corpus())}
    assert found == {"84": "train", "251": "dev", "1919": "test"}


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_texts_are_in_lower_case_and_what_is_not_recorded_is_skipped(corpus, suffix):
    (sentence,) = read_sentences(corpus(speakers=["84"], suffix=suffix))
    assert sentence.text == "it's not far"
    assert sentence.recording.name == f"84-7-0000{suffix}"
    assert sentence.recording.is_file()


def test_a_folder_without_that_subset_is_refused(corpus):
    with pytest.raises(FileNotFoundError, match="dev-clean"):
        list(read_sentences(corpus(subset="test-clean")))
