"""The page of error rates, written from the JSON of all experiments; no figure stands here."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from model_export.errors import MeasuringRefused
from model_export.paper.experiments import (
    ALL,
    DEPTH,
    FIRST_LANGUAGE,
    MINOR_ROLES,
    RATES,
    TABLES,
    Setting,
    experiments_of,
)
from model_export.paper.outcomes import Outcome
from model_export.paper.table_rows import (
    MISSING,
    NAMES,
    Column,
    Row,
    less,
    line,
    peak_mb,
    rate,
    rows_of,
    seeds,
    step_ms,
    table,
)

PAGE = "tables.md"
INTRODUCTION = """\
# Error rates of mixers, windows, languages and readers

Written by `wsm-export paper tables --render` from the JSON in `tables/`; not to be edited.

One encoder for all, frozen but for the mixers of its last layers with their LayerNorm, and a CTC
head over characters: the same set in every row. Greedy decoding, no language model. The speech is
read or acted, from Debian's packages, a few speakers a language; a sentence stands in one split
only, its speakers do not: only the tables of readers test on other speakers. Nothing here tells of
accents, noise or conversation.

Rates are percent of characters (CER) and words (WER) with 95 % intervals bootstrapped over clips,
of the mean errors over seeds; ± is the standard deviation of the CER over seeds. Differences are
in points of CER, on the same clips and seeds, so that below zero is better; **bold** where the
interval leaves zero out.
"""
ERRORS: list[Column] = [
    ("CER", rate(ALL, "characters")),
    ("WER", rate(ALL, "words")),
    ("seeds", seeds(ALL)),
]
MIXER: Column = ("mixer", lambda row: row.mixer)


def write_page(results: Path, setting: Setting, folder: Path) -> Path:
    """Write the page into a folder; its path.

    Raises:
        MeasuringRefused: no model was trained in this setting, or some from another encoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    path.write_text(render(results, setting), encoding="utf-8")
    return path


def render(results: Path, setting: Setting) -> str:
    """The page, as Markdown."""
    rows = {name: rows_of(results, experiments_of(name, setting)) for name in TABLES}
    every = [outcome for each in rows.values() for row in each for outcome in row.outcomes]
    outcomes = list({outcome.experiment: outcome for outcome in every}.values())
    if not outcomes:
        raise MeasuringRefused(f"{results} holds no outcome of this setting: {setting}")
    if len(encoders := {outcome.base for outcome in outcomes}) > 1:
        raise MeasuringRefused(f"{results} holds outcomes of several encoders: {_listed(encoders)}")
    lines = [INTRODUCTION, _facts(outcomes, setting)]
    lines += _table_1(rows["table1"], results)
    lines += _windows(rows["windows"])
    if rows["variants"]:
        lines += _variants([*rows["table1"], *rows["variants"]])
    lines += _table_2(rows["table2"])
    if rows["readers"]:
        lines += _readers(rows["readers"])
    lines += _rates(rows["rates"])
    return "\n".join(lines)


def _facts(outcomes: Sequence[Outcome], setting: Setting) -> str:
    software = {f"{name} {version}" for one in outcomes for name, version in one.software.items()}
    return (
        f"Encoder: {_listed(one.base for one in outcomes)}. {len(outcomes)} models: AdamW, highest "
        f"rate {setting.learning_rate:g} (but in the table of rates), {setting.steps} steps of "
        f"{setting.batch_s:g} s of speech, the same for all; of each run, the step with the lowest "
        f"CER on development clips is tested. {_listed(one.device for one in outcomes)}; "
        f"{_listed(one.precision for one in outcomes)}; {_listed(software)}. Audio stored as "
        f"{_listed(one.audio.partition(',')[0] for one in outcomes)}.\n"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


def _table_1(rows: list[Row], results: Path) -> Iterator[str]:
    yield "## Table 1: Czech, last 1, 2 and 4 layers\n"
    yield (
        "A step is timed with nothing beside it: 48 clips of 5 s of hidden frames (4 on a CPU), "
        "gradients and AdamW; its peak memory holds the whole model.\n"
    )
    yield from table(
        sorted(rows, key=lambda row: row.experiment.depth),
        [
            ("layers", lambda row: str(row.experiment.depth)),
            MIXER,
            *ERRORS,
            ("less pretrained attention", less(rows, ALL, "attention", "depth")),
            ("less SummaryMixing", less(rows, ALL, "sm", "depth")),
            ("less random attention", less(rows, ALL, "random-attention", "depth")),
            ("learning, M", lambda row: f"{row.outcomes[0].learning / 1e6:.2f}"),
            ("step, ms", step_ms(results)),
            ("peak, MB", peak_mb(results)),
        ],
    )


def _windows(rows: list[Row]) -> Iterator[str]:
    yield f"## Windows: Czech, last {DEPTH} layers\n"
    yield "A frame is 20 ms; a window reaches w frames to either side. None is SummaryMixing.\n"
    columns: list[Column] = [
        ("w", lambda row: str(row.experiment.window_frames).lower()),
        *ERRORS,
        ("less no window", less(rows, ALL, "sm")),
    ]
    yield from table(rows, columns)


def _variants(rows: list[Row]) -> Iterator[str]:
    yield f"## Learned windows, mixers that begin by matching: Czech, last {DEPTH} layers\n"
    yield (
        "Matched mixers imitate the attention they replace first, on the same clips without their "
        "transcripts. A learned window weighs its frames, feature by feature, and so can tell left "
        "from right.\n"
    )
    columns: list[Column] = [
        MIXER,
        *ERRORS,
        ("less pretrained attention", less(rows, ALL, "attention", "depth")),
    ]
    yield from table([row for row in rows if row.is_like(depth=DEPTH)], columns)


def _table_2(rows: list[Row]) -> Iterator[str]:
    yield f"## Table 2: languages, last {DEPTH} layers\n"
    languages = list(dict.fromkeys(row.experiment.language for row in rows))
    columns: list[Column] = [
        ("language", lambda row: row.experiment.language),
        ("learnt from, min", lambda row: f"{row.outcomes[0].train_s / 60:.0f}"),
        MIXER,
        *ERRORS,
        ("less pretrained attention", less(rows, ALL, "attention", "language")),
        ("less SummaryMixing", less(rows, ALL, "sm", "language")),
    ]
    ordered = sorted(rows, key=lambda row: languages.index(row.experiment.language))
    yield from table(ordered, columns)


def _readers(rows: list[Row]) -> Iterator[str]:
    yield f"## Across readers, last {DEPTH} layers\n"
    yield (
        f"CER on test clips of what was learnt from, and on all clips of other readers whose "
        f"sentences were not. Of {FIRST_LANGUAGE}, the two main roles are learnt from, the "
        f"{MINOR_ROLES} tested.\n"
    )
    for learnt_from, tested_on in dict.fromkeys(map(_parts, rows)):
        chosen = [row for row in rows if _parts(row) == (learnt_from, tested_on)]
        languages = list(dict.fromkeys(row.experiment.language for row in chosen))
        columns: list[Column] = [
            ("language", lambda row: row.experiment.language),
            MIXER,
            (f"CER on {learnt_from}", rate(learnt_from, "characters")),
            (f"CER on {tested_on}", rate(tested_on, "characters")),
            (f"WER on {tested_on}", rate(tested_on, "words")),
            ("less pretrained attention", less(chosen, tested_on, "attention", "language")),
            ("less SummaryMixing", less(chosen, tested_on, "sm", "language")),
        ]
        yield f"Learnt from {learnt_from}, tested on {tested_on}:\n"
        ordered = sorted(chosen, key=lambda row: languages.index(row.experiment.language))
        yield from table(ordered, columns)


def _rates(rows: list[Row]) -> Iterator[str]:
    yield f"## Learning rates: Czech development clips, last {DEPTH} layers\n"
    yield "Lowest CER on development clips, one seed.\n"
    yield line(["mixer", *(f"{rate:g}" for rate in RATES)])
    yield line(["---"] * (1 + len(RATES)))
    for mixer, name in NAMES.items():
        by_rate = {row.experiment.learning_rate: row for row in rows if row.is_like(mixer=mixer)}
        cells = [
            f"{by_rate[rate].outcomes[0].best.cer_percent:.1f}" if rate in by_rate else MISSING
            for rate in RATES
        ]
        yield line([name, *cells])
    yield ""


def _parts(row: Row) -> tuple[str, str]:
    return row.experiment.learnt_from, row.experiment.tested_on
