"""What a training step on cached frames costs: time and peak memory, measured with nothing beside.

Forty-eight utterances of five seconds, which is what a step of the tables learns from.
"""

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from model_export.checkpoint import build_from_spec
from model_export.errors import MeasuringRefused
from model_export.mixing.surgery import count_parameters
from model_export.paper.devices import (
    PRECISION,
    choose_device,
    free_memory,
    hardware_of,
    meter_of,
)
from model_export.paper.experiments import Experiment
from model_export.paper.learning import Batch, train_step
from model_export.paper.places import Places
from model_export.paper.results import Figures, Hardware, slug
from model_export.paper.shapes import DeviceKind
from model_export.training.masking import SpecAugment
from model_export.training.objective import CtcObjective
from service.bundle import Vocabulary

CLIPS, FRAMES, LABELS, TOKENS = 48, 250, 60, 45
CPU_CLIPS = 4


class Cost(BaseModel):
    """Of a training step.

    Attributes:
        mixer: what mixes the frames of the last layers.
        depth: how many layers that is.
        window_frames: half window; for `wsm` only.
        clips: in the batch, each of five seconds.
        learning: parameters that learn.
        figures: time and memory.
        hardware: where it was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mixer: str
    depth: int
    window_frames: int | None
    clips: int
    learning: int
    figures: Figures
    hardware: Hardware


def cost_path(folder: Path, experiment: Experiment) -> Path:
    """Where the cost of a step of an experiment is kept."""
    window = "" if experiment.window_frames is None else f"w{experiment.window_frames}"
    return folder / f"{slug(f'cost {experiment.mixer} last{experiment.depth} {window}')}.json"


def read_cost(folder: Path, experiment: Experiment) -> Cost | None:
    """The cost of a step of an experiment, if it was measured.

    Raises:
        MeasuringRefused: the file holds something else.
    """
    path = cost_path(folder, experiment)
    if not path.exists():
        return None
    try:
        return Cost.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise MeasuringRefused(f"{path} holds no cost: {error}") from error


def measure_costs(experiments: list[Experiment], places: Places, folder: Path) -> None:
    """Measure and keep the cost of a step of each experiment, one after the other."""
    kind = choose_device("auto")
    folder.mkdir(parents=True, exist_ok=True)
    for experiment in experiments:
        cost = _measure(experiment, places, kind)
        cost_path(folder, experiment).write_text(cost.model_dump_json(indent=1) + "\n")
        free_memory()


def _measure(experiment: Experiment, places: Places, kind: DeviceKind) -> Cost:
    vocabulary = _vocabulary()
    model = build_from_spec(places.spec_of(experiment, vocabulary)).to(kind)
    objective = CtcObjective(
        model,
        first_layer=places.first_layer(experiment),
        cached=True,
        blank_id=vocabulary.blank_id,
        spec=SpecAugment(),
    ).train()
    learning = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=1e-5, fused=kind == "cuda")
    batch = _noise(CLIPS if kind == "cuda" else CPU_CLIPS, model.width, kind)

    def step() -> None:
        train_step(objective, batch, optimiser, PRECISION[kind])

    step()  # so that the state of the optimiser is there
    optimiser.zero_grad()
    state = [value for each in optimiser.state.values() for value in each.values()]
    alive = [*model.parameters(), *model.buffers(), batch.inputs, batch.labels, *state]
    return Cost(
        mixer=experiment.mixer,
        depth=experiment.depth,
        window_frames=experiment.window_frames,
        clips=len(batch.indices),
        learning=count_parameters(model, trainable_only=True),
        figures=meter_of(kind).measure(step, alive),
        hardware=hardware_of(kind),
    )


def _vocabulary() -> Vocabulary:
    characters = tuple(chr(ord("À") + number) for number in range(TOKENS - 2))
    return Vocabulary(tokens=("<blank>", "|", *characters), blank_id=0, word_delimiter="|")


def _noise(clips: int, width: int, kind: DeviceKind) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        indices=list(range(clips)),
        inputs=torch.randn(clips, FRAMES, width, generator=generator).bfloat16().to(kind),
        lengths=torch.full((clips,), FRAMES, device=kind),
        labels=torch.randint(1, TOKENS, (clips, LABELS), generator=generator).to(kind),
    )
