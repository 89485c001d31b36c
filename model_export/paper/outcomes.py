"""What became of an experiment, kept as JSON: one file for each, so that any may be missing."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from model_export.errors import MeasuringRefused
from model_export.paper.experiments import Experiment


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClipErrors(_Frozen):
    """Edit distances of each clip of a test, in the set's order.

    Attributes:
        character_errors: insertions, deletions and substitutions.
        characters: of the reference.
        word_errors: the same of words.
        words: of the reference.
    """

    character_errors: tuple[int, ...]
    characters: tuple[int, ...]
    word_errors: tuple[int, ...]
    words: tuple[int, ...]

    @property
    def cer_percent(self) -> float:
        """Character error rate over all clips together."""
        return 100 * sum(self.character_errors) / sum(self.characters)

    @property
    def wer_percent(self) -> float:
        """Word error rate over all clips together."""
        return 100 * sum(self.word_errors) / sum(self.words)


class Test(_Frozen):
    """One model on one part of a set.

    Attributes:
        part: as `has_part` takes it.
        seconds: of speech.
        errors: by clip.
        examples: a few references with what was heard.
    """

    part: str
    seconds: float
    errors: ClipErrors
    examples: tuple[tuple[str, str], ...] = ()


class Evaluation(_Frozen):
    """On development clips, while learning.

    Attributes:
        step: of the optimiser.
        cer_percent: character error rate.
        wer_percent: word error rate.
    """

    step: int
    cer_percent: float
    wer_percent: float


class Outcome(_Frozen):
    """An experiment and what became of it.

    Attributes:
        experiment: what was asked for.
        base: name of the encoder.
        learning: parameters that learn.
        train_clips: learnt from.
        train_s: seconds of speech learnt from.
        dev_clips: that chose the best step.
        left_out: clips that are longer than the encoder takes or, of those to learn from, whose
            text does not fit their frames.
        evaluations: on development clips.
        tests: of the best step's model.
        learning_s: seconds that the steps took, beside other experiments on the same device.
        device: by name.
        precision: of the arithmetic.
        audio: how the set was stored.
        software: versions by name.
    """

    experiment: Experiment
    base: str
    learning: int
    train_clips: int
    train_s: float
    dev_clips: int
    left_out: int
    evaluations: tuple[Evaluation, ...]
    tests: tuple[Test, ...]
    learning_s: float
    device: str
    precision: str
    audio: str
    software: dict[str, str]

    @property
    def best(self) -> Evaluation:
        """The evaluation that chose the model."""
        return min(self.evaluations, key=lambda each: each.cer_percent)

    def test(self, part: str) -> Test | None:
        """On a part, if it was tested."""
        return next((test for test in self.tests if test.part == part), None)


def outcome_path(folder: Path, experiment: Experiment) -> Path:
    """Where it is kept."""
    return folder / f"{experiment.name}.json"


def keep(folder: Path, outcome: Outcome) -> None:
    """Write an outcome."""
    folder.mkdir(parents=True, exist_ok=True)
    path = outcome_path(folder, outcome.experiment)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(outcome.model_dump_json() + "\n", encoding="utf-8")
    unfinished.replace(path)


def find(folder: Path, experiments: Iterable[Experiment]) -> list[Outcome | None]:
    """The outcome of each experiment, None where there is none yet.

    Raises:
        MeasuringRefused: a file is not what `keep` writes.
    """
    paths = (outcome_path(folder, experiment) for experiment in experiments)
    return [_read(path) if path.exists() else None for path in paths]


def _read(path: Path) -> Outcome:
    try:
        return Outcome.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise MeasuringRefused(f"{path} holds no outcome: {error}") from error
