"""Whatever happens to jobs, and whenever the process ends: none is lost, and none ends twice."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.errors import JobNotFound
from service.jobs.job import JobStatus
from service.jobs.store import UPLOADS, JobStore

TTL_S = 100.0
QUEUED, RUNNING = JobStatus.QUEUED, JobStatus.RUNNING


class JobsAndCrashes(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now_s = 1_000.0
        self.status = {}  # by id, in the order in which they came
        self.attempts = {}
        self.ended_s = {}
        self.store = self.opened()

    def opened(self):
        return JobStore(self.folder, ttl_s=TTL_S, clock=lambda: self.now_s)

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    def having(self, *statuses):
        return [job_id for job_id, status in self.status.items() if status in statuses]

    @rule()
    def add(self):
        job_id = f"job-{len(self.attempts)}"
        self.store.files.create_part(job_id).close()
        self.store.add(job_id, "request", {})
        self.status[job_id], self.attempts[job_id] = QUEUED, 0

    @rule()
    def claim(self):
        job = self.store.claim()
        if waiting := self.having(QUEUED):
            self.status[waiting[0]] = RUNNING
            self.attempts[waiting[0]] += 1
            assert (job.id, job.attempts) == (waiting[0], self.attempts[waiting[0]])
        else:
            assert job is None

    @precondition(lambda self: self.status)
    @rule(data=st.data(), failed=st.booleans())
    def finish(self, data, failed):
        job_id = data.draw(st.sampled_from([*self.status]))
        was_running = self.status[job_id] is RUNNING
        if self.status[job_id] is QUEUED:
            return  # nobody works on it
        outcome = {"error": "{}"} if failed else {"result": "{}"}
        assert self.store.finish(job_id, **outcome) == was_running
        if was_running:
            self.end(job_id, JobStatus.FAILED if failed else JobStatus.DONE)

    @precondition(lambda self: self.status)
    @rule(data=st.data())
    def delete(self, data):
        job_id = data.draw(st.sampled_from([*self.status]))
        assert self.store.delete(job_id) is self.status[job_id]
        if self.status[job_id].is_active:
            self.store.files.remove(job_id)
            self.end(job_id, JobStatus.CANCELLED)
        else:
            del self.status[job_id]

    @rule(half_uploaded=st.booleans(), orderly=st.booleans())
    def restart(self, half_uploaded, orderly):
        if half_uploaded:
            self.store.files.create_part("half").close()
        if orderly:
            self.store.release_running(attempted=False)
        self.store.close()
        self.store = self.opened()
        for job_id in self.having(RUNNING):
            self.status[job_id] = QUEUED
            self.attempts[job_id] -= orderly

    @rule(seconds=st.sampled_from([1.0, TTL_S / 2, TTL_S]), sweep=st.booleans())
    def wait(self, seconds, sweep):
        self.now_s += seconds
        expired = [job_id for job_id, at_s in self.ended_s.items() if at_s <= self.now_s - TTL_S]
        for job_id in expired:
            self.status.pop(job_id, None)
        if sweep:
            self.store.sweep()

    @invariant()
    def every_job_is_where_it_should_be(self):
        for job_id in self.attempts:
            try:
                found = self.store.get(job_id).status
            except JobNotFound:
                found = None
            assert found is self.status.get(job_id)

    @invariant()
    def files_are_those_of_active_jobs(self):
        found = {path.name for path in (self.folder / UPLOADS).iterdir()}
        active = set(self.having(QUEUED, RUNNING))
        assert found == active
        assert self.store.load()[0] == len(active)

    def end(self, job_id, status):
        self.status[job_id], self.ended_s[job_id] = status, self.now_s


TestJobsAndCrashes = JobsAndCrashes.TestCase
TestJobsAndCrashes.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
