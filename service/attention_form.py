"""The attention decoder of a bundle: what `bundle.json` says of it.

Two ONNX graphs. One makes of the encoder's frames what tokens attend to: `frames` `[batch, frames,
width]` and `lengths` `[batch]` to `keys` and `values` `[layers, batch, frames, width]`. The other
takes `tokens` `[batch, tokens]`, these three, and `past_keys` and `past_values` `[layers, batch,
before, width]`, and gives `logits` `[batch, tokens, vocabulary]`, `next_keys` and `next_values`.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MEMORY_INPUTS = ("frames", "lengths")
MEMORY_OUTPUTS = ("keys", "values")
STEP_INPUTS = ("tokens", "keys", "values", "lengths", "past_keys", "past_values")
STEP_OUTPUTS = ("logits", "next_keys", "next_values")


class AttentionDecoder(BaseModel):
    """A decoder that writes a text token by token, attending to the encoder's frames.

    The acoustic model's `logits` then have so many columns more: the frames, `width` wide.

    Attributes:
        memory_file: the graph of what tokens attend to; gzip, if its name ends in .gz.
        step_file: the graph of the next token.
        tokens_file: JSON, a list of the bytes that each token writes, as characters U+0000 to
            U+00FF; the last two, start and end of a text, write nothing.
        width: of a frame.
        layers: of the step.
        longest_tokens: of a text.
        least_agreement: how much less likely a text may be than CTC's own, as natural logarithm for
            each of its characters, at most 0; one below it is not believed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_file: str
    step_file: str
    tokens_file: str
    width: Annotated[int, Field(ge=1)]
    layers: Annotated[int, Field(ge=1)]
    longest_tokens: Annotated[int, Field(ge=1)]
    least_agreement: Annotated[float, Field(le=0, allow_inf_nan=False)]

    @property
    def files(self) -> tuple[str, str, str]:
        """All that it is."""
        return self.memory_file, self.step_file, self.tokens_file
