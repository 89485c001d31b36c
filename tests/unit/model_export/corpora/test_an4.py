import pytest
import soundfile

from model_export.corpora.an4 import LAYOUT, read_sentences

TRAIN = "<s> YES </s> (an251-fash-b)\n<s> G L A SIX </s> (cen1-fejs-b)\n"
TEST = "RUBOUT G M (an406-mdms2-b)\nNINETEEN (cen3-mjwl-b)\n"


@pytest.fixture
def corpus(tmp_path):
    def make(train=TRAIN, test=TEST):
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc" / "an4_train.transcription").write_text(train)
        (tmp_path / "etc" / "an4_test.transcription").write_text(test)
        return tmp_path

    return make


def test_the_second_half_measures_and_some_speakers_of_the_first_choose(corpus):
    found = [(sentence.speaker, sentence.split) for sentence in read_sentences(corpus())]
    assert found == [("fash", "train"), ("fejs", "dev"), ("mdms2", "test")]


def test_texts_are_in_lower_case_without_the_signs_around_them(corpus):
    texts = [sentence.text for sentence in read_sentences(corpus())]
    assert texts == ["yes", "g l a six", "rubout g m"]  # and not the prompt


def test_recordings_lie_by_half_and_speaker_with_the_high_byte_first(corpus):
    folder = corpus()
    recordings = [sentence.recording for sentence in read_sentences(folder)]
    assert recordings[0] == folder / "wav" / "an4_clstk" / "fash" / "an251-fash-b.raw"
    assert recordings[2] == folder / "wav" / "an4test_clstk" / "mdms2" / "an406-mdms2-b.raw"
    recordings[0].parent.mkdir(parents=True)
    recordings[0].write_bytes(bytes([1, 2]))
    waveform, rate_hz = soundfile.read(recordings[0], dtype="int16", **LAYOUT)
    assert (waveform.tolist(), rate_hz) == ([0x102], 16_000)


def test_a_line_that_is_no_transcript_is_refused(corpus):
    with pytest.raises(ValueError, match="YES"):
        list(read_sentences(corpus(train="YES\n")))


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_sentences(tmp_path))
