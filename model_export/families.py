"""Encoder families: where attention and its norm sit, and how a base becomes a `CtcModel`.

What differs between families is the table `FAMILIES`; everything else treats them alike.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, PreTrainedModel, Wav2Vec2Model
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils import logging

from model_export import whisper_encoder
from model_export.ctc_model import CtcModel, FrontEndFacts, LayerNames
from model_export.errors import BaseUnavailable
from model_export.wav2vec2_encoder import Wav2Vec2Stem
from model_export.whisper_encoder import WhisperStem

CONFIG_FILE = "config.json"
PREPROCESSOR_FILE = "preprocessor_config.json"
WEIGHT_PATTERNS = (CONFIG_FILE, PREPROCESSOR_FILE, "*.safetensors", "*.safetensors.index.json")
# Masks inputs in pretraining; released fine-tuned models lack it, and nothing here calls it.
UNUSED_WEIGHTS = {"masked_spec_embed"}
WHISPER_LAYER = LayerNames("self_attn", "self_attn_layer_norm", ("fc1", "fc2", "final_layer_norm"))
WAV2VEC2_LAYER = LayerNames("attention", "layer_norm", ("feed_forward", "final_layer_norm"))


Builder = Callable[[Path, int], CtcModel]


def resolve_base(base: str) -> Path:
    """Folder of a base: a local folder, or a model of the hub (fetched, or from its cache).

    Raises:
        BaseUnavailable: neither exists, or the hub cannot be reached.
    """
    folder = Path(base).expanduser()
    if (folder / CONFIG_FILE).is_file():
        return folder
    if folder.is_dir():
        raise BaseUnavailable(f"{folder} has no {CONFIG_FILE}")
    try:
        return Path(snapshot_download(base, allow_patterns=list(WEIGHT_PATTERNS)))
    except (HFValidationError, RepositoryNotFoundError, LocalEntryNotFoundError) as error:
        raise BaseUnavailable(
            f"{base!r} is neither a local folder nor a model that can be fetched: {error}"
        ) from error


def builder_of(folder: Path) -> Builder:
    """Look up who builds a base of this architecture.

    Raises:
        BaseUnavailable: the configuration is damaged, or its architecture not in the table.
    """
    model_type = _config(folder).model_type
    if model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise BaseUnavailable(f"{folder} is a {model_type!r} model; known families: {known}")
    return FAMILIES[model_type]


def build_model(folder: Path, vocabulary_size: int) -> CtcModel:
    """Load a base in float32 under a fresh CTC head, in evaluation mode."""
    return builder_of(folder)(folder, vocabulary_size).eval()


def layer_count_of(folder: Path) -> int:
    """Number of encoder layers of a base."""
    config = _config(folder)
    return int(getattr(config, "encoder_layers", config.num_hidden_layers))


def _config(folder: Path) -> Any:  # noqa: ANN401  each architecture has its own
    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise BaseUnavailable(f"{folder / CONFIG_FILE} cannot be used: {error}") from error


def _build_whisper(folder: Path, vocabulary_size: int) -> CtcModel:
    encoder = _load(WhisperEncoder, folder, {r"^(model\.)?encoder\.": ""})
    stem = WhisperStem(encoder)
    return CtcModel(
        stem=stem,
        layers=encoder.layers,
        layer_names=WHISPER_LAYER,
        final_norm=encoder.layer_norm,
        head=nn.Linear(encoder.config.d_model, vocabulary_size),
        front_end=FrontEndFacts(
            samples_per_frame=whisper_encoder.SAMPLES_PER_FRAME,
            receptive_field_samples=whisper_encoder.RECEPTIVE_FIELD_SAMPLES,
            longest_pass_s=stem.longest_pass_s,
            convention=whisper_encoder.CONVENTION,
        ),
    )


def _build_wav2vec2(folder: Path, vocabulary_size: int) -> CtcModel:
    encoder = _load(Wav2Vec2Model, folder, None)
    stem = Wav2Vec2Stem(encoder, normalise_waveform=_wants_normalised(folder))
    stable = encoder.config.do_stable_layer_norm
    return CtcModel(
        stem=stem,
        layers=encoder.encoder.layers,
        layer_names=WAV2VEC2_LAYER,
        final_norm=encoder.encoder.layer_norm if stable else nn.Identity(),
        head=nn.Linear(encoder.config.hidden_size, vocabulary_size),
        front_end=FrontEndFacts(
            samples_per_frame=stem.features.samples_per_frame,
            receptive_field_samples=stem.features.receptive_field_samples,
            longest_pass_s=None,
            convention=stem.convention,
        ),
    )


def _load(kind: type[PreTrainedModel], folder: Path, renamed: dict[str, str] | None) -> Any:  # noqa: ANN401  transformers is not typed
    try:
        with _quiet():
            loaded: Any = kind.from_pretrained(
                folder, dtype="float32", key_mapping=renamed, output_loading_info=True
            )
    except (OSError, RuntimeError, SafetensorError) as error:
        raise BaseUnavailable(f"weights of {folder} cannot be loaded: {error}") from error
    model, report = loaded
    if missing := sorted(set(report["missing_keys"]) - UNUSED_WEIGHTS):
        raise BaseUnavailable(
            f"{folder} lacks {len(missing)} weights of {kind.__name__}, first {missing[0]!r}"
        )
    return model


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


def _wants_normalised(folder: Path) -> bool:
    """What the base says, or else what transformers' feature extractor does by default."""
    path = folder / PREPROCESSOR_FILE
    stated = json.loads(path.read_text()) if path.is_file() else {}
    return bool(stated.get("do_normalize", True))


FAMILIES: dict[str, Builder] = {"whisper": _build_whisper, "wav2vec2": _build_wav2vec2}
