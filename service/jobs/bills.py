"""Who pays for the audio of jobs: known when it is decoded, long after the request has gone."""

from collections.abc import Callable

Spend = Callable[[float], None]


class Bills:
    """What is open; kept in memory, as what keys have left is."""

    def __init__(self) -> None:
        self._open: dict[str, Spend] = {}

    def open(self, job_id: str, spend: Spend) -> None:
        """A job was accepted.

        Args:
            job_id: whose.
            spend: takes seconds of audio from what its key has left.
        """
        self._open[job_id] = spend

    def settle(self, job_id: str, audio_s: float) -> None:
        """Its audio is decoded; once for each job, however often it is begun."""
        if spend := self._open.pop(job_id, None):
            spend(audio_s)

    def drop(self, job_id: str) -> None:
        """It ended, perhaps before that."""
        self._open.pop(job_id, None)
