"""How much of the bare engine's throughput the service keeps."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from service.arrays import FloatArray
from service.audio import decode_audio
from service.backends import MAX_BATCH_SAMPLES, AcousticModel, load_model
from service.bundle import load_bundle
from service.config import PACKAGED_BUNDLE, Settings
from service.packing import pad_waveforms
from tests.benchmarks import options
from tests.benchmarks.clients import Load, speed
from tests.benchmarks.clips import mixed_clips, paths_of
from tests.benchmarks.servers import our_server
from tests.benchmarks.tables import print_table
from tests.benchmarks.timing import estimate, interleave, ratios, seconds_of

CLIENTS = 16
BUDGET_S = 400
CALIBRATION_ROUNDS = 3

Batches = list[list[FloatArray]]


@dataclass(frozen=True)
class Plan:
    """A way to feed the bare engine.

    Attributes:
        model: with the threads it needs.
        batches: what it is fed.
        at_once: how many batches run side by side.
    """

    model: AcousticModel
    batches: Batches
    at_once: int

    def run(self) -> None:
        """Feed everything."""
        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(lambda batch: self.model.infer(*pad_waveforms(batch)), self.batches))


def _plans(waveforms: Sequence[FloatArray]) -> dict[str, Plan]:
    bundle = load_bundle(PACKAGED_BUNDLE)
    wide, narrow = (
        load_model(bundle, device="cpu", threads=threads).model for threads in (options.CORES, 1)
    )
    longest_first = sorted(waveforms, key=len, reverse=True)
    singles, batches = [[one] for one in longest_first], _ideal_batches(longest_first)
    return {
        "one by one on all threads": Plan(wide, singles, 1),
        "batches by length on all threads": Plan(wide, batches, 1),
        "one a thread": Plan(narrow, singles, options.CORES),
        "batches by length, one a thread": Plan(narrow, batches, options.CORES),
    }


def _ideal_batches(longest_first: Sequence[FloatArray]) -> Batches:
    """Neighbours in length as far as the service's budget reaches."""
    settings = Settings()
    budget_samples = MAX_BATCH_SAMPLES["cpu"]
    batches: Batches = [[]]
    for waveform in longest_first:
        batch = batches[-1]
        full = batch and len(batch[0]) * (len(batch) + 1) > budget_samples
        if full or len(batch) == settings.max_batch_size:
            batches.append([])
        batches[-1].append(waveform)
    return batches


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    return lambda: seconds_of(call)


@pytest.mark.bench
def test_the_service_against_the_bare_engine():
    clips = mixed_clips(options.CLIPS)
    copies = -(-options.REQUESTS // options.CLIPS)
    load = Load(clips, clients=CLIENTS, requests=copies * options.CLIPS)
    plans = _plans([decode_audio(path) for path in paths_of(clips)] * copies)
    tried = interleave(
        {name: _timed(plan.run) for name, plan in plans.items()}, rounds=CALIBRATION_ROUNDS
    )
    best = min(tried, key=lambda name: estimate(tried[name]).value)
    with our_server(PACKAGED_BUNDLE) as server:
        server.under(load)
        reports = []
        measured = interleave(
            {
                "engine": _timed(plans[best].run),
                "service": lambda: reports.append(server.under(load)) or reports[-1].wall_s,
            },
            rounds=options.ROUNDS,
            budget_s=BUDGET_S,
        )
    audio_s = reports[0].audio_s
    shares = [report.client_share for report in reports]
    kept = [engine / service for engine, service in zip(*measured.values(), strict=True)]
    corrected = [ratio / (1 - share) for ratio, share in zip(kept, shares, strict=True)]
    engine = estimate([audio_s / one for one in measured["engine"]])
    print_table(
        f"Service against bare engine: {load.requests} WAV clips of 1 to 30 s, {CLIENTS} clients",
        ["what", "value"],
        [
            ["engine alone, x real time", f"{engine:.0f}"],
            ["service, x real time", f"{speed(reports):.0f}"],
            ["**service / engine**", f"{ratios(*measured.values()):.1%}"],
            ["the generator's share of all cores", f"{estimate(shares):.1%}"],
            ["service / engine, had the generator cores of its own", f"{estimate(corrected):.1%}"],
        ],
        f"{len(reports)} rounds. The engine's best way to be fed: {best}, of "
        + ", ".join(
            f"{name} {audio_s / estimate(times).value:.0f}x" for name, times in tried.items()
        )
        + ". The engine gets decoded waveforms and its logits are not read.",
    )
    assert len(reports) == len(kept)
