import asyncio
import json

import pytest
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry

from service.batcher import Lane
from service.ctc import Transcript
from service.errors import (
    DeviceLost,
    InferenceFailed,
    NotReady,
    Overloaded,
    StorageFull,
    UnsupportedAudio,
)
from service.jobs import runner as runner_module
from service.jobs.bills import Bills
from service.jobs.job import JobStatus
from service.jobs.runner import MAX_ATTEMPTS, JobRunner
from service.jobs.store import JobStore
from service.jobs.store_thread import StoreThread
from service.metrics import Metrics
from service.options import Options
from service.transcriber import Timing, Transcription

ASKED = {"language": "en", "model": "tiny", "decoding": "beam", "hot_words": "cab"}
RESULT = Transcription(Transcript("a cab", ()), 2.0, "en", "tiny", Timing(0, 0, 0, 0, 0))


class FakeTranscriber:
    """Answers each call with the next of its answers: a result, an error, or a coroutine's."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    async def transcribe(self, source, asked, **options):
        self.calls.append((source.read_bytes(), asked, options))
        answer = self.answers.pop(0) if self.answers else RESULT
        if callable(answer):
            return await answer(options)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


@pytest.fixture
async def store(tmp_path, metrics):
    store = StoreThread(tmp_path / "jobs", 100, metrics)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def start(store, metrics):
    runners = []

    def start(transcriber, parallel_jobs=1):
        runners.append(
            JobRunner(store, transcriber, metrics, parallel_jobs=parallel_jobs, bills=Bills())
        )
        return runners[-1]

    yield start
    for runner in runners:
        await runner.stop()


async def add(store, *job_ids):
    def work(store):
        for job_id in job_ids:
            with store.files.create_part(job_id) as file:
                file.write(job_id.encode())
            store.add(job_id, f"request-{job_id}", ASKED)

    await store.call(work)


async def ended(store, job_id):
    async with asyncio.timeout(PATIENCE_S):
        while (job := await store.call(JobStore.get, job_id)).status.is_active:
            pass
    return job


async def begun(transcriber, count=1):
    async with asyncio.timeout(PATIENCE_S):
        while len(transcriber.calls) < count:  # noqa: ASYNC110 (the fake has no event)
            await asyncio.sleep(0.001)


async def forever(_):
    await asyncio.Event().wait()


async def test_a_job_is_transcribed_in_the_bulk_lane_without_a_deadline(store, start, metrics):
    await add(store, "a")
    transcriber = FakeTranscriber()
    start(transcriber)
    job = await ended(store, "a")
    assert job.status is JobStatus.DONE
    assert json.loads(job.result)["text"] == "a cab"
    assert json.loads(job.result)["request_id"] == "request-a"
    ((content, asked, options),) = transcriber.calls
    assert content == b"a"
    assert options.pop("progress")
    assert options == {"lane": Lane.BULK}
    assert asked == Options("en", "tiny", "beam", ("cab",))
    outcome = {"outcome": "done"}
    assert metrics.registry.get_sample_value("stt_jobs_finished_total", outcome) == 1


async def test_a_new_job_wakes_it(store, start, monkeypatch):
    monkeypatch.setattr(runner_module, "RETRY_S", 3600)
    runner = start(FakeTranscriber())
    await asyncio.sleep(0)
    await add(store, "a")
    runner.wake()
    assert (await ended(store, "a")).status is JobStatus.DONE


async def test_so_many_run_at_once_in_order(store, start):
    await add(store, "a", "b", "c")
    go_on = asyncio.Event()

    async def wait(_):
        await go_on.wait()
        return RESULT

    transcriber = FakeTranscriber(wait, wait, wait)
    start(transcriber, parallel_jobs=2)
    await begun(transcriber, 2)
    assert (await store.call(JobStore.get, "c")).status is JobStatus.QUEUED
    go_on.set()
    await ended(store, "c")
    assert [content for content, _, _ in transcriber.calls] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UnsupportedAudio("no audio"), "unsupported_audio"),
        (InferenceFailed("the model failed"), "inference_failed"),
        (ZeroDivisionError("secret"), "internal_server_error"),
    ],
)
async def test_errors_end_the_job_and_not_the_runner(store, start, fault, code):
    await add(store, "a", "b")
    start(FakeTranscriber(fault, RESULT))
    job = await ended(store, "a")
    assert (job.status, json.loads(job.error)["code"]) == (JobStatus.FAILED, code)
    assert "secret" not in job.error
    assert (await ended(store, "b")).status is JobStatus.DONE


async def test_a_full_queue_is_asked_again(store, start):
    await add(store, "a")
    start(FakeTranscriber(Overloaded("full", retry_after_s=0), RESULT))
    assert (await ended(store, "a")).status is JobStatus.DONE


@pytest.mark.parametrize("fault", [NotReady("inference has stopped"), DeviceLost("gone")])
async def test_a_broken_model_leaves_the_jobs_to_the_next_process(store, start, fault):
    await add(store, "a", "b")
    transcriber = FakeTranscriber(fault)
    runner = start(transcriber)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({runner._dispatcher})
    assert runner.halted
    assert (await store.call(JobStore.get, "a")).status is JobStatus.RUNNING
    assert (await store.call(JobStore.get, "b")).status is JobStatus.QUEUED


async def test_a_job_that_brings_the_process_down_is_given_up(store, start):
    def crash(store):
        store.claim()
        store.release_running(attempted=True)

    await add(store, "a")
    for _ in range(MAX_ATTEMPTS):
        await store.call(crash)
    transcriber = FakeTranscriber()
    start(transcriber)
    job = await ended(store, "a")
    assert job.status is JobStatus.FAILED
    assert f"ended {MAX_ATTEMPTS} times" in json.loads(job.error)["message"]
    assert transcriber.calls == []


async def test_progress_is_that_of_the_running_job(store, start):
    async def half(options):
        options["progress"](1.5, 3.0)
        await asyncio.Event().wait()

    await add(store, "a")
    transcriber = FakeTranscriber(half)
    runner = start(transcriber)
    await begun(transcriber)
    progress = runner.progress("a")
    assert (progress.done_s, progress.duration_s) == (1.5, 3.0)
    assert runner.progress("b") is None


async def test_an_abandoned_job_makes_room(store, start):
    await add(store, "a", "b")
    transcriber = FakeTranscriber(forever)
    runner = start(transcriber)
    await begun(transcriber)
    await store.call(JobStore.delete, "a")
    await runner.abandon("a")
    await runner.abandon("a")
    assert (await ended(store, "b")).status is JobStatus.DONE
    assert (await ended(store, "a")).status is JobStatus.CANCELLED


async def test_stopping_leaves_the_running_job_as_it_is(store, start):
    await add(store, "a")
    transcriber = FakeTranscriber(forever)
    runner = start(transcriber)
    await begun(transcriber)
    await runner.stop()
    assert (await store.call(JobStore.get, "a")).status is JobStatus.RUNNING


async def test_an_end_that_cannot_be_recorded_is_tried_again(store, start, monkeypatch):
    finish = JobStore.finish
    faults = [StorageFull("full"), StorageFull("full")]

    def fail(*args, **kwargs):
        if faults:
            raise faults.pop()
        return finish(*args, **kwargs)

    monkeypatch.setattr(runner_module, "RETRY_S", 0)
    monkeypatch.setattr(JobStore, "finish", fail)
    await add(store, "a")
    start(FakeTranscriber())
    assert (await ended(store, "a")).status is JobStatus.DONE
    assert faults == []
