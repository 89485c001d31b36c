"""Chunk sizes for training: drawn anew for every batch, so that one model serves them all.

As in dynamic chunk training (Zhang et al. 2020, arXiv 2012.05481): a model that sees chunks of many
sizes, and whole utterances, learns to make the best of whatever it is given.
"""

from dataclasses import dataclass

import torch

COMMON_CHUNKS = (8, 16, 32, 64)  # frames; 0.16 to 1.28 s of 20 ms each


@dataclass(frozen=True)
class ChunkDraws:
    """Which chunk sizes a model sees.

    Attributes:
        serving_frames: while it is evaluated, as a service would run it.
    """

    serving_frames: int

    @property
    def choices(self) -> tuple[int | None, ...]:
        """Sizes to learn from, in frames; None is the whole utterance."""
        return (*sorted({*COMMON_CHUNKS, self.serving_frames}), None)

    def draw(self, *, training: bool) -> int | None:
        """Size for a batch.

        Of torch's global generator on the CPU, whose state the Trainer's checkpoints hold: a
        resumed run draws what it would have drawn.
        """
        if not training:
            return self.serving_frames
        return self.choices[int(torch.randint(len(self.choices), ()))]
