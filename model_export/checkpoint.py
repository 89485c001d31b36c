"""A checkpoint: what was asked for, and the trained tensors only.

    checkpoint.json        base, its digest, replaced layers, mixer, vocabulary, normalisation
    trained.safetensors    the tensors that learned

The frozen rest comes from the base, whose digest is held against the recorded one.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_export.bases.files import digest_of_base
from model_export.bases.loading import resolve_base
from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.errors import CheckpointInvalid
from model_export.mixing.chunking import obstacles, refuse_if
from model_export.mixing.freezing import AlsoTrain, freeze_all_but, trainable_names, trained_tensors
from model_export.mixing.surgery import add_layers, replace_attention
from service.bundle import Mixer, TextNormalisation, Vocabulary, WindowWeights

SPEC_FILE = "checkpoint.json"
WEIGHTS_FILE = "trained.safetensors"


class ModelSpec(BaseModel):
    """All that makes a fine-tuned model, but its trained tensors.

    Attributes:
        base: folder or hub name.
        base_revision: branch, tag or commit of the hub that was asked for, if any.
        base_commit: what that was on the hub, where known; it is what a checkpoint loads.
        base_digest: SHA-256 over the base's weights and configuration.
        languages: codes of the languages it was trained on.
        added_layers: copies of the last layer that were put on top of the base's own; they learn.
        layers: indices of the layers whose mixing learns, added ones included.
        mixer: what mixes there.
        window_frames: half window of WSM.
        window_weights: how WSM weighs the frames of a window.
        chunk_frames: of a stream, for which it was trained; None if it cannot stream.
        also_train: what learns beside mixers, their norms and the head.
        data: names of the training manifests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    base_revision: str | None = None
    base_commit: str | None = None
    base_digest: str
    languages: tuple[str, ...]
    added_layers: int = 0
    layers: tuple[int, ...]
    mixer: Mixer
    window_frames: int | None
    window_weights: WindowWeights = "mean"
    chunk_frames: int | None = None
    also_train: tuple[AlsoTrain, ...]
    vocabulary: Vocabulary
    text_normalisation: TextNormalisation
    data: tuple[str, ...]


def find_base(spec: ModelSpec) -> Path:
    """Folder of the very base that a checkpoint was trained on.

    Raises:
        BaseUnavailable: the base cannot be found.
        CheckpointInvalid: the base is not the recorded one.
    """
    folder = resolve_base(spec.base, spec.base_commit or spec.base_revision)
    if (found := digest_of_base(folder)) != spec.base_digest:
        raise CheckpointInvalid(
            f"base {folder} has digest {found[:12]}, the checkpoint needs {spec.base_digest[:12]}"
        )
    return folder


def build_from_spec(spec: ModelSpec) -> CtcModel:
    """Base with its mixers replaced and the right parameters frozen; new mixers are random.

    Raises:
        BaseUnavailable: the base cannot be found.
        CheckpointInvalid: the base is not the recorded one.
        StreamingRefused: it shall stream, and cannot.
    """
    streaming = spec.chunk_frames is not None
    model = build_model(find_base(spec), len(spec.vocabulary.tokens), streaming=streaming)
    add_layers(model, spec.added_layers)
    replace_attention(
        model,
        layers=spec.layers,
        mixer=spec.mixer,
        window_frames=spec.window_frames,
        window_weights=spec.window_weights,
    )
    if streaming:
        refuse_if(obstacles(model))
    learning = trainable_names(model, spec.layers, spec.also_train, spec.added_layers)
    freeze_all_but(model, learning)
    return model


def build_teacher(spec: ModelSpec) -> CtcModel:
    """Base with its own stem, its added layers and all its attention: what mixers can learn from.

    Raises:
        BaseUnavailable: the base cannot be found.
        CheckpointInvalid: the base is not the recorded one.
    """
    model = build_model(find_base(spec), len(spec.vocabulary.tokens))
    add_layers(model, spec.added_layers)
    return model


def save_checkpoint(folder: Path, spec: ModelSpec, model: CtcModel) -> None:
    """Write a checkpoint."""
    write_checkpoint(folder, spec, trained_tensors(model))


def write_checkpoint(folder: Path, spec: ModelSpec, trained: Mapping[str, Tensor]) -> None:
    """Write a checkpoint of tensors that need no model around them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in trained.items()}
    save_file(tensors, folder / WEIGHTS_FILE)
    (folder / SPEC_FILE).write_text(spec.model_dump_json(indent=2) + "\n")


def load_spec(folder: Path, *, base: str | None = None) -> ModelSpec:
    """Read what a checkpoint is.

    Args:
        folder: of the checkpoint.
        base: where the base lies now, if not where it was.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    path = folder / SPEC_FILE
    try:
        spec = ModelSpec.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointInvalid(f"{folder} is not a checkpoint: {error}") from error
    if base is None:
        return spec
    return spec.model_copy(update={"base": base, "base_revision": None, "base_commit": None})


def load_checkpoint(folder: Path, *, base: str | None = None) -> tuple[ModelSpec, CtcModel]:
    """Rebuild a fine-tuned model.

    Raises:
        CheckpointInvalid: files are missing, damaged, or do not fit the base.
        BaseUnavailable: the base cannot be found.
    """
    spec = load_spec(folder, base=base)
    model = build_from_spec(spec)
    load_trained(folder, model)
    return spec, model


def load_trained(folder: Path, model: CtcModel) -> None:
    """Take over a checkpoint's trained tensors.

    Args:
        folder: of the checkpoint.
        model: built and frozen alike.

    Raises:
        CheckpointInvalid: the file is missing, damaged, or of another model.
    """
    tensors = read_tensors(folder)
    names = sorted(tensors.keys() | trained_tensors(model).keys())
    _check_shapes(folder, names, tensors, trained_tensors(model))
    model.load_state_dict(tensors, strict=False)


def load_start(folder: Path, model: CtcModel) -> None:
    """Take over a checkpoint's trained tensors, whatever else will learn in this model.

    Args:
        folder: of the checkpoint.
        model: where all of them learn; what does not is saved in no checkpoint.

    Raises:
        CheckpointInvalid: the file is missing, damaged, or holds what does not learn here.
    """
    tensors = read_tensors(folder)
    _check_shapes(folder, sorted(tensors), tensors, trained_tensors(model))
    model.load_state_dict(tensors, strict=False)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """A checkpoint's trained tensors.

    Raises:
        CheckpointInvalid: the file is missing or damaged.
    """
    try:
        return load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise CheckpointInvalid(f"{folder / WEIGHTS_FILE} cannot be read: {error}") from error


def _check_shapes(
    folder: Path, names: list[str], found: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    odd = [name for name in names if _shape_of(name, found) != _shape_of(name, expected)]
    if odd:
        raise CheckpointInvalid(
            f"{folder / WEIGHTS_FILE} does not fit the model: "
            f"{len(odd)} tensors differ, first {odd[0]!r}"
        )


def _shape_of(name: str, tensors: Mapping[str, Tensor]) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
