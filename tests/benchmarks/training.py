"""What the benchmarks of fine-tuning learn with: bases, a model of one, and its steps."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import WhisperConfig, WhisperModel

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.mixing.freezing import first_trained_layer, freeze_all_but, trainable_names
from model_export.mixing.surgery import replace_attention, select_layers
from model_export.training.masking import SpecAugment
from model_export.training.objective import CtcObjective
from model_export.training.training_data import Examples, collate
from tests.benchmarks import options
from tests.benchmarks.shapes import DIMENSIONS, WINDOW_FRAMES, save_attention

VOCABULARY_SIZE = 32
DEFAULT_SHAPE = "default base"
WAV2VEC2_SHAPE = "wav2vec2-base"


@dataclass(frozen=True)
class Recipe:
    """What learns.

    Attributes:
        mixer: what mixes in the layers.
        layers: which layers.
        whole: whether all else in these layers, and the norm behind the last, learns too.
    """

    mixer: str
    layers: str
    whole: bool


WSM = Recipe("wsm", "last:2", whole=False)
FULL = Recipe("attention", "all", whole=True)


def base(shape: str) -> Path:
    """Folder of an encoder of a shape, with random weights but for `BENCH_BASE`."""
    if shape == DEFAULT_SHAPE and options.BASE:
        return Path(options.BASE)
    folder = options.CACHE / "bases" / shape.replace(" ", "-")
    if not (folder / "config.json").is_file():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        if shape == DEFAULT_SHAPE:
            _save_whisper(unfinished)
        else:
            save_attention(unfinished, "base", DIMENSIONS["base"][1])
        unfinished.rename(folder)
    return folder


def objective(folder: Path, recipe: Recipe, *, cached: bool = False) -> CtcObjective:
    """A model that learns by a recipe, from waveforms or from cached frames."""
    torch.manual_seed(0)
    model = build_model(folder, VOCABULARY_SIZE)
    layers = select_layers(recipe.layers, len(model.layers))
    window_frames = WINDOW_FRAMES if recipe.mixer == "wsm" else None
    replace_attention(model, layers=layers, mixer=recipe.mixer, window_frames=window_frames)
    also = ("feed-forward", "final-norm") if recipe.whole else ()
    freeze_all_but(model, trainable_names(model, layers, also))
    first_layer = first_trained_layer(model, layers)
    return CtcObjective(
        model, first_layer=first_layer, cached=cached, blank_id=0, spec=SpecAugment()
    )


class Learner:
    """Steps of AdamW on an objective.

    Args:
        learning: the objective.
    """

    def __init__(self, learning: CtcObjective) -> None:
        self._objective = learning.train()
        parameters = [value for value in learning.parameters() if value.requires_grad]
        self._optimiser = torch.optim.AdamW(parameters, lr=1e-4)

    def epoch(self, examples: Examples, batches: Sequence[Sequence[int]]) -> None:
        """Learn from each batch once."""
        for batch in batches:
            self._optimiser.zero_grad()
            inputs = collate([examples[index] for index in batch])
            self._objective(**inputs)["loss"].backward()
            self._optimiser.step()


def width_and_layers(model: CtcModel) -> str:
    """For a table."""
    return f"{model.width} x {len(model.layers)}"


def _save_whisper(folder: Path) -> None:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=384,
        encoder_layers=4,
        encoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_layers=1,
        decoder_attention_heads=6,
        decoder_ffn_dim=64,
    )
    WhisperModel(config).eval().save_pretrained(folder)
