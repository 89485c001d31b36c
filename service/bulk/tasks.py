"""Which files are to be transcribed, and where their texts go."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.bulk.formats import Format
from service.bulk.outcomes import ExitCode, NothingGoes

AUDIO_SUFFIXES = re.compile(
    r"\.(3gp|aac|aiff?|amr|au|avi|caf|flac|m4[av]|mk[av]|mov|mp[234]|mpe?g|mpga|og[agv]|opus|wav"
    r"|webm|wm[av])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Task:
    """One file.

    Attributes:
        source: the file, as the user named it.
        outputs: where its texts go, by format; none are printed.
    """

    source: Path
    outputs: Mapping[Format, Path] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Of the file; 0 if it cannot be told."""
        try:
            return self.source.stat().st_size
        except OSError:
            return 0

    def is_complete(self) -> bool:
        """Whether all its texts are there, and newer than the file."""
        try:
            changed_s = self.source.stat().st_mtime
            return all(path.stat().st_mtime >= changed_s for path in self.outputs.values())
        except OSError:
            return False


@dataclass(frozen=True)
class Found:
    """A file of audio, and its place below the folder that was named; its name if none was."""

    path: Path
    place: Path


def find(named: Iterable[Path]) -> Iterator[Found]:
    """Files as they are named, and in folders, sorted, all of audio and video but for hidden ones.

    Raises:
        NothingGoes: a folder holds none.
    """
    for path in named:
        if not path.is_dir():
            yield Found(path, Path(path.name))
            continue
        inside = sorted(_audio_in(path))
        if not inside:
            raise NothingGoes(f"{path} holds no file of audio", ExitCode.USAGE)
        yield from (Found(file, file.relative_to(path)) for file in inside)


def plan(found: Sequence[Found], formats: Sequence[Format], out: Path | None) -> list[Task]:
    """A task for each file, once.

    Args:
        found: the files.
        formats: to write; none prints.
        out: folder of the texts, which are laid out as the files are; None puts them beside these.
    """
    once = list({os.path.realpath(one.path): one for one in found}.values())
    stems = {one.path: _home(one, out) / one.path.stem for one in once}
    taken = Counter(stems.values())
    return [Task(one.path, _outputs(stems[one.path], one.path, formats, taken)) for one in once]


def _outputs(
    stem: Path, path: Path, formats: Sequence[Format], taken: Mapping[Path, int]
) -> dict[Format, Path]:
    """`talk.srt` of `talk.mp3`; but of `talk.mp3` beside `talk.wav`, `talk.mp3.srt`."""
    name = path.name if taken[stem] > 1 else stem.name
    return {form: stem.parent / f"{name}.{form}" for form in formats}


def _home(one: Found, out: Path | None) -> Path:
    return one.path.parent if out is None else out / one.place.parent


def _audio_in(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and AUDIO_SUFFIXES.fullmatch(Path(name).suffix):
                yield Path(root, name)
