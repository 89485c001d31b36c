"""The same text alone and in any batch: the contract, on the bundle that comes with the package.

It runs alone, being int8; in float32 it shares batches.
"""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from audio_files import wav
from float_bundle import write_float_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE_S
from prometheus_client.parser import text_string_to_metric_families
from recordings import joined, recordings
from server_process import serving

from service.audio import SAMPLE_RATE_HZ
from service.backends import load_model
from service.bundle import load_bundle
from service.config import Settings
from service.ctc import greedy_decode
from service.lifecycle import Service
from service.packing import pad_waveforms

WAVEFORMS = [recording.waveform() for recording in recordings()]
LONG = joined(WAVEFORMS)  # over a minute, so it is cut into segments
SHORT_SAMPLES = int(0.3 * SAMPLE_RATE_HZ)
LONGEST_PASS_SAMPLES = 30 * SAMPLE_RATE_HZ
ROUNDS = 2
CLIENTS = 24
SHORT_FILES = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_float_bundle(tmp_path_factory.mktemp("bundles") / "float32")


@pytest.fixture(scope="module")
def bundle(folder):
    return load_bundle(folder)


@pytest.fixture(scope="module")
def model(bundle):
    return load_model(bundle, device="cpu").model


@st.composite
def pieces(draw):
    """A range of the long recording, from 0.1 s to a whole pass; most are short."""
    longest = draw(st.sampled_from([SHORT_SAMPLES, 5 * SAMPLE_RATE_HZ, LONGEST_PASS_SAMPLES]))
    start = draw(st.integers(0, len(LONG) - longest))
    return LONG[start : start + draw(st.integers(SAMPLE_RATE_HZ // 10, longest))]


# Derandomized: where two labels are as good as equal, the last bit may choose.
@settings(derandomize=True, deadline=None, max_examples=15)
@given(batch=st.lists(pieces(), min_size=2, max_size=6))
def test_padding_and_company_leave_the_text_as_it_is(bundle, model, batch):
    """Mixed lengths that packing would never put together."""

    def texts(waveforms):
        logits, frame_lengths = model.infer(*pad_waveforms(waveforms))
        rows = zip(waveforms, logits, frame_lengths, strict=True)
        return [text(bundle.manifest, waveform, row[:frames]) for waveform, row, frames in rows]

    assert texts(batch) == [texts([waveform])[0] for waveform in batch]


def text(manifest, waveform, logits):
    frame_s = manifest.samples_per_frame / SAMPLE_RATE_HZ
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    return greedy_decode(logits, manifest.vocabulary, frame_s=frame_s, duration_s=duration_s).text


@pytest.fixture(scope="module")
def files():
    """Every recording, all of them in one, and short pieces."""
    made = {str(number): wav(waveform) for number, waveform in enumerate(WAVEFORMS)}
    starts = range(0, SHORT_FILES * SHORT_SAMPLES, SHORT_SAMPLES)
    made |= {f"short {start}": wav(LONG[start : start + SHORT_SAMPLES]) for start in starts}
    return made | {"long": wav(LONG)}


def test_concurrent_posts_get_the_texts_of_lonely_ones(server, files):
    assert shared_by_concurrent_posts(server.client, files) == 0


def test_concurrent_posts_get_the_texts_of_lonely_ones_in_shared_batches(folder, files):
    with serving(folder) as client:
        assert shared_by_concurrent_posts(client, files) > 0


def shared_by_concurrent_posts(client, files):
    """Post everything alone, then at once; how many batches were shared then."""

    def transcribe(name):
        answer = client.post("/transcribe", files={"file": files[name]}, timeout=PATIENCE_S)
        return name, answer.json()["text"]

    def batches():
        return shared_batches(text_string_to_metric_families(client.get("/metrics").text))

    alone = dict(map(transcribe, files))
    before = batches()
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(transcribe, shuffled(files)))
    assert answers == [(name, alone[name]) for name, _ in answers]
    assert len(answers) == ROUNDS * len(files)
    return batches() - before


async def test_the_transcriber_gives_each_file_the_text_it_has_alone(folder, files):
    large_batches = Settings(bundle=folder, device="cpu", sessions=1, max_batch_s=30)
    service = Service(large_batches)
    await service.start()

    async def transcribe(name):
        return name, (await service.ready().transcribe(files[name])).transcript.text

    alone = dict([await transcribe(name) for name in files])
    before = shared_batches(service.metrics.registry.collect())
    answers = await asyncio.gather(*map(transcribe, shuffled(files)))
    assert answers == [(name, alone[name]) for name, _ in answers]
    assert shared_batches(service.metrics.registry.collect()) > before + ROUNDS
    await service.drain()


def shuffled(names):
    """Every name once a round, each round in another order."""
    generator = random.Random(0)
    return [name for _ in range(ROUNDS) for name in generator.sample(sorted(names), len(names))]


def shared_batches(families):
    """How many batches had more than one member."""
    samples = [s for family in families if family.name == "stt_batch_size" for s in family.samples]
    (total,) = (s.value for s in samples if s.name == "stt_batch_size_count")
    (single,) = (s.value for s in samples if s.labels.get("le") == "1.0")
    return total - single
