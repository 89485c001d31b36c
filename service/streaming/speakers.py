"""Whether anybody speaks just now, in any stream."""

from collections.abc import Callable


class Speakers:
    """Counts those who are in the middle of an utterance.

    Args:
        on_change: told when the first begins and when the last has ended.
    """

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self._on_change = on_change
        self._count = 0

    def begin(self) -> None:
        """One begins an utterance."""
        self._count += 1
        if self._count == 1:
            self._on_change(True)

    def end(self) -> None:
        """One's utterance is over."""
        self._count -= 1
        if self._count == 0:
            self._on_change(False)


class Speaker:
    """One of them: may begin and end as often as it likes.

    Args:
        speakers: all.
    """

    def __init__(self, speakers: Speakers) -> None:
        self._speakers = speakers
        self._is_speaking = False

    def begin(self) -> None:
        """In the middle of an utterance, from now on if not already."""
        if not self._is_speaking:
            self._is_speaking = True
            self._speakers.begin()

    def end(self) -> None:
        """In none any more, from now on if not already."""
        if self._is_speaking:
            self._is_speaking = False
            self._speakers.end()
