"""Hugging Face data sets: from the hub by name, saved to disk, or a folder of Parquet files.

Audio is never decoded by `datasets`, whose decoder is not ours: it hands over bytes or a path.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_export.data.corpus import Reason, Skipped
from model_export.data.rows import (
    SPEAKER_COLUMNS,
    TEXT_COLUMNS,
    Row,
    Rows,
    Source,
    speaker_of,
)
from model_export.data.tables import check_columns, undecodable
from model_export.errors import ManifestInvalid

if TYPE_CHECKING:
    from datasets import Dataset

PREFIX = "hf:"
SYNTAX = f"{PREFIX}NAME[@REVISION][:CONFIG]#SPLIT"
PARQUET_PLACES = ("*.parquet", "*/*.parquet")


class StoredAudio:
    """The audio file in a row of a data set, read when it is asked for.

    Args:
        column: a data set of that column alone.
        name: of the column.
        index: of the row.
        place: of the row, for messages.
    """

    def __init__(self, column: "Dataset", name: str, index: int, place: str) -> None:
        self._column = column
        self._column_name = name
        self._index = index
        self._place = place

    def __str__(self) -> str:
        return self._place

    @property
    def name(self) -> str:
        """Stays the same from run to run."""
        return f"row-{self._index}"

    def read_bytes(self) -> bytes:
        """The whole file.

        Raises:
            OSError: the row has none, or names a file that cannot be read.
        """
        stored: dict[str, Any] = self._column[self._index][self._column_name] or {}
        if stored.get("bytes") is not None:
            return bytes(stored["bytes"])
        if not stored.get("path"):
            raise FileNotFoundError("the row has neither audio nor a path")
        return Path(stored["path"]).read_bytes()


def hub_rows(name: str, split: str) -> Rows:
    """Rows of a data set on the hub, or in the cache of what was fetched from there.

    Args:
        name: `NAME[@REVISION][:CONFIG]`.
        split: as `datasets` writes it: `train`, `train+validation`, `train[:10%]`.
    """
    if not split:
        raise ManifestInvalid(f"{PREFIX}{name} needs a split: {SYNTAX}")
    name, _, config = name.partition(":")
    name, _, revision = name.partition("@")
    with _explained(f"{PREFIX}{name}"):
        from datasets import load_dataset

        dataset = load_dataset(name, config or None, split=split, revision=revision or None)
    return _rows(dataset, f"{PREFIX}{name}{':' * bool(config)}{config}#{split}")


def _saved_rows(folder: Path, split: str) -> Rows:
    with _explained(str(folder)):
        from datasets import DatasetDict, load_from_disk

        dataset = load_from_disk(str(folder))
    if isinstance(dataset, DatasetDict):
        if split not in dataset:
            found = ", ".join(dataset)
            raise ManifestInvalid(f"{folder}#{split} is no split of this data set: {found}")
        return _rows(dataset[split], f"{folder}#{split}")
    if split and split != str(dataset.split):
        raise ManifestInvalid(
            f"{folder} has no split {split!r}; it is one data set: {dataset.split}"
        )
    return _rows(dataset, str(folder))


def _parquet_rows(folder: Path, split: str) -> Rows:
    if not split:
        raise ManifestInvalid(f"{folder} holds Parquet files; say {folder}#SPLIT, such as #train")
    with _explained(str(folder)):
        from datasets import load_dataset

        dataset = load_dataset(str(folder), split=split)
    return _rows(dataset, f"{folder}#{split}")


def _rows(dataset: "Dataset", what: str) -> Rows:
    dataset = dataset.with_format(None)  # it may have been saved to give tensors
    columns = dataset.column_names
    audio = _audio_column(what, dataset.features)
    check_columns(what, columns, (TEXT_COLUMNS,))
    text = next(name for name in TEXT_COLUMNS if name in columns)
    with _explained(what):
        from datasets import Audio

        recordings = dataset.select_columns([audio]).cast_column(audio, Audio(decode=False))
    words = dataset.select_columns([text, *(name for name in SPEAKER_COLUMNS if name in columns)])
    for index, fields in enumerate(words):
        place = f"{what}[{index}]"
        if fields[text] is None:
            yield Skipped(place, Reason.MISSING_FIELD, f"no {text!r}")
        else:
            stored = StoredAudio(recordings, audio, index, place)
            row = Row(place, stored, str(fields[text]), speaker=speaker_of(fields))
            yield undecodable(place, [fields[text]]) or row


def _audio_column(what: str, features: Mapping[str, Any]) -> str:
    from datasets import Audio

    def holds_audio(feature: Any) -> bool:  # noqa: ANN401  features have no common base
        # Parquet that `datasets` did not write lacks its type but has its fields.
        return isinstance(feature, Audio) or (
            isinstance(feature, dict) and feature.keys() == {"bytes", "path"}
        )

    found = [name for name, feature in features.items() if holds_audio(feature)]
    if "audio" in found or len(found) == 1:
        return "audio" if "audio" in found else found[0]
    listed = ", ".join(features)
    raise ManifestInvalid(f"{what} has {len(found)} audio columns, not one; its columns: {listed}")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Errors of `datasets`, most of which are about names, as one line."""
    import httpx
    from datasets.exceptions import DatasetsError

    known = (OSError, ValueError, KeyError, RuntimeError, DatasetsError, httpx.HTTPError)
    try:
        yield
    except known as error:
        causes = [error] if error.__cause__ is None else [error, error.__cause__]
        reason = ": ".join(" ".join(str(cause).split()) for cause in causes)
        hint = "; accept its terms on its page, then `hf auth login`" if "gated" in reason else ""
        raise ManifestInvalid(f"{what} cannot be loaded: {reason}{hint}") from error


def _is_saved(path: Path) -> bool:
    info = (path / "dataset_info.json", path / "state.json")
    return (path / "dataset_dict.json").is_file() or all(file.is_file() for file in info)


def _has_parquet(path: Path) -> bool:
    return any(next(path.glob(pattern), None) for pattern in PARQUET_PLACES)


SAVED = Source(
    "data set saved by Hugging Face", "dataset_dict.json or state.json", _is_saved, _saved_rows
)
PARQUET = Source("folder of Parquet files", "*.parquet", _has_parquet, _parquet_rows)
