"""When ONNX Runtime's arena gives back what it has taken.

An arena keeps the most it ever took. After 2 minutes in one pass a wav2vec2-base process held 3.5
GB on CPU, and 0.8 GB when the arena shrank afterwards. Ordinary batches add up, too, where they
meet: the shipped English model held 570 MB after one at a time, and 1,270 MB after four at once.
"""

import time
from collections.abc import Callable

PERIOD_S = 60.0


class Returns:
    """Says after which runs an arena shrinks: after large ones, and else once a minute.

    To shrink after every run costs about a tenth of short ones: what the next needs has to be
    fetched again, page by page.

    Args:
        batch_samples: most of an ordinary batch, padding included; a larger one is large.
        clock: current time in seconds.
    """

    def __init__(self, batch_samples: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._batch_samples = batch_samples
        self._clock = clock
        self._last_s = clock()

    def are_due_after(self, samples: int) -> bool:
        """Whether the arena shrinks after a run of so many samples, padding included.

        Threads may ask at once; should two be told so, the arena shrinks twice.
        """
        now_s = self._clock()
        if samples <= self._batch_samples and now_s - self._last_s < PERIOD_S:
            return False
        self._last_s = now_s
        return True
