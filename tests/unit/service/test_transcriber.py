import asyncio
import threading
from contextlib import asynccontextmanager

import numpy as np
import pytest
from audio_files import wav
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry
from tiny_bundle import HOP, RATE_HZ, make_bundle, speak

from service.audio import AudioLimits, decode_audio
from service.audio_memory import AudioMemory
from service.backends import load_model
from service.batcher import Batcher, BatchLimits, Lane
from service.bundle import load_bundle
from service.config import Settings
from service.decoding import LARGE_BYTES, Decoder
from service.errors import (
    AudioTooLong,
    AudioTooShort,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    NotReady,
    Overloaded,
)
from service.metrics import Metrics
from service.options import Options
from service.passes import Passes
from service.reading import open_reader
from service.transcriber import Transcriber


class GatedModel:
    """The tiny model behind a gate, so that a test says when inference goes on."""

    def __init__(self, model):
        self._model = model
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.lengths = []

    def infer(self, waveforms, lengths):
        self.lengths += lengths.tolist()
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        return self._model.infer(waveforms, lengths)


class Rig:
    """A transcriber and what it stands on."""

    def __init__(self, folder, **settings):
        self.settings = Settings(bundle=folder, **settings)
        self.bundle = load_bundle(folder)
        self.model = GatedModel(load_model(self.bundle, device="cpu", threads=1).model)
        self.metrics = Metrics(CollectorRegistry())
        limits = BatchLimits(
            max_batch_samples=30 * RATE_HZ,
            max_utterance_samples=int(self.settings.max_pass_s * RATE_HZ),
            max_batch_size=4,
            max_wait_ms=0,
            max_queue=self.settings.max_queue,
            max_queue_audio_s=self.settings.max_queue_audio_s,
            sample_rate_hz=RATE_HZ,
            batch_invariant=True,
        )
        self.batcher = Batcher(self.model, limits, self.metrics)
        decoder = self._decoder()
        passes = Passes(self.bundle.manifest, self.batcher, self.settings, decoder.run)
        reader = open_reader(self.bundle)
        self.transcriber = Transcriber(self.bundle.manifest, decoder, passes, reader, self.metrics)

    def _decoder(self):
        limits = AudioLimits(
            max_duration_s=self.settings.max_audio_s,
            min_samples=self.bundle.manifest.receptive_field_samples,
        )
        limit_s = self.settings.max_decoded_audio_s
        memory = AudioMemory(limit_s, self.metrics, self.batcher.retry_after_s)
        return Decoder(limits, self.settings.decode_workers, memory)

    def sample(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, labels)


@asynccontextmanager
async def running(folder, **settings):
    rig = Rig(folder, **settings)
    await rig.batcher.start()
    async with asyncio.timeout(PATIENCE_S):
        try:
            yield rig
        finally:
            rig.model.gate.set()
            await rig.batcher.drain()
            rig.transcriber.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def short_sighted(tmp_path_factory):
    """A bundle that takes 12 s at once."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "short", 12.0)


async def test_a_file_becomes_its_words(folder):
    waveform = speak("good morning")
    async with running(folder) as rig:
        result = await rig.transcriber.transcribe(wav(waveform))
    assert result.transcript.text == "good morning"
    assert [word.word for word in result.transcript.words] == ["good", "morning"]
    assert result.duration_s == waveform.size / RATE_HZ
    assert (result.language, result.model) == ("en", "tiny")
    timing = result.timing
    parts = (timing.decode_s, timing.queue_s, timing.inference_s, timing.ctc_s)
    assert min(parts) >= 0
    assert sum(parts) <= timing.total_s


async def test_silence_has_no_words(folder):
    async with running(folder) as rig:
        result = await rig.transcriber.transcribe(wav(np.zeros(RATE_HZ, np.float32)))
    assert (result.transcript.text, result.transcript.words) == ("", ())


async def test_what_is_done_is_measured(folder):
    content = wav(speak("abc"))
    async with running(folder) as rig:
        result = await rig.transcriber.transcribe(content)
    assert rig.sample("stt_audio_seconds_total") == result.duration_s
    assert rig.sample("stt_audio_decode_duration_seconds_count") == 1
    assert rig.sample("stt_ctc_decode_duration_seconds_count") == 1


async def test_long_files_are_read_in_segments_and_say_the_same(short_sighted):
    text = " ".join(["the quick brown fox jumps over the lazy dog"] * 20)
    waveform = speak(text)
    async with running(short_sighted) as rig:
        result = await rig.transcriber.transcribe(wav(waveform))
    assert result.transcript.text == text
    assert len(rig.model.lengths) > 3
    assert max(rig.model.lengths) <= 12 * RATE_HZ
    assert rig.sample("stt_queue_duration_seconds_count", lane="bulk") == len(rig.model.lengths)
    last = result.transcript.words[-1]
    assert last.end_s == pytest.approx(result.duration_s - HOP / RATE_HZ)


async def test_a_model_without_limit_is_limited_by_the_settings(folder):
    waveform = speak("ab " * 80)
    async with running(folder, max_pass_s=10) as rig:
        result = await rig.transcriber.transcribe(wav(waveform))
    assert result.transcript.text == ("ab " * 80).strip()
    assert max(rig.model.lengths) <= 10 * RATE_HZ


async def test_one_pass_takes_whatever_length_is_allowed(folder):
    text = "ab " * 200
    done = []
    async with running(folder, max_pass_s=3600) as rig:
        result = await rig.transcriber.transcribe(
            wav(speak(text)), progress=lambda *seconds: done.append(seconds)
        )
        assert rig.sample("stt_queue_duration_seconds_count", lane="bulk") == 1
    assert result.transcript.text == text.strip()
    assert rig.model.lengths == [speak(text).size]
    assert done == [(0, result.duration_s), (result.duration_s, result.duration_s)]


async def test_progress_grows_with_every_segment_up_to_all(short_sighted):
    done = []
    async with running(short_sighted) as rig:
        result = await rig.transcriber.transcribe(
            wav(speak("ab " * 200)), progress=lambda *seconds: done.append(seconds)
        )
    assert len(done) == len(rig.model.lengths) + 1
    assert {total_s for _, total_s in done} == {result.duration_s}
    seconds = [done_s for done_s, _ in done]
    assert seconds == sorted(set(seconds))
    assert (seconds[0], seconds[-1]) == (0, pytest.approx(result.duration_s))


@pytest.mark.parametrize(("asked", "taken"), [(None, "interactive"), (Lane.BULK, "bulk")])
async def test_a_short_file_waits_in_the_lane_it_asks_for(folder, asked, taken):
    async with running(folder) as rig:
        await rig.transcriber.transcribe(wav(speak("abc")), lane=asked)
        assert rig.sample("stt_queue_duration_seconds_count", lane=taken) == 1


async def test_many_at_once_each_get_their_own_text(folder):
    texts = ["a", "bc", "def ghi", "j k l m", "nopq", "rst uvw", "xyz"]
    async with running(folder) as rig:
        results = await asyncio.gather(
            *(rig.transcriber.transcribe(wav(speak(text))) for text in texts)
        )
    assert [result.transcript.text for result in results] == texts


@pytest.mark.parametrize(("field", "served"), [("language", ["en"]), ("model", ["tiny"])])
async def test_what_is_not_served_is_told_with_what_is(folder, field, served):
    async with running(folder) as rig:
        with pytest.raises(InvalidRequest) as caught:
            await rig.transcriber.transcribe(wav(speak("a")), Options(**{field: "other"}))
        result = await rig.transcriber.transcribe(wav(speak("a")), Options(**{field: served[0]}))
    assert (caught.value.param, caught.value.found, caught.value.limit) == (field, "other", served)
    assert result.transcript.text == "a"


async def test_limits_come_from_the_settings_and_the_manifest(folder):
    async with running(folder, max_audio_s=1) as rig:
        with pytest.raises(AudioTooShort) as short:
            await rig.transcriber.transcribe(wav(np.zeros(1, np.float32)))
        with pytest.raises(AudioTooLong) as long:
            await rig.transcriber.transcribe(wav(np.zeros(2 * RATE_HZ, np.float32)))
    assert short.value.limit == HOP
    assert long.value.limit == 1


async def until(condition):
    while not condition():  # noqa: ASYNC110 (what is waited for has no event)
        await asyncio.sleep(0.001)  # or the loop starves the threads that it waits for


async def entered(rig):
    assert await asyncio.to_thread(rig.model.entered.wait, PATIENCE_S)


async def test_silence_never_reaches_the_model(short_sighted):
    noise = np.random.default_rng(0).standard_normal(60 * RATE_HZ).astype(np.float32) * 1e-3
    async with running(short_sighted) as rig:
        result = await rig.transcriber.transcribe(wav(noise))
        assert rig.model.lengths == []
    assert result.transcript.text == ""
    assert result.duration_s == 60


async def test_a_cancelled_caller_leaves_the_queue(folder):
    async with running(folder) as rig:
        rig.model.gate.clear()
        first = asyncio.create_task(rig.transcriber.transcribe(wav(speak("a"))))
        await entered(rig)
        second = asyncio.create_task(rig.transcriber.transcribe(wav(speak("bb" * 30))))
        await until(lambda: rig.sample("stt_queue_size", lane="interactive"))
        second.cancel()
        await asyncio.wait({second})
        assert rig.sample("stt_queue_size", lane="interactive") == 0
        rig.model.gate.set()
        assert (await first).transcript.text == "a"
    assert second.cancelled()
    assert len(rig.model.lengths) == 1


async def test_a_long_file_fails_as_a_whole_and_leaves_nothing_behind(short_sighted):
    async with running(short_sighted) as rig:
        rig.model.infer = lambda *_: 1 / 0
        with pytest.raises(InferenceFailed):
            await rig.transcriber.transcribe(wav(np.full(60 * RATE_HZ, 0.1, np.float32)))
        assert rig.sample("stt_queue_size", lane="bulk") == 0


async def test_a_full_queue_refuses_a_long_file_at_once(short_sighted):
    minute = wav(np.full(60 * RATE_HZ, 0.1, np.float32))
    async with running(short_sighted, max_queue_audio_s=70) as rig:
        rig.model.gate.clear()
        first = asyncio.create_task(rig.transcriber.transcribe(minute))
        await entered(rig)
        with pytest.raises(Overloaded) as caught:
            await rig.transcriber.transcribe(minute)
        assert caught.value.limit == 70
        rig.model.gate.set()
        await first


async def test_decoded_audio_is_bounded_over_all_requests(short_sighted):
    minute = wav(np.full(60 * RATE_HZ, 0.1, np.float32))
    async with running(short_sighted, max_decoded_audio_s=50) as rig:
        rig.model.gate.clear()
        first = asyncio.create_task(rig.transcriber.transcribe(minute))
        await entered(rig)
        with pytest.raises(Overloaded) as caught:
            await rig.transcriber.transcribe(minute)
        assert (caught.value.found, caught.value.limit) == (60, 50)
        short = asyncio.create_task(rig.transcriber.transcribe(wav(speak("a"))))
        await until(lambda: rig.sample("stt_queue_size", lane="interactive"))
        rig.model.gate.set()
        await first
        assert (await short).transcript.text == "a"
        assert rig.sample("stt_decoded_audio_seconds") == 0
        await rig.transcriber.transcribe(minute)


async def test_short_files_are_decoded_while_long_ones_block_their_threads(folder, monkeypatch):
    busy, go_on = threading.Semaphore(0), threading.Event()

    def decode(source, limits, *, watch):
        if len(source) > LARGE_BYTES:
            busy.release()
            assert go_on.wait(PATIENCE_S)
        return decode_audio(source, limits, watch=watch)

    monkeypatch.setattr("service.decoding.decode_audio", decode)
    large = wav(np.zeros(LARGE_BYTES, np.float32))
    async with running(folder, decode_workers=2) as rig:
        waiting = [asyncio.create_task(rig.transcriber.transcribe(large)) for _ in range(8)]
        for _ in range(2):
            assert await asyncio.to_thread(busy.acquire, timeout=PATIENCE_S)
        assert (await rig.transcriber.transcribe(wav(speak("abc")))).transcript.text == "abc"
        assert not any(task.done() for task in waiting)
        go_on.set()
        await asyncio.gather(*waiting)


async def test_a_deadline_ends_the_wait(folder):
    async with running(folder) as rig:
        rig.model.gate.clear()
        with pytest.raises(DeadlineExceeded):
            await rig.transcriber.transcribe(wav(speak("a")), deadline_s=0.0)


async def test_a_drained_batcher_takes_nothing(folder):
    async with running(folder) as rig:
        await rig.batcher.drain()
        with pytest.raises(NotReady):
            await rig.transcriber.transcribe(wav(speak("a")))


async def test_a_cancelled_caller_waits_until_nobody_reads_its_file(folder, monkeypatch):
    decoding, stopped = threading.Event(), threading.Event()

    def decode(source, limits, *, watch):
        decoding.set()
        try:
            while True:
                watch(0.0)
        finally:
            stopped.set()

    monkeypatch.setattr("service.decoding.decode_audio", decode)
    async with running(folder) as rig:
        caller = asyncio.create_task(rig.transcriber.transcribe(b""))
        assert await asyncio.to_thread(decoding.wait, PATIENCE_S)
        caller.cancel()
        await asyncio.wait({caller})
        assert stopped.is_set()
        assert caller.cancelled()


SENTENCE = "the quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize("sentences", [0, 1, 30])
async def test_words_told_before_the_end_are_those_of_the_end(folder, sentences):
    pause = np.zeros(RATE_HZ, np.float32)
    waveform = np.concatenate([*[speak(SENTENCE), pause] * sentences, pause])
    async with running(folder, max_pass_s=10) as rig:
        whole = await rig.transcriber.transcribe(wav(waveform))
        told = []
        result = await rig.transcriber.transcribe(wav(waveform), heard=told.extend)
    assert result.transcript == whole.transcript
    assert tuple(told) == result.transcript.words
    assert len(told) == 9 * sentences


async def test_words_are_told_while_segments_wait_for_the_model(folder, monkeypatch):
    pause = np.zeros(RATE_HZ, np.float32)
    waveform = np.concatenate([speak(SENTENCE), pause] * 30)
    told, first = [], threading.Event()

    def hear(words):
        told.extend(words)
        first.set()

    async with running(folder, max_pass_s=10) as rig:
        infer = rig.model.infer

        def infer_first_batches(waveforms, lengths):
            assert sum(rig.model.lengths) < 60 * RATE_HZ or first.wait(PATIENCE_S)
            return infer(waveforms, lengths)

        monkeypatch.setattr(rig.model, "infer", infer_first_batches)
        result = await rig.transcriber.transcribe(wav(waveform), heard=hear)
    assert tuple(told) == result.transcript.words


async def test_a_failure_ends_what_is_told(folder, monkeypatch):
    waveform = np.concatenate([speak(SENTENCE), np.zeros(RATE_HZ, np.float32)] * 30)
    async with running(folder, max_pass_s=10) as rig:
        infer = rig.model.infer

        def fail_later(waveforms, lengths):
            if sum(rig.model.lengths) > 60 * RATE_HZ:
                raise InferenceFailed("planned failure")
            return infer(waveforms, lengths)

        monkeypatch.setattr(rig.model, "infer", fail_later)
        with pytest.raises(InferenceFailed):
            await rig.transcriber.transcribe(wav(waveform), heard=lambda words: None)
        assert rig.sample("stt_queue_size", lane="bulk") == 0
