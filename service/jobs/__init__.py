"""Transcription of long files in the background: accepted now, done later, kept over a restart.

    form -> file on disk, row in SQLite -> 202        (jobs, store)
    next row -> transcriber, bulk lane -> result      (runner)

A job that was accepted is worked on at least once: after a crash it is taken up again from its
beginning. Its result is kept exactly once, since only the first end of a job is recorded.
"""

from service.jobs.body import JobBody
from service.jobs.jobs import Jobs

__all__ = ["JobBody", "Jobs"]
