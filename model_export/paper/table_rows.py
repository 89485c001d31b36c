"""Rows of the tables of error rates, and what their cells say."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.paper.comparing import Unit, difference, has_test, rate_of, spread
from model_export.paper.costs import read_cost
from model_export.paper.experiments import Experiment
from model_export.paper.outcomes import Outcome, find

NAMES = {
    "attention": "pretrained attention",
    "random-attention": "random attention",
    "sm": "SummaryMixing",
    "wsm": "WSM",
}
MISSING = "-"


@dataclass(frozen=True)
class Row:
    """Runs that differ by seed alone, those that are there.

    Attributes:
        experiment: what they have in common.
        outcomes: at least one.
    """

    experiment: Experiment
    outcomes: list[Outcome]

    def is_like(self, **facts: object) -> bool:
        """Whether its experiment has these facts."""
        return all(getattr(self.experiment, name) == fact for name, fact in facts.items())

    @property
    def mixer(self) -> str:
        """What mixes, and what is special about it."""
        name = NAMES[self.experiment.mixer]
        if self.experiment.window_weights == "learned":
            name += ", learned window"
        return name + (", matched" if self.experiment.initialisation == "matched" else "")


Cell = Callable[[Row], str]
Column = tuple[str, Cell]


def rows_of(results: Path, experiments: Sequence[Experiment]) -> list[Row]:
    """Rows of the experiments whose outcome is there, in their order."""
    grouped: dict[Experiment, list[Outcome]] = {}
    for experiment, outcome in zip(experiments, find(results, experiments), strict=True):
        if outcome is not None:
            grouped.setdefault(experiment.model_copy(update={"seed": 0}), []).append(outcome)
    return [Row(experiment, outcomes) for experiment, outcomes in grouped.items()]


def table(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[str]:
    """Lines of Markdown, and an empty one."""
    yield line([title for title, _ in columns])
    yield line(["---"] * len(columns))
    for row in rows:
        yield line([cell(row) for _, cell in columns])
    yield ""


def line(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def rate(part: str, unit: Unit) -> Cell:
    """An error rate with its interval."""

    def cell(row: Row) -> str:
        if not has_test(row.outcomes, part):
            return MISSING
        found = rate_of(row.outcomes, part, unit)
        return f"{found.percent:.1f} [{found.low:.1f}, {found.high:.1f}]"

    return cell


def seeds(part: str) -> Cell:
    """How many runs there are, and how far their rates lie apart."""

    def cell(row: Row) -> str:
        count = len(row.outcomes)
        return f"{count}, ± {spread(row.outcomes, part):.1f}" if count > 1 else "1"

    return cell


def less(rows: Sequence[Row], part: str, mixer: str, *alike: str) -> Cell:
    """A row's character error rate less that of another mixer that has the same facts."""

    def cell(row: Row) -> str:
        facts = {name: getattr(row.experiment, name) for name in alike}
        other = next((each for each in rows if each.is_like(mixer=mixer, **facts)), None)
        if other is None or other is row:
            return MISSING
        ours, theirs = _same_seeds(row.outcomes, other.outcomes)
        if not (has_test(ours, part) and has_test(theirs, part)):
            return MISSING
        found = difference(ours, theirs, part)
        text = f"{found.percent:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"
        return f"**{text}**" if found.is_told_apart else text

    return cell


def step_ms(results: Path) -> Cell:
    """Time of a training step."""

    def cell(row: Row) -> str:
        cost = read_cost(results, row.experiment)
        return MISSING if cost is None else f"{1e3 * cost.figures.seconds:.1f}"

    return cell


def peak_mb(results: Path) -> Cell:
    """Peak memory of a training step."""

    def cell(row: Row) -> str:
        cost = read_cost(results, row.experiment)
        return MISSING if cost is None else f"{cost.figures.peak_bytes / 1e6:.0f}"

    return cell


def _same_seeds(
    ours: Sequence[Outcome], theirs: Sequence[Outcome]
) -> tuple[list[Outcome], list[Outcome]]:
    common = {each.experiment.seed for each in ours} & {each.experiment.seed for each in theirs}
    mine = [each for each in ours if each.experiment.seed in common]
    return mine, [each for each in theirs if each.experiment.seed in common]
