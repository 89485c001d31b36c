"""What a manifest says of its streaming graph: chunk and state in, logits and state out.

An input `waveforms` holds the left context, the chunk and the lookahead of each stream, one behind
the other; `lengths` counts the valid samples from a row's beginning. At an utterance's start the
left context and every state tensor are zeros.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

STATE_PREFIX = "state_"
NEXT_STATE_PREFIX = "next_state_"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StateTensor(_Frozen):
    """What a stream carries from one chunk to the next.

    Attributes:
        name: the graph's input is `state_NAME`, its output `next_state_NAME`.
        shape: of one stream, without the batch axis.
        dtype: of the elements.
    """

    name: str
    shape: tuple[Annotated[int, Field(ge=0)], ...]
    dtype: Literal["float32", "float16", "int64", "int32"]


class StreamingVariant(_Frozen):
    """One file of the streaming graph, and its arithmetic."""

    file: str
    precision: Literal["float32", "float16", "bfloat16", "int8"]


class StreamingGraph(_Frozen):
    """The chunked form of a bundle's model.

    Attributes:
        variants: the preferred one first.
        chunk_frames: frames of logits that one call gives.
        left_context_samples: samples before the chunk that the front end sees again.
        lookahead_samples: samples behind the chunk that must be there before it can be computed.
        states: what a stream carries along.
    """

    variants: Annotated[tuple[StreamingVariant, ...], Field(min_length=1)]
    chunk_frames: Annotated[int, Field(ge=1)]
    left_context_samples: Annotated[int, Field(ge=0)]
    lookahead_samples: Annotated[int, Field(ge=0)]
    states: tuple[StateTensor, ...]
