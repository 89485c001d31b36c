"""Bases: pretrained encoders, from a local folder or a hub, and their weights for transformers.

Nothing of a base is ever run: no code from its repository, and no pickle but through torch's
`weights_only` reader, which knows tensors and refuses everything else.
"""

import contextlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging

from model_export.bases.files import CONFIG_FILE, weight_files
from model_export.bases.hub import commit_of, fetch
from model_export.errors import BaseUnavailable, one_line

# Masks inputs in pretraining; released fine-tuned models lack it, and nothing here calls it.
UNUSED_WEIGHTS = {"masked_spec_embed"}
# What transformers and torch raise at damaged files: whatever their readers stumble over.
UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    struct.error,
    SafetensorError,
    StrictDataclassError,
)


def resolve_base(base: str, revision: str | None = None) -> Path:
    """Folder of a base: a local folder, or a model of the hub (from its cache, or fetched).

    Args:
        base: folder, or name on the hub.
        revision: branch, tag or commit on the hub; None is the main branch.

    Raises:
        BaseUnavailable: neither exists, or the hub cannot be reached.
    """
    folder = Path(base).expanduser()
    if not folder.is_dir():
        folder = fetch(base, revision)
    elif revision not in (None, commit_of(folder)):
        raise BaseUnavailable(f"{folder} is a local folder; it has no revision {revision!r}")
    if not (folder / CONFIG_FILE).is_file():
        raise BaseUnavailable(f"{folder} has no {CONFIG_FILE}")
    return folder


def model_type_of(folder: Path) -> str:
    """Architecture of a base, as transformers calls it; it need not be one we know.

    Raises:
        BaseUnavailable: the configuration is damaged or does not say.
    """
    path = folder / CONFIG_FILE
    try:
        return str(json.loads(path.read_bytes())["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaseUnavailable(f"{path} is not the configuration of a model: {error!r}") from error


def read_config(folder: Path) -> Any:  # noqa: ANN401  each architecture has its own
    """Configuration of a base.

    Raises:
        BaseUnavailable: it is damaged, or of an architecture that transformers does not know.
    """
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except UNREADABLE as error:
        raise BaseUnavailable(
            f"{folder / CONFIG_FILE} cannot be used: {one_line(error)}"
        ) from error


def load_weights(
    kind: type[PreTrainedModel], folder: Path, renamed: dict[str, str] | None = None
) -> Any:  # noqa: ANN401  transformers is not typed
    """Load an encoder in float32, whatever the precision of its file.

    Heads and other weights that the encoder has no place for are left out.

    Args:
        kind: class of the encoder.
        folder: of the base.
        renamed: patterns of names in the file and what stands in the encoder's names instead.

    Raises:
        BaseUnavailable: the weights are damaged, incomplete, of other shapes, or more than weights.
    """
    file = weight_files(folder)[0]
    try:
        with _quiet():
            loaded: Any = kind.from_pretrained(
                folder,
                dtype="float32",
                key_mapping=renamed,
                use_safetensors=file.suffix == ".safetensors",
                weights_only=True,
                ignore_mismatched_sizes=True,  # they are listed below
                output_loading_info=True,
            )
    except UnpicklingError as error:
        raise BaseUnavailable(
            f"{file} is damaged, or holds Python objects beside tensors, which could run code and "
            "are not loaded; convert it to safetensors if you trust it"
        ) from error
    except UNREADABLE as error:
        raise BaseUnavailable(f"weights of {folder} cannot be loaded: {one_line(error)}") from error
    model, report = loaded
    _check_complete(report, f"{folder} as {kind.__name__}")
    return model


def _check_complete(report: dict[str, Any], subject: str) -> None:
    if missing := sorted(set(report["missing_keys"]) - UNUSED_WEIGHTS):
        raise BaseUnavailable(f"{subject} lacks {len(missing)} weights, first {missing[0]!r}")
    if odd := sorted(report["mismatched_keys"]):
        name, found, wanted = odd[0]
        raise BaseUnavailable(
            f"{subject} has {len(odd)} weights that do not fit its {CONFIG_FILE}, "
            f"first {name!r}: {tuple(found)}, not {tuple(wanted)}"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from listing the weights we do not want, such as a decoder's."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
