import shutil
from pathlib import Path

import numpy as np
import pytest
from recordings import SPEECH

from model_export.data import Reason, read_corpus, verify_audio
from model_export.data.recordings import FileSegment, load_waveform
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation

RULES = TextNormalisation()


@pytest.fixture
def kaldi(tmp_path: Path) -> Path:
    """A data folder with two recordings, of 2.99 s and 3.29 s."""
    for name in ("librivox-0880.flac", "librivox-0930.flac"):
        shutil.copy(SPEECH / name, tmp_path)
    write(tmp_path, "wav.scp", f"utt1 librivox-0880.flac\nutt2\t{tmp_path}/librivox-0930.flac\n")
    write(tmp_path, "text", "utt1 he was not\nutt2 \u00a0he might  even\n")
    return tmp_path


def write(folder: Path, name: str, content: str) -> None:
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))


def test_utterances_are_recordings(kaldi: Path) -> None:
    write(kaldi, "utt2spk", "utt1 ann\nutt2 bob\n")
    write(kaldi, "reco2dur", "utt1 9\nutt2 3.29\n")
    write(kaldi, "utt2dur", "utt1 2.99\n")
    corpus = read_corpus(str(kaldi), RULES)
    assert [(clip.text, clip.speaker, clip.seconds) for clip in corpus.clips] == [
        ("he was not", "ann", 2.99),
        ("he might even", "bob", 3.29),
    ]
    assert [clip.audio for clip in corpus.clips] == [
        kaldi / "librivox-0880.flac",
        kaldi / "librivox-0930.flac",
    ]
    assert corpus.clips[1].place == f"{kaldi}/text:2"
    assert corpus.skipped == ()


def test_utterances_are_segments(kaldi: Path) -> None:
    write(kaldi, "segments", "utt1 utt2 0.5 1.75\nutt2 utt2 1.75 -1\n")
    write(kaldi, "reco2dur", "utt1 9\nutt2 3.29\n")
    corpus = verify_audio(read_corpus(str(kaldi), RULES), "train")
    whole = load_waveform(kaldi / "librivox-0930.flac")
    first, second = (clip.audio for clip in corpus.clips)
    assert first == FileSegment(kaldi / "librivox-0930.flac", 0.5, 1.75)
    np.testing.assert_array_equal(load_waveform(first), whole[8000:28000])
    np.testing.assert_array_equal(load_waveform(second), whole[28000:])
    assert [clip.seconds for clip in corpus.clips] == [1.25, pytest.approx(1.54)]
    assert corpus.corrected == 0


def test_commands_are_not_run(kaldi: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    write(kaldi, "wav.scp", f"utt1 librivox-0880.flac\nutt2 touch {trap} |\n")
    (row,) = read_corpus(str(kaldi), RULES).skipped
    assert (row.reason, row.detail) == (Reason.SHELL_PIPE, f"touch {trap} |")
    assert not trap.exists()


def test_paths_may_be_relative_to_the_working_folder(
    kaldi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "data"
    deep.mkdir()
    write(deep, "wav.scp", "utt1 librivox-0880.flac\n")
    write(deep, "text", "utt1 he was not\n")
    assert read_corpus(str(deep), RULES).clips[0].audio == deep / "librivox-0880.flac"
    monkeypatch.chdir(tmp_path)
    assert read_corpus("data", RULES).clips[0].audio == Path("librivox-0880.flac")


@pytest.mark.parametrize(
    ("file", "line", "reason", "detail"),
    [
        ("text", "utt3 a", Reason.MISSING_AUDIO, "utt3 is not in segments"),
        ("text", "utt1 a", Reason.DUPLICATE, "utt1"),
        ("text", "utt1b \udcff", Reason.UNDECODABLE, "udcff"),
        ("segments", "utt4 utt1 0 1", Reason.EMPTY_TEXT, "utt4 is not in text"),
    ],
)
def test_bad_lines_are_skipped(
    kaldi: Path, file: str, line: str, reason: Reason, detail: str
) -> None:
    write(kaldi, "segments", "utt1 utt1 0 1\nutt2 utt2 0 1\n")
    with (kaldi / file).open("ab") as stream:
        stream.write(f"\n{line}\n".encode("utf-8", "surrogateescape"))
    corpus = read_corpus(str(kaldi), RULES)
    assert len(corpus.clips) == 2
    assert [row.reason for row in corpus.skipped] == [reason]
    assert detail in corpus.skipped[0].detail


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ("nowhere 0 1", Reason.MISSING_AUDIO),
        ("utt1 0", Reason.MALFORMED),
        ("utt1 0 1 A", Reason.MALFORMED),
        ("utt1 a b", Reason.MALFORMED),
        ("utt1 nan 1", Reason.MALFORMED),
        ("utt1 2 1", Reason.MALFORMED),
        ("", Reason.MALFORMED),
    ],
)
def test_bad_segments_are_skipped(kaldi: Path, times: str, reason: Reason) -> None:
    write(kaldi, "segments", f"utt1 {times}\nutt2 utt2 0 1\n")
    corpus = read_corpus(str(kaldi), RULES)
    assert [row.reason for row in corpus.skipped] == [reason]


def test_a_split_is_refused(kaldi: Path) -> None:
    with pytest.raises(ManifestInvalid, match="without splits such as 'train'"):
        read_corpus(f"{kaldi}#train", RULES)
