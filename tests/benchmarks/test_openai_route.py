"""What a client of OpenAI's API waits longer than one of `/transcribe`, for the same clip.

Once with the shipped model, and once with one that takes no time: what a route costs does not
depend on the model, but is seen better without its scatter.
"""

import statistics
import time

import httpx
import pytest
from audio_files import wav
from tiny_bundle import make_bundle, speak

from service.config import PACKAGED_BUNDLE
from tests.benchmarks import options
from tests.benchmarks.servers import our_server
from tests.benchmarks.timing import estimate, interleave

CLIP = options.ROOT / "tests" / "assets" / "speech" / "librivox-0880.flac"
TEXT = "he was not an ill disposed young man unless"
ROUNDS = 400
BUDGET_S = 40.0
MOST_MORE_MS = 1.0
ASKED = {
    "json": {},
    "verbose_json": {"response_format": "verbose_json", "timestamp_granularities[]": "word"},
    "srt": {"response_format": "srt"},
    "stream": {"stream": "true"},
}


def milliseconds(client, path, content, fields):
    """From the request to the end of the answer, over a connection that is open already."""
    started_s = time.perf_counter()
    answer = client.post(path, files={"file": ("clip", content)}, data=fields)
    taken_s = time.perf_counter() - started_s
    assert answer.status_code == 200, answer.text
    return 1000 * taken_s


@pytest.mark.bench
@pytest.mark.parametrize("model", ["shipped", "no time"])
def test_the_route_costs_no_more_than_a_millisecond(model, tmp_path):
    is_shipped = model == "shipped"
    bundle = PACKAGED_BUNDLE if is_shipped else make_bundle(tmp_path / "tiny")
    content = CLIP.read_bytes() if is_shipped else wav(speak(TEXT))
    with (
        our_server(bundle) as server,
        server.awake(),
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        routes = {"/transcribe": ("/transcribe", {})}
        routes |= {name: ("/v1/audio/transcriptions", asked) for name, asked in ASKED.items()}
        alternatives = {
            name: lambda path=path, asked=asked: milliseconds(client, path, content, asked)
            for name, (path, asked) in routes.items()
        }
        interleave(alternatives, rounds=5)
        times = interleave(alternatives, rounds=ROUNDS, budget_s=BUDGET_S)
    native = times.pop("/transcribe")
    print(f"\n{model}: /transcribe {statistics.median(native):.1f} ms, {len(native)} rounds")
    for name, theirs in times.items():
        more = estimate([a - b for a, b in zip(theirs, native, strict=True)])
        print(f"  {name}: {more:+.2f} ms more")
        assert more.low <= MOST_MORE_MS, "the whole interval is over the limit"
