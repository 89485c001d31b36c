from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import SPEECH

from model_export.data import Reason, read_corpus, verify_audio
from model_export.data.recordings import digests_of, load_waveform
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation

RULES = TextNormalisation()
FILES = [SPEECH / "librivox-0880.flac", SPEECH / "librivox-0930.flac"]
SENTENCES = ["He was not", "an ill"]


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, and a cache of one's own; `datasets` reads its settings when imported."""
    import datasets

    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def dataset(decode: bool = True, **columns: list[Any]) -> Any:
    """Two rows whose audio lies in them, as the hub's data sets have it."""
    from datasets import Audio, Dataset

    audio = [{"bytes": file.read_bytes(), "path": file.name} for file in FILES]
    made = Dataset.from_dict({"audio": audio, "sentence": SENTENCES, **columns})
    return made.cast_column("audio", Audio(decode=decode))


@pytest.mark.parametrize("decode", [True, False])
def test_a_saved_data_set_is_read_and_decoded_by_us(tmp_path: Path, decode: bool) -> None:
    folder = tmp_path / "saved"
    dataset(decode, client_id=["ann", None]).save_to_disk(folder)
    corpus = verify_audio(read_corpus(str(folder), RULES), "train")
    assert [(clip.text, clip.speaker) for clip in corpus.clips] == [
        ("he was not", "ann"),
        ("an ill", None),
    ]
    assert [clip.seconds for clip in corpus.clips] == [2.99, pytest.approx(3.29)]
    assert corpus.clips[1].place == str(corpus.clips[1].audio) == f"{folder}[1]"
    for clip, file in zip(corpus.clips, FILES, strict=True):
        np.testing.assert_array_equal(load_waveform(clip.audio), load_waveform(file))
    assert digests_of(clip.audio for clip in corpus.clips) == digests_of(FILES)


def test_a_data_set_that_gives_arrays_is_read_all_the_same(tmp_path: Path) -> None:
    dataset(decode=False, client_id=[3, 4]).with_format("numpy").save_to_disk(tmp_path)
    corpus = verify_audio(read_corpus(str(tmp_path), RULES), "train")
    assert [(clip.text, clip.speaker, clip.seconds) for clip in corpus.clips] == [
        ("he was not", "3", 2.99),
        ("an ill", "4", pytest.approx(3.29)),
    ]


def test_a_split_of_several_is_chosen(tmp_path: Path) -> None:
    from datasets import DatasetDict

    folder = tmp_path / "saved"
    DatasetDict({"train": dataset(), "dev": dataset().select([1])}).save_to_disk(folder)
    assert [clip.text for clip in read_corpus(f"{folder}#dev", RULES).clips] == ["an ill"]
    for split in ("", "#test"):
        with pytest.raises(ManifestInvalid, match=r"is no split of this data set: train, dev$"):
            read_corpus(f"{folder}{split}", RULES)


def test_a_damaged_folder_is_an_error(tmp_path: Path) -> None:
    dataset().save_to_disk(tmp_path)
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(ManifestInvalid, match="cannot be loaded: "):
        read_corpus(str(tmp_path), RULES)


def test_a_lone_saved_split_has_no_other_name(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    dataset().save_to_disk(folder)
    with pytest.raises(ManifestInvalid, match="no split 'train'; it is one data set: None"):
        read_corpus(f"{folder}#train", RULES)


@pytest.mark.parametrize("prefix", ["", "hf:"])
def test_a_folder_of_parquet_is_read(tmp_path: Path, prefix: str) -> None:
    folder = tmp_path / "parquet"
    (folder / "data").mkdir(parents=True)
    dataset().to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    corpus = verify_audio(read_corpus(f"{prefix}{folder}#train", RULES), "train")
    assert [clip.seconds for clip in corpus.clips] == [2.99, pytest.approx(3.29)]
    with pytest.raises(ManifestInvalid, match='Unknown split "dev"'):
        read_corpus(f"{prefix}{folder}#dev", RULES)
    with pytest.raises(ManifestInvalid, match="#SPLIT"):
        read_corpus(f"{prefix}{folder}", RULES)


def test_rows_without_text_or_audio_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Audio, Dataset

    audio = [
        {"bytes": None, "path": str(FILES[0])},
        {"bytes": None, "path": str(tmp_path / "gone.wav")},
        {"bytes": None, "path": None},
        None,
        {"bytes": b"not audio", "path": None},
        {"bytes": FILES[1].read_bytes(), "path": None},
    ]
    made = Dataset.from_dict({"speech": audio, "text": [*"abcde", None]})
    made = made.cast_column("speech", Audio())
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: made)
    corpus = verify_audio(read_corpus("hf:org/set#train", RULES), "train")
    assert [(clip.text, clip.seconds) for clip in corpus.clips] == [("a", 2.99)]
    assert [(row.place[-3:], row.reason) for row in corpus.skipped] == [
        ("[5]", Reason.MISSING_FIELD),
        ("[1]", Reason.MISSING_AUDIO),
        ("[2]", Reason.MISSING_AUDIO),
        ("[3]", Reason.MISSING_AUDIO),
        ("[4]", Reason.UNREADABLE_AUDIO),
    ]


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({"sentence": "words"}, r"no column 'text' or .*; it has: audio, words$"),
        ({"audio": "speech"}, None),
    ],
)
def test_columns_are_found_by_name_and_type(
    tmp_path: Path, renamed: dict[str, str], message: str | None
) -> None:
    folder = tmp_path / "saved"
    dataset().rename_columns(renamed).save_to_disk(folder)
    if message is None:
        assert len(read_corpus(str(folder), RULES).clips) == 2
        return
    with pytest.raises(ManifestInvalid, match=message):
        read_corpus(str(folder), RULES)


def test_a_data_set_without_audio_lists_its_columns(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    dataset().remove_columns("audio").save_to_disk(folder)
    with pytest.raises(ManifestInvalid, match=r"0 audio columns, not one; its columns: sentence$"):
        read_corpus(str(folder), RULES)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hf:org/set", r"needs a split: hf:NAME\[@REVISION\]\[:CONFIG\]#SPLIT"),
        ("hf:org/set@v1:cs#train", "^hf:org/set cannot be loaded: .*[Oo]ffline"),
        ("hf:./gone#train", "^hf:./gone cannot be loaded: "),
    ],
)
def test_a_name_that_cannot_be_loaded_is_one_line(reference: str, message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message) as raised:
        read_corpus(reference, RULES)
    assert "\n" not in str(raised.value)


def test_a_gated_data_set_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets.exceptions import DatasetNotFoundError

    asked: list[Any] = []

    def refuse(*names: str, **options: str) -> None:
        asked.append((names, options))
        raise DatasetNotFoundError("Dataset 'org/set' is a gated dataset on the Hub.")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(ManifestInvalid, match="accept its terms on its page, then `hf auth login`"):
        read_corpus("hf:org/set@v1:cs#train[:10%]", RULES)
    assert asked == [(("org/set", "cs"), {"split": "train[:10%]", "revision": "v1"})]
