"""Our model behind our service, behind other servers, and Whisper behind a plain endpoint."""

from contextlib import ExitStack
from importlib.util import find_spec

import pytest

from service.config import PACKAGED_BUNDLE
from tests.benchmarks import options
from tests.benchmarks.clients import Load, print_comparison
from tests.benchmarks.clips import mixed_clips
from tests.benchmarks.servers import our_server, peer_server
from tests.benchmarks.timing import interleave

BATCH = 16
CALIBRATION_CLIENTS = 32
BUDGET_S = 400
WHISPER_REQUESTS, WHISPER_CLIENTS = 32, 8


def _start(stack, peer, workers, batch):
    """A peer whose workers share the cores."""
    threads = max(1, options.CORES // workers)
    arguments = [str(PACKAGED_BUNDLE), str(workers), str(threads), str(batch)]
    path, ready = {"litserve": ("/predict", "/health"), "mosec": ("/inference", "/metrics")}[peer]
    server = peer_server(f"{peer}_server", *arguments, path=path, ready=ready)
    return stack.enter_context(server)


def _load(peer, clips, clients, requests=options.REQUESTS):
    """mosec hands the body to the worker as it is, so a form would be work for the worker."""
    body = "raw" if peer.startswith("mosec") else "multipart"
    return Load(clips, clients=clients, requests=requests, body=body)


def _measure(servers, loads):
    """Reports of all servers in turn, each warmed up by a load like those that count."""
    for name, server in servers.items():
        server.under(loads[name])
    runs = {name: lambda it=it, name=name: it.under(loads[name]) for name, it in servers.items()}
    return interleave(runs, rounds=options.ROUNDS, budget_s=BUDGET_S)


def _best_workers(peer, clips):
    """One worker with all cores, or one for each core: whichever batches faster on these clips."""
    load = _load(peer, clips, CALIBRATION_CLIENTS)
    with ExitStack() as stack:
        servers = {workers: _start(stack, peer, workers, BATCH) for workers in {1, options.CORES}}
        runs = {workers: lambda it=it: it.under(load).speed for workers, it in servers.items()}
        measured = interleave(runs, rounds=2)
    return max(measured, key=lambda workers: max(measured[workers]))


@pytest.mark.bench
def test_against_other_servers_with_their_own_batching():
    peers = [name for name in ("litserve", "mosec") if find_spec(name)]
    for missing in {"litserve", "mosec"} - set(peers):
        print(f"\n{missing} is not installed: pip install '.[bench]'")
    clips = mixed_clips(options.CLIPS)
    with ExitStack() as stack:
        servers = {"wsm-stt": stack.enter_context(our_server(PACKAGED_BUNDLE))}
        for peer in peers:
            workers = _best_workers(peer, clips)
            batched = f"{peer}, batches of {BATCH}, {workers} worker(s)"
            alone = f"{peer}, no batching, {options.CORES} worker(s)"
            servers[batched] = _start(stack, peer, workers, BATCH)
            servers[alone] = _start(stack, peer, options.CORES, 1)
        for clients in options.CLIENTS[1:-1]:
            measured = _measure(servers, {name: _load(name, clips, clients) for name in servers})
            print_comparison(
                f"The shipped model.onnx, clips of 1 to 30 s, {clients} clients",
                measured,
                f"{options.REQUESTS} requests a round. Decoding, padding and reading are ours in "
                f"all of them. Dynamic batching: at most {BATCH}, 5 ms. Workers share the cores; "
                "their number is the faster of 1 and one a core. mosec gets the bare file, the "
                "others a form.",
            )


@pytest.mark.bench
def test_against_faster_whisper():
    if not find_spec("faster_whisper"):
        pytest.skip("faster-whisper is not installed: pip install '.[bench]'")
    if not options.WHISPER_TINY:
        pytest.skip("BENCH_WHISPER_TINY does not name a folder with faster-whisper's tiny.en")
    clips = mixed_clips(options.CLIPS)
    load = Load(clips, clients=WHISPER_CLIENTS, requests=min(WHISPER_REQUESTS, options.REQUESTS))
    arguments = (options.WHISPER_TINY, str(options.CORES))
    with (
        our_server(PACKAGED_BUNDLE) as ours,
        peer_server(
            "faster_whisper_server", *arguments, path="/transcribe", ready="/openapi.json"
        ) as theirs,
    ):
        servers = {
            "wsm-stt, shipped model": ours,
            "FastAPI and faster-whisper tiny.en, int8, beam 1": theirs,
        }
        measured = _measure(servers, dict.fromkeys(servers, load))
    print_comparison(
        f"Against Whisper, clips of 1 to 30 s, {WHISPER_CLIENTS} clients",
        measured,
        "Speed only: tiny.en writes far better English than the shipped model, 6.3 % WER against "
        "64.4 % on the Asterisk prompts.",
    )
