"""How fast the model works, measured: from it, refused callers learn when to come back."""

MEMORY = 0.8  # weight of the past; each batch that ends adds itself with weight one
GUESS_S = 1.0  # before anything is measured: a second of audio a second, as if just measured


class Pace:
    """Audio done per second of wall time in which anything ran, over all sessions together.

    Audio and time are summed apart, so that sessions which end together do not look like one that
    took no time. A batch that had to be tried again counts with all the time that it took.
    """

    def __init__(self) -> None:
        self._done_s = GUESS_S
        self._busy_s = GUESS_S
        self._batches = 0
        self._in_work_s = 0.0
        self._measured_to_s = 0.0

    def begin(self, audio_s: float, now_s: float) -> None:
        """A batch with so much audio starts."""
        if not self._batches:
            self._measured_to_s = now_s
            self._in_work_s = 0.0
        self._batches += 1
        self._in_work_s += audio_s

    def end(self, audio_s: float, now_s: float) -> None:
        """A batch that began with so much audio is done."""
        self._batches -= 1
        self._in_work_s -= audio_s
        self._done_s = MEMORY * self._done_s + audio_s
        self._busy_s = MEMORY * self._busy_s + now_s - self._measured_to_s
        self._measured_to_s = now_s

    def expected_s(self, waiting_s: float) -> float:
        """How long what is in work will take, and so many seconds of waiting audio after it."""
        return (self._in_work_s + waiting_s) * self._busy_s / self._done_s
