"""Jobs on disk: a row in SQLite for each and, until it has ended, its file.

    queued -> running -> done | failed       each end is final, and forgotten after a time to live
       |        |
       +--------+-> cancelled                after a stop or a crash, running is queued again

Plain blocking code for one thread. The database is open in SQLite's exclusive locking mode: one
process owns the folder, and the kernel frees it however that process ends. A file is renamed into
place before its row is written and deleted after its row has ended, so that a crash can leave a
file without a row, which the next owner deletes, but never a row without its file.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path

from service.errors import JobNotFound
from service.jobs.files import JobFiles
from service.jobs.job import ACTIVE, Job, JobStatus

DATABASE = "jobs.db"
UPLOADS = "uploads"
SCHEMA_VERSION = 2
ROW_BYTES = 4096  # what a row at least counts on disk: one page


_IS_ACTIVE = f"status IN ('{JobStatus.QUEUED}', '{JobStatus.RUNNING}')"
_COLUMNS = ", ".join(field.name for field in fields(Job))
_SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT UNIQUE NOT NULL,
        request_id TEXT NOT NULL,
        language TEXT,
        model TEXT,
        size_bytes INTEGER NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        created_s REAL NOT NULL,
        started_s REAL,
        finished_s REAL,
        result TEXT,
        error TEXT,
        decoding TEXT,
        hot_words TEXT
    );
    CREATE INDEX IF NOT EXISTS active_jobs ON jobs (number) WHERE {_IS_ACTIVE};
    PRAGMA user_version = {SCHEMA_VERSION};
"""
_SECOND_SCHEMA = """
    ALTER TABLE jobs ADD COLUMN decoding TEXT;
    ALTER TABLE jobs ADD COLUMN hot_words TEXT;
"""


class JobStore:
    """The folder of the jobs, taken over from whoever had it before.

    Attributes:
        files: of the jobs that have not ended.

    Args:
        folder: made if it is not there.
        ttl_s: how long a job is kept after its end, in seconds.
        clock: seconds of the epoch; None takes the system's, without its jumps from now on.

    Raises:
        OSError: the folder cannot be used.
        sqlite3.Error: the database cannot, or another process has it.
    """

    def __init__(
        self, folder: Path, *, ttl_s: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._ttl_s = ttl_s
        self._clock = clock or _steady_clock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.files = JobFiles(folder / UPLOADS)
        self._connection = _connect(folder / DATABASE)
        try:
            self.release_running(attempted=True)
            query = f"SELECT id FROM jobs WHERE {_IS_ACTIVE}"
            self.files.remove_others({job_id for (job_id,) in self._connection.execute(query)})
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folder."""
        self._connection.close()

    def add(self, job_id: str, request_id: str, asked: Mapping[str, str]) -> Job:
        """Accept a job whose upload is complete and synced; it is safe on disk afterwards.

        Args:
            job_id: of its file.
            request_id: of the request that posted it.
            asked: what for, by the names of `service.options.FIELDS`.
        """
        job = Job(
            id=job_id,
            request_id=request_id,
            size_bytes=self.files.keep(job_id),
            created_s=self._clock(),
            language=asked.get("language"),
            model=asked.get("model"),
            decoding=asked.get("decoding"),
            hot_words=asked.get("hot_words"),
        )
        names = ", ".join(f":{field.name}" for field in fields(Job))
        try:
            self._write(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({names})", asdict(job))
        except BaseException:
            self.files.remove(job_id)
            raise
        return job

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            JobNotFound: there is none, or it ended too long ago.
        """
        query = f"SELECT {_COLUMNS} FROM jobs WHERE id = ? AND coalesce(finished_s > ?, TRUE)"
        job = self._first(query, job_id, self._expired_s())
        if job is None:
            raise JobNotFound("there is no such job, or no more")
        return job

    def claim(self) -> Job | None:
        """Begin the oldest queued job; None if there is none."""
        query = f"SELECT {_COLUMNS} FROM jobs WHERE {_IS_ACTIVE} AND status = ? ORDER BY number"
        job = self._first(f"{query} LIMIT 1", JobStatus.QUEUED)
        if job is None:
            return None
        self._write(
            "UPDATE jobs SET status = :status, attempts = attempts + 1, started_s = :now "
            "WHERE id = :id",
            {"status": JobStatus.RUNNING, "now": self._clock(), "id": job.id},
        )
        return self.get(job.id)

    def finish(self, job_id: str, *, result: str | None = None, error: str | None = None) -> bool:
        """Record the end of a running job, done or failed; False if it had ended before.

        Args:
            job_id: whose.
            result: JSON of what came out.
            error: JSON of what went wrong instead.
        """
        status = JobStatus.DONE if error is None else JobStatus.FAILED
        was_first = self._end(job_id, status, result=result, error=error)
        self.files.remove(job_id)
        return was_first

    def delete(self, job_id: str) -> JobStatus:
        """Cancel a job, or forget it if it has ended; the file of a cancelled one is left.

        Returns:
            The status that it had.

        Raises:
            JobNotFound: there is none.
        """
        job = self.get(job_id)
        if job.status.is_active:
            self._end(job_id, JobStatus.CANCELLED)
        else:
            self._write("DELETE FROM jobs WHERE id = :id", {"id": job_id})
        return job.status

    def release_running(self, *, attempted: bool) -> None:
        """Queue running jobs again, in their old places.

        Args:
            attempted: whether it was an attempt; an orderly stop is none.
        """
        self._write(
            "UPDATE jobs SET status = :queued, started_s = NULL, attempts = attempts - :given_back "
            "WHERE status = :running",
            {
                "queued": JobStatus.QUEUED,
                "running": JobStatus.RUNNING,
                "given_back": int(not attempted),
            },
        )

    def sweep(self) -> int:
        """Forget jobs that ended too long ago; returns how many."""
        return self._write("DELETE FROM jobs WHERE finished_s <= :at", {"at": self._expired_s()})

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs have each active status."""
        query = f"SELECT status, count(*) FROM jobs WHERE {_IS_ACTIVE} GROUP BY status"
        return dict.fromkeys(ACTIVE, 0) | {
            JobStatus(status): count for status, count in self._connection.execute(query)
        }

    def load(self) -> tuple[int, int]:
        """How many jobs are active, and what all jobs take on disk, in bytes."""
        query = f"SELECT total({_IS_ACTIVE}), total(size_bytes) FROM jobs"
        active, size_bytes = self._connection.execute(query).fetchone()
        return int(active), int(size_bytes)

    def _end(
        self, job_id: str, status: JobStatus, *, result: str | None = None, error: str | None = None
    ) -> bool:
        """Record the first end of a job; later ones change nothing."""
        size_bytes = max(ROW_BYTES, len((result or "").encode()))
        changed = self._write(
            "UPDATE jobs SET status = :status, finished_s = :now, size_bytes = :size_bytes, "
            f"result = :result, error = :error WHERE id = :id AND {_IS_ACTIVE}",
            {
                "status": status,
                "now": self._clock(),
                "size_bytes": size_bytes,
                "result": result,
                "error": error,
                "id": job_id,
            },
        )
        return changed > 0

    def _write(self, statement: str, values: dict[str, object]) -> int:
        """One transaction; returns how many rows it changed."""
        with self._connection:
            return self._connection.execute(statement, values).rowcount

    def _first(self, query: str, *values: object) -> Job | None:
        row = self._connection.execute(query, values).fetchone()
        if row is None:
            return None
        job = Job(*row)
        return replace(job, status=JobStatus(job.status))

    def _expired_s(self) -> float:
        return self._clock() - self._ttl_s


def _connect(path: Path) -> sqlite3.Connection:
    if not path.exists():
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=0)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was committed outlives the power
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, 1, SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"it has schema {version}, this release {SCHEMA_VERSION}")
        if version == 1:
            connection.executescript(f"BEGIN; {_SECOND_SCHEMA} PRAGMA user_version = 2; COMMIT;")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _steady_clock() -> Callable[[], float]:
    """The epoch by the clock as it is now: if it is set, no transcript expires too soon."""
    started_s = time.time() - time.monotonic()
    return lambda: started_s + time.monotonic()
