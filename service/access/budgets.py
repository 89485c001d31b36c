"""What a key has left of what it may use."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from service.access.keys import Limits
from service.errors import RateLimited

WINDOW_S = 60.0
STREAM_RETRY_S = 10.0  # people speak for longer than files take

Clock = Callable[[], float]


class Bucket:
    """An amount that is spent and comes back evenly, all of it within a minute.

    It may be overdrawn, since how long audio is shows only when it is decoded: what was overdrawn
    must come back, too, before more is spent.

    Args:
        capacity: what there is at the start, and at most.
        clock: current time in seconds.
    """

    def __init__(self, capacity: float, clock: Clock) -> None:
        self.capacity = capacity
        self._clock = clock
        self._left = capacity
        self._seen_s = clock()

    @property
    def left(self) -> float:
        """What may be spent; below zero if it was overdrawn."""
        now_s = self._clock()
        back = (now_s - self._seen_s) * self.capacity / WINDOW_S
        self._left = min(self.capacity, self._left + back)
        self._seen_s = now_s
        return self._left

    def spend(self, amount: float) -> None:
        """Take some, even if there is less."""
        self._left = self.left - amount

    def wait_s(self, amount: float) -> float:
        """How long until so much is there; 0 if it is."""
        return max(0.0, (amount - self.left) * WINDOW_S / self.capacity)


class Budget:
    """What one key has left; without limits, as much as it wants.

    Args:
        limits: what it may use.
        clock: current time in seconds.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._clock = clock
        self._streams = 0
        self._limit(limits)

    def follow(self, limits: Limits) -> None:
        """Other limits are valid from now on; open streams stay counted."""
        if limits != self._limits:
            self._limit(limits)

    def check(self) -> None:
        """Spend one request.

        Raises:
            RateLimited: there is none left, or no audio.
        """
        self.check_audio()
        if self._requests is None:
            return
        if wait_s := self._requests.wait_s(1):
            limit = self._limits.requests_per_minute
            raise RateLimited(
                f"this key has made its {limit} requests a minute",
                retry_after_s=wait_s,
                limit=limit,
            )
        self._requests.spend(1)

    def check_audio(self) -> None:
        """Find out if more audio may come.

        Raises:
            RateLimited: all that a minute has was sent.
        """
        if self._audio is not None and (wait_s := self._audio.wait_s(0)):
            limit = self._limits.audio_s_per_minute
            raise RateLimited(
                f"this key has sent its {limit:g} s of audio a minute",
                retry_after_s=wait_s,
                limit=limit,
            )

    def hear(self, audio_s: float) -> None:
        """Spend audio that was decoded; there may be less."""
        if self._audio is not None:
            self._audio.spend(audio_s)

    def hear_live(self, audio_s: float) -> None:
        """Spend audio of a stream.

        Raises:
            RateLimited: there is less.
        """
        self.hear(audio_s)
        self.check_audio()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """One open stream.

        Raises:
            RateLimited: there are as many as may be.
        """
        limit = self._limits.max_streams
        if limit is not None and self._streams >= limit:
            raise RateLimited(
                f"this key has {self._streams} open streams, its limit is {limit}",
                retry_after_s=STREAM_RETRY_S,
                found=self._streams,
                limit=limit,
            )
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def headers(self) -> dict[str, str]:
        """What the IETF's draft of RateLimit headers tells of it; empty without limits."""
        buckets = {"requests": self._requests, "audio-seconds": self._audio}
        limited = {name: bucket for name, bucket in buckets.items() if bucket is not None}
        if not limited:
            return {}
        return {
            "RateLimit-Policy": _listed(limited, _policy),
            "RateLimit": _listed(limited, _state),
        }

    def _limit(self, limits: Limits) -> None:
        self._limits = limits
        requests, audio_s = limits.requests_per_minute, limits.audio_s_per_minute
        self._requests = None if requests is None else Bucket(requests, self._clock)
        self._audio = None if audio_s is None else Bucket(audio_s, self._clock)


def _listed(buckets: Mapping[str, Bucket], told: Callable[[Bucket], str]) -> str:
    return ", ".join(f'"{name}";{told(bucket)}' for name, bucket in buckets.items())


def _policy(bucket: Bucket) -> str:
    return f"q={math.floor(bucket.capacity)};w={WINDOW_S:.0f}"


def _state(bucket: Bucket) -> str:
    """What is left, and in how many seconds all of it is."""
    return f"r={max(0, math.floor(bucket.left))};t={math.ceil(bucket.wait_s(bucket.capacity))}"
