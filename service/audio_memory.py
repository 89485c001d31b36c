"""How much decoded audio may lie in memory at once, over all requests.

A file of a few megabytes can unfold into an hour, 230 MB of samples, which stay until its last
segment is through the model. So each request takes a share that grows while it is decoded.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from service.admission import Rejection
from service.errors import Overloaded
from service.metrics import Metrics

FREE_S = 30  # of each request; the number of requests bounds it, and short ones never wait for long


class AudioMemory:
    """Counts whole seconds; its shares may be used from any thread.

    Args:
        limit_s: of all shares together; a lone one may be larger.
        metrics: fed with what is held, and with who is turned away.
        retry_after_s: how long so many seconds of audio take from now.
    """

    def __init__(
        self, limit_s: float, metrics: Metrics, retry_after_s: Callable[[float], float]
    ) -> None:
        self._limit_s = limit_s
        self._metrics = metrics
        self._retry_after_s = retry_after_s
        self._lock = Lock()
        self._keys = itertools.count()
        self._shares_s: dict[int, int] = {}

    @contextmanager
    def share(self) -> Iterator[Callable[[float], None]]:
        """A share that is given back at the end.

        Yields:
            What sets its size in seconds, and raises `Overloaded` if there is no room to grow.
        """
        key = next(self._keys)
        try:
            yield lambda seconds: self._set(key, int(max(0.0, seconds - FREE_S)))
        finally:
            self._set(key, 0)

    def _set(self, key: int, wanted_s: int) -> None:
        with self._lock:
            own_s = self._shares_s.pop(key, 0)
            others_s = sum(self._shares_s.values())
            full = wanted_s > own_s and others_s and others_s + wanted_s > self._limit_s
            if held_s := own_s if full else wanted_s:
                self._shares_s[key] = held_s
            self._metrics.decoded_audio_seconds.set(others_s + held_s)
        if full:
            self._metrics.rejected.labels(Rejection.MEMORY_FULL).inc()
            raise Overloaded(
                f"{others_s} s of decoded audio are held, the limit is {self._limit_s:g}",
                retry_after_s=self._retry_after_s(others_s),
                found=others_s + wanted_s,
                limit=self._limit_s,
            )
