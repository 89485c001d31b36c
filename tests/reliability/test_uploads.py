"""Mutated uploads on a real socket: each gets an answer that blames the file, and nothing stays."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from audio_files import wav
from mutations import Mutant, Mutator
from tiny_bundle import make_bundle, speak
from watched_server import Watched, watched

from tests.reliability.amounts import SEED, UPLOADS

CLIENTS = 4
ANSWER_S = 120  # no answer takes longer
WARM_UP = 100  # good requests, after which the heap has its size
ROUND = 100
GROWTH = 1.10
GOOD = wav(speak("good morning"))
FORM = {"model": "tiny", "response_format": "verbose_json"}
NO_KEEP_ALIVE = httpx.Limits(max_keepalive_connections=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    with watched(folder, STT_DECODE_TIMEOUT_S="60") as started:
        yield started


class Attack:
    """Posts files, and notes what comes back."""

    def __init__(self, server: Watched) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.bad: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._client = httpx.Client(
            base_url=server.client.base_url, timeout=ANSWER_S, limits=NO_KEEP_ALIVE
        )

    def post(self, mutant: Mutant, route: str = "/transcribe") -> str:
        """Its text, or the code of its error."""
        file = {"file": ("audio", mutant.content)}
        answer = self._client.post(route, data=FORM, files=file)
        body = answer.json()
        code = "transcribed" if answer.status_code == 200 else body["error"]["code"]
        with self._lock:
            self.outcomes[code] += 1
            self.slowest_s = max(self.slowest_s, answer.elapsed.total_seconds())
            if answer.status_code >= 500 or answer.status_code == 429:
                self.bad.append((mutant.how, answer.text))
        return str(body["text"]) if answer.status_code == 200 else code

    def post_all(self, mutants: list[Mutant]) -> None:
        """Several at a time, one in ten to the other route."""
        routes = ["/v1/audio/transcriptions", *["/transcribe"] * 9]
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self.post, mutants, routes * -(-len(mutants) // 10)))


def test_mutated_uploads_are_answered_and_leave_nothing(server):
    mutator = Mutator(SEED)
    good = Mutant("good", GOOD)
    seeds = [Mutant(*named) for named in mutator.seeds.items()]
    Attack(server).post_all(seeds + [good] * WARM_UP)
    before_bytes = server.resident_bytes()

    attack = Attack(server)
    for begun in range(0, UPLOADS, ROUND):
        attack.post_all([mutator.draw() for _ in range(min(ROUND, UPLOADS - begun))])
    after_bytes = server.resident_bytes()
    crashes, timeouts = (
        server.value(f'stt_decoder_deaths_total{{reason="{reason}"}}')
        for reason in ("crash", "timeout")
    )
    print(
        f"\n{attack.outcomes.total()} mutated uploads: {dict(attack.outcomes)}; decoders that "
        f"crashed {crashes:.0f}, that took too long {timeouts:.0f}; slowest answer "
        f"{attack.slowest_s:.1f} s; memory {before_bytes / 1e6:.0f} -> {after_bytes / 1e6:.0f} MB"
    )
    assert not attack.bad
    assert not server.faults()
    assert {"transcribed", "unsupported_audio", "truncated_audio"} <= set(attack.outcomes)
    assert after_bytes < before_bytes * GROWTH
    assert attack.post(good) == "good morning"
