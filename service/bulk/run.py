"""Many files at once, in bounded numbers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from itertools import islice

from service.bulk.outcomes import FileFailed, Recognise
from service.bulk.tasks import Task
from service.schemas import TranscriptionBody

Outcome = TranscriptionBody | FileFailed
Ended = tuple[Task, Outcome]


async def recognised(
    tasks: Iterable[Task], recognise: Recognise, parallel: int
) -> AsyncGenerator[Ended, None]:
    """Each task with what came of it, as they end.

    Args:
        tasks: taken as there is room.
        recognise: called for up to `parallel` files at once; a `FileFailed` of it is an outcome,
            anything else ends all.
        parallel: files in work at once.
    """
    coming = iter(tasks)
    running: dict[asyncio.Task[Outcome], Task] = {}

    def begin() -> None:
        for task in islice(coming, parallel - len(running)):
            running[asyncio.create_task(_outcome(task, recognise))] = task

    try:
        begin()
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            ended = [(running.pop(one), one.result()) for one in done]
            begin()
            for one in ended:
                yield one
    finally:
        for working in running:
            working.cancel()
        if running:
            await asyncio.wait(running)


async def in_order(tasks: Sequence[Task], ended: AsyncIterator[Ended]) -> AsyncIterator[Ended]:
    """The same outcomes, each when all tasks before it were told."""
    early: dict[int, Ended] = {}
    places = {id(task): place for place, task in enumerate(tasks)}
    turn = 0
    async for one in ended:
        early[places[id(one[0])]] = one
        while turn in early:
            yield early.pop(turn)
            turn += 1


async def _outcome(task: Task, recognise: Recognise) -> Outcome:
    try:
        return await recognise(task.source)
    except FileFailed as failure:
        return failure
