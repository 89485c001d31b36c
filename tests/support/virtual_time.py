"""Time that passes only when everyone waits: real asyncio code, no threads, every run the same."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")
TICK_S = 1e-9  # each look at the clock takes this long, so that no rounding can stop time


class _ImpatientSelector(selectors.SelectSelector):
    """Never sleeps: what it would have slept is added to the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        self.now_s += TICK_S
        if not ready:
            assert timeout is not None, "everyone waits, and for nothing that will ever happen"
            self.now_s += max(0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at zero and jumps to the next timer."""

    def __init__(self) -> None:
        self._impatient = _ImpatientSelector()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._impatient.now_s


class VirtualThreads(Executor):
    """Calls at once, and hands the result over as late as `cost_s` says.

    Args:
        cost_s: how long a call takes, given the function and its arguments.
    """

    def __init__(self, cost_s: Callable[..., float]) -> None:
        self._cost_s = cost_s

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        finish: Callable[[], None]
        try:
            result = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            failure = error
            finish = lambda: future.set_exception(failure)  # noqa: E731
        else:
            finish = lambda: future.set_result(result)  # noqa: E731
        asyncio.get_running_loop().call_later(self._cost_s(function, *args), finish)
        return future


def run_in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work; fails if it waits for something that never comes."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
