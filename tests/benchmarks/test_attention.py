"""wav2vec2 with attention in transformers' pipeline, against WSM in all layers in our service."""

import time

import httpx
import pytest

from tests.benchmarks import options
from tests.benchmarks.children import Attempt, GivenUp, one_pass, pipeline
from tests.benchmarks.clients import Load
from tests.benchmarks.clips import mixed_clips, one_clip, paths_of
from tests.benchmarks.servers import our_server
from tests.benchmarks.shapes import shape
from tests.benchmarks.tables import print_table
from tests.benchmarks.timing import estimate, interleave, ratios

SHORT_CLIPS, CLIENTS = 16, 4
SHORT_BUDGET_S, LONG_BUDGET_S, SHARES_BUDGET_S = 400, 900, 100
CHUNK_S = 30
PASS_S = 30
PATIENCE = {"STT_REQUEST_TIMEOUT_S": "14400"}
LONGEST_PROBE_S, PROBE_STEP = 3600, 1.25
SERVICE = "WSM, our service"
HEADER = ["shape", "audio", "what", "seconds", "x real time", "ours is faster by", "rounds"]


def _service(server, load):
    return lambda: server.under(load).wall_s


def _rows(labels, audio_s, attempts, measured):
    """A row for each alternative; ours is the one that the others are compared with."""
    ours_s = measured[SERVICE]
    for name, times_s in measured.items():
        done_s = [one for one in times_s if one is not None]
        if attempts[name].failure or not done_s:
            yield [*labels, name, attempts[name].failure, "", "", str(len(done_s))]
            continue
        rates = estimate([audio_s / one for one in done_s])
        against = "1" if name == SERVICE else f"{ratios(done_s, ours_s):.2f}"
        seconds = f"{estimate(done_s):.2f}"
        yield [*labels, name, seconds, f"{rates:.1f}", against, str(len(done_s))]


def _compare(labels, audio_s, alternatives, budget_s):
    attempts = {name: Attempt(measure) for name, measure in alternatives.items()}
    measured = interleave(attempts, rounds=options.ROUNDS, budget_s=budget_s)
    return list(_rows(labels, audio_s, attempts, measured))


@pytest.mark.bench
@pytest.mark.parametrize("name", options.SHAPES)
def test_short_clips(name):
    made = shape(name)
    clips = mixed_clips(min(SHORT_CLIPS, options.CLIPS))
    paths = paths_of(clips)
    load = Load(clips, clients=CLIENTS, requests=len(paths))
    with our_server(made.wsm, **PATIENCE) as server, pipeline(made.attention) as whole:
        audio_s = server.under(load).audio_s
        whole.recognise(paths)
        alternatives = {
            SERVICE: _service(server, load),
            "attention, pipeline": lambda: whole.recognise(paths),
        }
        rows = _compare([str(made), "1-30 s"], audio_s, alternatives, SHORT_BUDGET_S)
    print_table(
        f"Attention against WSM, {len(paths)} clips of 1 to 30 s",
        HEADER,
        rows,
        f"{CLIENTS} clients of the service over HTTP; the pipeline gets decoded audio in its own "
        "process, clip by clip, with SDPA and a thread on every core.",
    )


@pytest.mark.bench
@pytest.mark.parametrize("seconds", options.LONG_S)
@pytest.mark.parametrize("name", options.SHAPES)
def test_long_recordings(name, seconds):
    made = shape(name)
    clip = one_clip(seconds)
    load = Load(clip, requests=1)
    with (
        our_server(made.wsm, **PATIENCE) as server,
        pipeline(made.attention) as whole,
        pipeline(made.attention, CHUNK_S) as chunked,
    ):
        alternatives = {
            SERVICE: _service(server, load),
            "attention, pipeline": lambda: whole.recognise(paths_of(clip)),
            f"attention, pipeline, {CHUNK_S} s chunks": lambda: chunked.recognise(paths_of(clip)),
        }
        rows = _compare([str(made), f"{seconds} s"], seconds, alternatives, LONG_BUDGET_S)
    print_table(f"Attention against WSM, one file of {seconds} s", HEADER, rows)


@pytest.mark.bench
def test_where_the_pipeline_runs_out_of_memory():
    made = shape(options.SHAPES[0])
    fitting_s, seconds, failure = 0.0, float(min(options.LONG_S)), ""
    with pipeline(made.attention) as whole:
        while not failure and seconds <= LONGEST_PROBE_S:
            try:
                whole.compute_front_end(seconds)
                fitting_s, seconds = seconds, seconds * PROBE_STEP
            except GivenUp as reason:
                failure = str(reason)
    print(
        f"\n\nThe pipeline unchunked, front end only ({made}): {fitting_s / 60:.1f} min fit; "
        f"{seconds / 60:.1f} min: {failure or 'not tried'}."
    )


@pytest.mark.bench
@pytest.mark.parametrize("name", options.SHAPES)
def test_where_our_time_goes(name):
    """One pass of the engine by part, and one long request by stage."""
    made = shape(name)
    passes = interleave(
        {
            "front": lambda: one_pass(made.front_end, PASS_S)["seconds"],
            "whole": lambda: one_pass(made.wsm, PASS_S)["seconds"],
        },
        rounds=options.ROUNDS,
        budget_s=SHARES_BUDGET_S,
    )
    front_s, whole_s = (estimate(passes[part]).value for part in ("front", "whole"))
    seconds = min(options.LONG_S)
    (path,) = paths_of(one_clip(seconds))
    with our_server(made.wsm, **PATIENCE) as server, server.awake() as url:
        start_s = time.monotonic()
        answer = httpx.post(url, files={"file": path.read_bytes()}, timeout=options.RUN_LIMIT_S)
        taken_s = time.monotonic() - start_s
    timing = answer.raise_for_status().json()["timing"]
    rows = [
        [f"one pass of {PASS_S} s", "front end, positions, head", *_share(front_s, whole_s)],
        [f"one pass of {PASS_S} s", "WSM layers", *_share(whole_s - front_s, whole_s)],
    ]
    stages = {key: timing[key] for key in ("decode_s", "inference_s", "ctc_s")}
    stages["HTTP and waiting"] = taken_s - sum(stages.values())
    for stage, stage_s in stages.items():
        rows.append([f"one request of {seconds} s", stage, *_share(stage_s, taken_s)])
    print_table(f"Where our time goes: {made}", ["of", "part", "seconds", "share"], rows)
    assert taken_s >= timing["inference_s"]


def _share(part_s, whole_s):
    return [f"{part_s:.3f}", f"{part_s / whole_s:.0%}"]
