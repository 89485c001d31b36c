"""An attention decoder in a folder: its weights, and what its tokens write."""

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model_export.attention_decoder.decoder import AttentionDecoder
from model_export.checkpoint import ModelSpec
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import CheckpointInvalid
from model_export.mixing.freezing import trained_tensors

SPEC_FILE = "attention.json"
WEIGHTS_FILE = "attention.safetensors"

Size = Annotated[int, Field(ge=1)]


class DecoderSpec(BaseModel):
    """What a decoder is.

    Attributes:
        base: where it comes from.
        frames_digest: of all that makes the frames it has learnt to attend to.
        after_layers: how many layers these frames have gone through.
        tokens: the bytes that each writes, as characters U+0000 to U+00FF; the last two, start and
            end of a text, write nothing.
        width: of frames and tokens.
        layers: how many.
        heads: of each attention.
        inner: width of the feed-forward parts.
        longest_tokens: of a text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    frames_digest: str
    after_layers: Size
    tokens: Annotated[tuple[str, ...], Field(min_length=3)]
    width: Size
    layers: Size
    heads: Size
    inner: Size
    longest_tokens: Size

    def build(self) -> AttentionDecoder:
        """A decoder of this kind; its weights are random."""
        return AttentionDecoder(
            vocabulary_size=len(self.tokens),
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            inner=self.inner,
            longest=self.longest_tokens + 1,
        )


def frames_digest(spec: ModelSpec, model: CtcModel, after_layers: int) -> str:
    """Digest of what makes the frames of a checkpoint's model: its base, and what has learnt.

    Args:
        spec: of the checkpoint.
        model: the checkpoint's, with `requires_grad` as it was while it learnt.
        after_layers: how many layers the frames have gone through.
    """
    below = ("stem.", *(f"layers.{index}." for index in range(after_layers)))
    learnt = {
        name: tensor for name, tensor in trained_tensors(model).items() if name.startswith(below)
    }
    if not learnt:
        return spec.base_digest
    digest = hashlib.sha256(spec.base_digest.encode())
    for name in sorted(learnt):
        digest.update(name.encode())
        digest.update(learnt[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_decoder(folder: Path, spec: DecoderSpec, decoder: AttentionDecoder) -> None:
    """Write a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in decoder.state_dict().items()}
    save_file(tensors, folder / WEIGHTS_FILE)
    (folder / SPEC_FILE).write_text(spec.model_dump_json(indent=1) + "\n")


def load_decoder(folder: Path) -> tuple[DecoderSpec, AttentionDecoder]:
    """Read a checkpoint.

    Raises:
        CheckpointInvalid: files are missing, damaged, or do not fit each other.
    """
    try:
        spec = DecoderSpec.model_validate_json((folder / SPEC_FILE).read_bytes())
        decoder = spec.build()
        decoder.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (OSError, ValidationError, SafetensorError, RuntimeError) as error:
        raise CheckpointInvalid(f"{folder} holds no attention decoder: {error}") from error
    return spec, decoder.eval()
