"""The files of a base: which of them count, and their digest.

    config.json                          what it is
    preprocessor_config.json             how its input is prepared
    processor_config.json                    or here, beside its tokenizer's settings
    model.safetensors                    its weights, in the first of these forms that is there
    model.safetensors.index.json             and the shards it lists
    pytorch_model.bin                    old checkpoints, which only have a pickle
    pytorch_model.bin.index.json             and the shards it lists

Other files of a hub's repository (adapters, other precisions, other frameworks) are left alone.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model_export.bases.preprocessor import SETTINGS_FILES
from model_export.errors import BaseUnavailable, one_line
from service.bundle import sha256_of

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"  # of an attention decoder; encoders need none


@dataclass(frozen=True)
class WeightForm:
    """A way in which weights are kept.

    Attributes:
        file: the weights, or the index that lists the shards.
        shards: pattern of the shards' names; None for weights in a single file.
    """

    file: str
    shards: str | None = None


WEIGHT_FORMS = (
    WeightForm("model.safetensors"),
    WeightForm("model.safetensors.index.json", "model-*.safetensors"),
    WeightForm("pytorch_model.bin"),
    WeightForm("pytorch_model.bin.index.json", "pytorch_model-*.bin"),
)


def weight_form(names: Iterable[str], origin: object) -> WeightForm:
    """Choose the weights to load.

    Args:
        names: of the files that are there.
        origin: where that is, for the message.

    Raises:
        BaseUnavailable: there are none that can be loaded.
    """
    found = set(names)
    for form in WEIGHT_FORMS:
        if form.file in found:
            return form
    known = ", ".join(form.file for form in WEIGHT_FORMS)
    raise BaseUnavailable(f"{origin} holds no weights that can be loaded; looked for {known}")


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that a base's weights are loaded from, sorted.

    Raises:
        BaseUnavailable: there are none, the index is damaged, or a shard is missing.
    """
    form = weight_form((path.name for path in folder.iterdir()), folder)
    if form.shards is None:
        return (folder / form.file,)
    files = tuple(folder / name for name in _shards(folder / form.file))
    if missing := [path.name for path in files if not path.is_file()]:
        raise BaseUnavailable(
            f"{folder} lacks {len(missing)} of {len(files)} shards, first {missing[0]!r}"
        )
    return files


def digest_of_base(folder: Path) -> str:
    """SHA-256 over a base's weights and the configuration that gives them their meaning.

    Raises:
        BaseUnavailable: there are no weights.
    """
    meaning = [folder / name for name in (CONFIG_FILE, *SETTINGS_FILES)]
    files = [*(path for path in meaning if path.is_file()), *weight_files(folder)]
    return hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest()


def _shards(index: Path) -> list[str]:
    try:
        names = {str(name) for name in json.loads(index.read_bytes())["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaseUnavailable(f"{index} is no index of shards: {one_line(error)}") from error
    # A name with a folder in it would reach out of the base.
    if not names or any(Path(name).name != name for name in names):
        raise BaseUnavailable(f"{index} is no index of shards: it lists {sorted(names)[:1]}")
    return sorted(names)
