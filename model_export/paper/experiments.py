"""What is trained for the tables: one experiment is one model, trained and tested once.

Experiments that several tables need are trained once: the tables look them up by what they are.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from model_export.paper.results import slug
from service.bundle import Mixer, WindowWeights

Table = Literal["rates", "table1", "windows", "table2", "readers", "variants"]
TABLES: tuple[Table, ...] = get_args(Table)
AudioForm = Literal["flac", "opus"]
Initialisation = Literal["random", "matched"]

# Parts of a set, beside its corpora; the roles are those of the Czech game.
ALL, MAIN_ROLES, MINOR_ROLES = "all", "main roles", "minor roles"

MIXERS: tuple[Mixer, ...] = ("attention", "random-attention", "sm", "wsm")
FEW_MIXERS: tuple[Mixer, ...] = ("attention", "sm", "wsm")
DEPTHS = (1, 2, 4)
SEEDS = (0, 1, 2)
RATES = (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3)
WINDOWS_FRAMES = (0, 2, 4, 8, 16, 25, 50, 100)
FIRST_LANGUAGE = "cs"
OTHER_LANGUAGES = ("nl", "es", "ru", "ro", "fr", "bg", "el", "it")
TWO_READERS = ("es", "ru", "fr")
DEPTH = 2
MATCHING_STEPS = 200


class Experiment(BaseModel):
    """One model, trained and tested once.

    Attributes:
        language: of the set.
        mixer: what mixes the frames of the last layers.
        depth: how many layers that is.
        window_frames: half window; for `wsm` only.
        window_weights: how the frames of a window are weighed.
        initialisation: mixers begin at random, or by imitating the attention they replace.
        learning_rate: highest of AdamW.
        steps: of AdamW.
        batch_s: padded seconds of speech in a step.
        seed: of new weights, order and masks.
        learnt_from: part of the set, as `has_part` takes it; its test clips are tested too.
        tested_on: another part, of which all clips are tested whose sentences were not learnt from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    mixer: Mixer
    depth: int
    window_frames: int | None = None
    window_weights: WindowWeights = "mean"
    initialisation: Initialisation = "random"
    learning_rate: float
    steps: int
    batch_s: float
    seed: int = 0
    learnt_from: str = ALL
    tested_on: str = ALL

    @property
    def name(self) -> str:
        """Tells it from every other; the name of its file."""
        window = "" if self.window_frames is None else f"w{self.window_frames}"
        weights = "" if self.window_weights == "mean" else self.window_weights
        begin = "" if self.initialisation == "random" else self.initialisation
        parts = "" if self.learnt_from == ALL else f"{self.learnt_from} to {self.tested_on}"
        kind = f"{self.language} {self.mixer} last{self.depth} {window} {weights} {begin} {parts}"
        how = f"rate{self.learning_rate:g} steps{self.steps} batch{self.batch_s:g} seed{self.seed}"
        return slug(f"{kind} {how}")


@dataclass(frozen=True)
class Setting:
    """What all experiments share.

    Attributes:
        learning_rate: highest of AdamW.
        steps: of AdamW.
        batch_s: padded seconds of speech in a step.
        window_frames: half window of WSM where it is not what is compared.
        languages: of the second table, beside Czech.
        seeds: of the rows that are repeated.
    """

    learning_rate: float = 1e-3
    steps: int = 600
    batch_s: float = 240.0
    window_frames: int = 8
    languages: tuple[str, ...] = OTHER_LANGUAGES
    seeds: tuple[int, ...] = SEEDS

    def experiment(self, mixer: Mixer, **other: object) -> Experiment:
        """An experiment in this setting: Czech, the last two layers, unless told otherwise."""
        facts: dict[str, object] = {
            "language": FIRST_LANGUAGE,
            "depth": DEPTH,
            "window_frames": self.window_frames if mixer == "wsm" else None,
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "batch_s": self.batch_s,
        }
        return Experiment.model_validate(facts | {"mixer": mixer} | other)


def experiments_of(table: Table, setting: Setting) -> list[Experiment]:
    """What a table needs, seed by seed."""
    return list(MAKERS[table](setting))


def plan(tables: Sequence[Table], setting: Setting) -> list[Experiment]:
    """What several tables need, each once; the first needs its seeds before others need more."""
    wanted = [(table, each) for table in tables for each in experiments_of(table, setting)]
    wanted.sort(key=lambda pair: pair[0] != "table1" and pair[1].seed > 0)
    return list(dict.fromkeys(experiment for _, experiment in wanted))


def _rates(setting: Setting) -> Iterator[Experiment]:
    # From the middle, so that a part of them says most.
    for rate in sorted(RATES, key=lambda rate: abs(math.log(rate / RATES[len(RATES) // 2]))):
        for mixer in MIXERS:
            yield setting.experiment(mixer, learning_rate=rate)


def _table_1(setting: Setting) -> Iterator[Experiment]:
    for seed in setting.seeds:
        for depth in (DEPTH, *(each for each in DEPTHS if each != DEPTH)):
            for mixer in MIXERS:
                yield setting.experiment(mixer, depth=depth, seed=seed)


def _windows(setting: Setting) -> Iterator[Experiment]:
    for seed in setting.seeds:
        for window_frames in WINDOWS_FRAMES:
            yield setting.experiment("wsm", window_frames=window_frames, seed=seed)
        yield setting.experiment("sm", seed=seed)


def _variants(setting: Setting) -> Iterator[Experiment]:
    for seed in setting.seeds:
        yield setting.experiment("wsm", window_weights="learned", seed=seed)
        for mixer in ("wsm", "sm"):
            yield setting.experiment(mixer, initialisation="matched", seed=seed)
        yield setting.experiment(
            "wsm", window_weights="learned", initialisation="matched", seed=seed
        )


def _table_2(setting: Setting) -> Iterator[Experiment]:
    for seed in setting.seeds:
        for language in (FIRST_LANGUAGE, *setting.languages):
            for mixer in FEW_MIXERS:
                yield setting.experiment(mixer, language=language, seed=seed)


def _readers(setting: Setting) -> Iterator[Experiment]:
    for seed in setting.seeds:
        for language in TWO_READERS:
            for here, there in (("asterisk", "tuxpaint"), ("tuxpaint", "asterisk")):
                for mixer in FEW_MIXERS:
                    parts = {"learnt_from": here, "tested_on": there}
                    yield setting.experiment(mixer, language=language, seed=seed, **parts)
        for mixer in FEW_MIXERS:
            parts = {"learnt_from": MAIN_ROLES, "tested_on": MINOR_ROLES}
            yield setting.experiment(mixer, seed=seed, **parts)


MAKERS = {
    "rates": _rates,
    "table1": _table_1,
    "windows": _windows,
    "variants": _variants,
    "table2": _table_2,
    "readers": _readers,
}
