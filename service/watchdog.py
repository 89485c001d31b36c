"""How long the model may take: a thread that hangs in it cannot be stopped, only given up."""

import asyncio
from math import inf
from typing import TypeVar

from service.errors import DeviceLost

T = TypeVar("T")


async def in_time(inference: "asyncio.Future[T]", timeout_s: float) -> T:
    """The result of an inference that runs in a thread.

    Raises:
        DeviceLost: it has not ended after so long, and probably never will.
    """
    done, _ = await asyncio.wait({inference}, timeout=None if timeout_s == inf else timeout_s)
    if not done:
        raise DeviceLost(
            f"inference has not ended after {timeout_s:g} s", found=timeout_s, limit=timeout_s
        )
    return inference.result()
