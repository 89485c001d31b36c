"""A whole run: what is left to do, what is printed or written, and how it ended."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing

from service.bulk.formats import as_json, render, write
from service.bulk.outcomes import ExitCode, FileFailed, NothingGoes, Recognise, Tally
from service.bulk.progress import ProgressLine
from service.bulk.run import in_order, recognised
from service.bulk.tasks import Task
from service.schemas import TranscriptionBody


class Work:
    """Files to be transcribed.

    Attributes:
        is_left: whether there is anything to do.

    Args:
        tasks: all of them, each with outputs or none with any.
        as_json: print JSON instead of texts.
        overwrite: do again what is complete.
    """

    def __init__(self, tasks: Sequence[Task], *, as_json: bool, overwrite: bool) -> None:
        self._writes = any(task.outputs for task in tasks)
        self._as_json = as_json
        is_again = overwrite or not self._writes
        self._tasks = [task for task in tasks if is_again or not task.is_complete()]
        self._sizes_bytes = {id(task): task.size_bytes for task in self._tasks}
        left_bytes = sum(self._sizes_bytes.values())
        self._tally = Tally(len(tasks), left_bytes, skipped=len(tasks) - len(self._tasks))
        is_seen = self._writes and sys.stderr.isatty()
        self._line = ProgressLine(sys.stderr if is_seen else None)
        self._started_s = time.monotonic()
        self.is_left = bool(self._tasks)

    async def do(self, recognise: Recognise, parallel: int) -> ExitCode:
        """All that is left; whatever ends it, what was done is told.

        Raises:
            NothingGoes: see `Recognise`.
        """
        self._started_s = time.monotonic()
        try:
            async with aclosing(recognised(self._tasks, recognise, parallel)) as ended:
                if self._writes:
                    async for task, outcome in ended:
                        await self._write(task, outcome)
                else:
                    async for task, outcome in in_order(self._tasks, ended):
                        self._print(task, outcome)
        except BaseException:
            self._summarise()
            raise
        return self.end()

    def end(self) -> ExitCode:
        """Tell what was done, and whether it was all."""
        self._summarise()
        return ExitCode.SOME_FAILED if self._tally.failures else ExitCode.DONE

    async def _write(self, task: Task, outcome: TranscriptionBody | FileFailed) -> None:
        if isinstance(outcome, TranscriptionBody):
            try:
                await asyncio.to_thread(_write_all, task, outcome)
            except OSError as error:
                outcome = FileFailed(f"{error.filename}: {error.strerror}")
        self._count(task, outcome)
        self._line.draw(self._tally)

    def _print(self, task: Task, outcome: TranscriptionBody | FileFailed) -> None:
        self._count(task, outcome)
        if isinstance(outcome, FileFailed):
            print(f"{task.source}: {outcome}", file=sys.stderr)
        elif self._as_json:
            body = {"path": str(task.source), **as_json(outcome)}
            print(json.dumps(body, ensure_ascii=False), flush=True)
        else:
            print(f"{task.source}: {outcome.text}", flush=True)

    def _count(self, task: Task, outcome: TranscriptionBody | FileFailed) -> None:
        tally = self._tally
        tally.seen_bytes += self._sizes_bytes[id(task)]
        if isinstance(outcome, FileFailed):
            tally.failures[task.source] = str(outcome)
        else:
            tally.done += 1
            tally.audio_s += outcome.duration_s

    def _summarise(self) -> None:
        self._line.clear()
        if self._writes:
            print(self._tally.summary(time.monotonic() - self._started_s), file=sys.stderr)


def tell(error: NothingGoes) -> ExitCode:
    """Say why nothing goes."""
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _write_all(task: Task, body: TranscriptionBody) -> None:
    for form, path in task.outputs.items():
        write(path, render(body, form))
