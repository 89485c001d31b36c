"""Kaldi data folders: wav.scp and text, and segments, utt2spk, utt2dur, reco2dur if there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path

from model_export.data.corpus import Reason, Skipped
from model_export.data.recordings import Audio, FileSegment
from model_export.data.rows import Row, Rows, Source
from model_export.data.tables import numbered_lines, undecodable
from model_export.errors import ManifestInvalid

SPACE = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class _Folder:
    """The files of a data folder but `text`, each by the first word of its lines."""

    path: Path
    recordings: dict[str, str]
    segments: dict[str, str] | None
    speakers: dict[str, str]
    utterances_s: dict[str, str]
    recordings_s: dict[str, str]

    def row(self, place: str, utterance: str, text: str) -> Row | Skipped:
        """The row of an utterance."""
        audio = self._audio(place, utterance)
        if isinstance(audio, Skipped):
            return audio
        seconds = self.utterances_s.get(utterance)
        if seconds is None and self.segments is None:
            seconds = self.recordings_s.get(utterance)
        return Row(place, audio, text, seconds, self.speakers.get(utterance))

    def _audio(self, place: str, utterance: str) -> Audio | Skipped:
        if self.segments is None:
            return self._file(place, utterance)
        if utterance not in self.segments:
            return Skipped(place, Reason.MISSING_AUDIO, f"{utterance} is not in segments")
        recording, *times = SPACE.split(self.segments[utterance])
        try:
            start_s, end_s = (float(time) for time in times)
        except ValueError:
            shown = f"segments has {self.segments[utterance]!r}, not RECORDING START END"
            return Skipped(place, Reason.MALFORMED, shown)
        if not 0 <= start_s < (end_s if end_s >= 0 else float("inf")):
            return Skipped(place, Reason.MALFORMED, f"a segment from {start_s:g} to {end_s:g} s")
        file = self._file(place, recording)
        if isinstance(file, Skipped):
            return file
        return FileSegment(file, start_s, end_s if end_s >= 0 else None)

    def _file(self, place: str, recording: str) -> Path | Skipped:
        name = self.recordings.get(recording)
        if name is None:
            return Skipped(place, Reason.MISSING_AUDIO, f"{recording} is not in wav.scp")
        if name.startswith("|") or name.endswith("|"):
            return Skipped(place, Reason.SHELL_PIPE, name)
        beside = self.path / name
        return Path(name) if not isfile(beside) and isfile(name) else beside


def _rows(path: Path, split: str) -> Rows:
    if split:
        raise ManifestInvalid(f"{path} is a Kaldi data folder, without splits such as {split!r}")
    folder = _read(path)
    with_text = set()
    for place, line in numbered_lines(path / "text"):
        utterance, text = _first_word(line)
        if not utterance:
            continue
        if utterance in with_text:
            yield Skipped(place, Reason.DUPLICATE, utterance)
        else:
            with_text.add(utterance)
            yield undecodable(place, [line]) or folder.row(place, utterance, text)
    index = "wav.scp" if folder.segments is None else "segments"
    for utterance in folder.recordings if folder.segments is None else folder.segments:
        if utterance not in with_text:
            yield Skipped(str(path / index), Reason.EMPTY_TEXT, f"{utterance} is not in text")


def _read(path: Path) -> _Folder:
    def table(name: str) -> dict[str, str]:
        return dict(_pairs(path / name)) if (path / name).is_file() else {}

    return _Folder(
        path,
        recordings=table("wav.scp"),
        segments=table("segments") if (path / "segments").is_file() else None,
        speakers=table("utt2spk"),
        utterances_s=table("utt2dur"),
        recordings_s=table("reco2dur"),
    )


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    pairs = (_first_word(line) for _, line in numbered_lines(path))
    return ((word, rest) for word, rest in pairs if word)


def _first_word(line: str) -> tuple[str, str]:
    word, *rest = SPACE.split(line.strip(" \t\r"), maxsplit=1)
    return word, rest[0] if rest else ""


def _recognises(path: Path) -> bool:
    return (path / "wav.scp").is_file() and (path / "text").is_file()


SOURCE = Source("Kaldi data folder", "wav.scp and text", _recognises, _rows)
