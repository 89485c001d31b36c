"""The chunked form of a bundle: what `bundle.json` says of graphs that take audio chunk by chunk.

One chunk and state in, the chunk's logits and state out: cost per second of audio and memory per
stream are constant, and any split of the audio gives the same logits.
"""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

FROZEN = ConfigDict(frozen=True, extra="forbid")

StateDtype = Literal["float32", "int64"]
StreamingPrecision = Literal["float32", "int8"]


class StreamingVariant(BaseModel):
    """One file of the chunked form, an ONNX graph (gzip, if its name ends in .gz).

    Attributes:
        file: name inside the bundle.
        precision: arithmetic of the graph (not of the stored weights).
    """

    model_config = FROZEN

    file: str
    precision: StreamingPrecision


class StateTensor(BaseModel):
    """What a stream carries from one chunk to the next; all zeros where an utterance begins.

    Attributes:
        name: the graph takes it as `state_<name>` and gives it back as `next_state_<name>`.
        shape: of one stream; in the graph, the batch stands before it.
        dtype: of its numbers.
    """

    model_config = FROZEN

    name: str
    shape: tuple[Annotated[int, Field(ge=0)], ...]
    dtype: StateDtype

    @property
    def size_bytes(self) -> int:
        """What one stream holds of it."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Streaming(BaseModel):
    """The chunked form: one chunk and state in, the chunk's logits and state out.

    A graph takes `waveforms` `[batch, row_samples]` float32, which is left context, chunk and
    lookahead; `lengths` `[batch]` int64, how many of them are valid, left context included; and
    `state_<name>` for each state. It gives `logits` `[batch, chunk_frames, vocab]`,
    `frame_lengths` `[batch]` int64 and `next_state_<name>`. The chunk moves on by its own length.
    Before an utterance lie zeros, and behind its end: only in its last chunks `lengths` is less
    than all. Rows are independent: each gives what it gives alone. A graph that is also one of the
    bundle's own variants takes chunks of any whole number of frames, so that an utterance may be
    one chunk.

    Attributes:
        variants: the graphs, the preferred one first.
        chunk_frames: frames that a graph gives at once.
        left_context_samples: samples before the chunk that its frames look back at.
        lookahead_samples: samples behind the chunk that its frames look ahead at.
        states: what a stream carries.
    """

    model_config = FROZEN

    variants: Annotated[tuple[StreamingVariant, ...], Field(min_length=1)]
    chunk_frames: Annotated[int, Field(gt=0)]
    left_context_samples: Annotated[int, Field(ge=0)]
    lookahead_samples: Annotated[int, Field(ge=0)]
    states: tuple[StateTensor, ...]

    def has(self, file: str) -> bool:
        """Whether a file of the bundle is one of the graphs."""
        return any(graph.file == file for graph in self.variants)

    @property
    def state_bytes(self) -> int:
        """What one stream holds between two chunks, however long it is."""
        return sum(state.size_bytes for state in self.states)
