"""Fine-tuning: an epoch with and without cached features, and the memory of a step."""

import pytest

from model_export.bases.files import digest_of_base
from model_export.data import Clip
from model_export.training.bucketing import BucketBatches
from model_export.training.feature_cache import CacheRequest, cached_examples
from model_export.training.training_data import WaveformExamples
from tests.benchmarks import options
from tests.benchmarks.children import Attempt, training_step
from tests.benchmarks.clips import mixed_clips, paths_of
from tests.benchmarks.tables import print_table
from tests.benchmarks.timing import estimate, interleave, ratios, seconds_of
from tests.benchmarks.training import (
    DEFAULT_SHAPE,
    WAV2VEC2_SHAPE,
    WSM,
    Learner,
    base,
    objective,
    width_and_layers,
)

CLIPS, BATCH_S = 24, 60
LONGEST_S = 28  # what Whisper's encoder takes
LABELS_PER_S = 12
STEP_CLIPS, STEP_S = 4, 15
BUDGET_S = 600  # for each table
SHAPES = (WAV2VEC2_SHAPE, DEFAULT_SHAPE)


@pytest.mark.bench
def test_epochs_with_and_without_a_cache():
    rows = [_epochs(shape) for shape in SHAPES]
    print_table(
        "An epoch of fine-tuning, WSM in the last two layers",
        ["base", "audio s", "without cache s", "with cache s", "faster by", "cache MB", "rounds"],
        rows,
        f"Float32, AdamW, the same batches of {BATCH_S} padded seconds in both; without a cache "
        "with decoding WAV files, as training does.",
    )


def _epochs(shape):
    folder = base(shape)
    fresh, cached = (objective(folder, WSM, cached=cached) for cached in (False, True))
    clips = [Clip(path, "", None) for path in paths_of(mixed_clips(min(CLIPS, options.CLIPS)))]
    waveforms = WaveformExamples(clips, [[1]] * len(clips), copies=1)
    kept = [index for index, size in enumerate(waveforms.sizes) if size <= LONGEST_S * 16000]
    clips = [clips[index] for index in kept]
    seconds = [waveforms.sizes[index] / 16000 for index in kept]
    labels = [[5 + number % 26 for number in range(int(each * LABELS_PER_S))] for each in seconds]
    waveforms = WaveformExamples(clips, labels, copies=1)
    request = CacheRequest(
        clips=clips,
        labels=labels,
        copies=1,
        base_digest=digest_of_base(folder),
        first_layer=fresh.first_layer,
    )
    frames = cached_examples(options.CACHE / "features", request, fresh.model)
    batches = list(BucketBatches(waveforms.sizes, BATCH_S * 16000, seed=None))
    without, within = Learner(fresh), Learner(cached)
    alternatives = {
        "without": lambda: seconds_of(lambda: without.epoch(waveforms, batches)),
        "with": lambda: seconds_of(lambda: within.epoch(frames, batches)),
    }
    for run in alternatives.values():
        run()
    taken = interleave(alternatives, rounds=options.ROUNDS, budget_s=BUDGET_S)
    return [
        f"{shape} ({width_and_layers(fresh.model)})",
        f"{sum(seconds):.0f}",
        f"{estimate(taken['without']):.2f}",
        f"{estimate(taken['with']):.2f}",
        f"{ratios(taken['without'], taken['with']):.1f}",
        f"{sum(frames.sizes) * fresh.model.width * 2 / 1e6:.0f}",
        str(len(taken["with"])),
    ]


@pytest.mark.bench
def test_memory_of_a_step():
    rows = []
    for shape in SHAPES:
        folder = base(shape)
        attempts = {
            recipe: Attempt(lambda recipe=recipe: training_step(folder, recipe, STEP_CLIPS, STEP_S))  # noqa: B023  called before the loop moves on
            for recipe in ("wsm", "full")
        }
        taken = interleave(attempts, rounds=min(3, options.ROUNDS), budget_s=BUDGET_S)
        for recipe, label in (
            ("wsm", "WSM, last two layers and the head"),
            ("full", "attention, all layers and the head"),
        ):
            rows.append([shape, label, *_figures(attempts[recipe], taken[recipe])])
    print_table(
        f"A step of fine-tuning on {STEP_CLIPS} clips of {STEP_S} s",
        ["base", "what learns", "seconds", "peak GB", "of it for the step"],
        rows,
        "Float32, AdamW; each in a process of its own, behind two warm-up steps.",
    )


def _figures(attempt, runs):
    if attempt.failure:
        return [attempt.failure, "", ""]
    peak = estimate([run["peak_bytes"] / 1e9 for run in runs]).value
    growth = estimate([(run["peak_bytes"] - run["before_bytes"]) / 1e9 for run in runs]).value
    return [f"{estimate([run['seconds'] for run in runs]):.1f}", f"{peak:.2f}", f"{growth:.2f}"]
