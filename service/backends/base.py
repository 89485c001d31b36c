"""What a backend promises, whatever runs the graph."""

from typing import Literal, Protocol

from service.arrays import FloatArray, IntArray

Device = Literal["cpu", "cuda"]

INPUTS = ("waveforms", "lengths")
OUTPUTS = ("logits", "frame_lengths")


class AcousticModel(Protocol):
    """A loaded model: padded waveforms to padded logits."""

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; blocks, and is called from worker threads.

        There are as many calls at once as `LoadedModel` has sessions.

        Args:
            waveforms: `[batch, samples]`, zero after each row's end.
            lengths: `[batch]`, valid samples of each row.

        Returns:
            logits `[batch, frames, vocab]`, and frame_lengths `[batch]`, valid frames of each row.

        Raises:
            InferenceFailed: the runtime refused or broke; `OutOfMemory` if a smaller batch may do,
                `DeviceLost` if nothing will do any more.
        """
        ...
