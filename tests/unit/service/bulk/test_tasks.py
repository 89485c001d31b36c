import os
from pathlib import Path

import pytest

from service.bulk.formats import Format
from service.bulk.outcomes import NothingGoes
from service.bulk.tasks import Task, find, plan

FILES = ("b.wav", "a.mp3", "sub/c.FLAC", "notes.txt", ".hidden.wav", ".trash/d.wav")


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def planned(named, formats=(), out=None):
    return plan(list(find(named)), formats, out)


def test_folders_are_searched_for_audio_and_named_files_are_taken_as_they_are(folder):
    named = [folder, folder / "notes.txt", folder / "none"]
    names = [task.source.relative_to(folder).as_posix() for task in planned(named)]
    assert names == ["a.mp3", "b.wav", "sub/c.FLAC", "notes.txt", "none"]


def test_a_folder_without_audio_is_told(tmp_path):
    with pytest.raises(NothingGoes, match="holds no file of audio"):
        planned([tmp_path])


def test_a_file_that_is_named_twice_is_transcribed_once(folder):
    (folder / "link.wav").symlink_to(folder / "b.wav")
    assert len(planned([folder, folder / "sub" / ".." / "b.wav", folder / "link.wav"])) == 3


def test_texts_lie_beside_the_files_or_as_they_do_in_another_folder(folder):
    formats = (Format.SRT, Format.JSON)
    deep = planned([folder], formats)[-1]
    assert deep.outputs == {form: folder / "sub" / f"c.{form}" for form in formats}
    deep = planned([folder], formats, Path("texts"))[-1]
    assert deep.outputs == {form: Path("texts", "sub", f"c.{form}") for form in formats}
    (single,) = planned([folder / "sub" / "c.FLAC"], (Format.TXT,), Path("texts"))
    assert single.outputs == {Format.TXT: Path("texts", "c.txt")}


def test_no_text_overwrites_that_of_another_file(folder):
    (folder / "b.mp3").write_bytes(b"")
    outputs = [task.outputs[Format.TXT].name for task in planned([folder], (Format.TXT,))]
    assert outputs == ["a.txt", "b.mp3.txt", "b.wav.txt", "c.txt"]


def test_complete_is_what_has_all_texts_and_newer_ones(folder):
    task = Task(folder / "b.wav", {Format.TXT: folder / "b.txt", Format.SRT: folder / "b.srt"})
    assert not task.is_complete()
    (folder / "b.txt").write_text("")
    assert not task.is_complete()
    (folder / "b.srt").write_text("")
    assert task.is_complete()
    os.utime(folder / "b.wav", (2**32, 2**32))
    assert not task.is_complete()
