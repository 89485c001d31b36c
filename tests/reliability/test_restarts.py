"""The same answers alone, among others, and after restarts, from every shipped bundle."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from audio_files import wav
from patience import PATIENCE_S
from recordings import joined, recordings
from watched_server import watched

from service.config import PACKAGED_BUNDLES
from tests.reliability.amounts import SEED

NAMES = sorted(path.name for path in PACKAGED_BUNDLES.iterdir() if path.is_dir())
CLIPS = recordings()[::3]
LONG = wav(joined([clip.waveform() for clip in recordings()[:8]]))  # cut into segments
FILES = {clip.path.name: clip.path.read_bytes() for clip in CLIPS} | {"long": LONG}
CLIENTS = 4
ENDS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)
EXIT_CODES = {signal.SIGTERM: 0, signal.SIGKILL: -signal.SIGKILL}


@pytest.mark.parametrize("name", NAMES)
def test_neither_company_nor_restarts_change_an_answer(name):
    generator = random.Random(SEED)
    alone = {}
    for end in ENDS:
        with watched(PACKAGED_BUNDLES / name) as server:
            alone = alone or {file: answer(server, file) for file in FILES}
            answer_all(server, generator, alone)
            server.running.send_signal(end)
            assert server.running.wait(PATIENCE_S) == EXIT_CODES[end]
    assert all(text and words for text, words in alone.values())


def answer(server, file):
    """Text, and words with their times and confidences."""
    answered = server.client.post("/transcribe", files={"file": FILES[file]})
    assert answered.status_code == 200, answered.text
    body = answered.json()
    assert {"word", "start_s", "end_s", "confidence"} <= set(body["words"][0])
    return body["text"], body["words"]


def answer_all(server, generator, expected):
    """Every file once and some again, in a random order, several at a time."""
    names = [*FILES, *generator.choices(list(FILES), k=CLIENTS)]
    generator.shuffle(names)
    with ThreadPoolExecutor(CLIENTS) as pool:
        for file, found in zip(
            names, pool.map(lambda one: answer(server, one), names), strict=True
        ):
            assert found == expected[file], file
