"""When an utterance is over; pure."""

from dataclasses import dataclass

from service.streaming.events import FinalReason

LATE = 0.75  # of the longest utterance; from there on a short pause is welcome
SHORT_PAUSE_S = 0.2
SHORTEST_SILENCE_S = 0.3  # a stop consonant is as long


@dataclass(frozen=True)
class Endpointing:
    """What ends an utterance.

    Attributes:
        silence_s: so much silence; None leaves it to the client and to `longest_s`.
        longest_s: an utterance that lasts so long is cut, at a pause if one comes in its last
            quarter.
        utterance_end_s: tell when nobody has spoken for so long; None does not.
    """

    silence_s: float | None
    longest_s: float
    utterance_end_s: float | None = None

    def reason_to_end(self, duration_s: float, silent_s: float) -> FinalReason | None:
        """Why to end an utterance of this duration whose end has been silent for so long."""
        if self.silence_s is not None:
            enough_s = max(self.silence_s, SHORTEST_SILENCE_S)
            if silent_s >= enough_s - 1e-6:
                return FinalReason.SILENCE
        if duration_s >= LATE * self.longest_s and silent_s >= SHORT_PAUSE_S:
            return FinalReason.LONGEST
        return FinalReason.LONGEST if duration_s >= self.longest_s - 1e-6 else None
