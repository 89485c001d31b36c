"""Taking an attention decoder into a bundle."""

import json
from dataclasses import dataclass
from pathlib import Path

from model_export.attention_decoder.checkpoint import DecoderSpec, frames_digest
from model_export.attention_decoder.decoder import AttentionDecoder
from model_export.checkpoint import ModelSpec
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError
from model_export.export.attention_graphs import export_memory, export_step
from service import attention_form

MEMORY_FILE = "attention.memory.onnx"
STEP_FILE = "attention.step.onnx.gz"
TOKENS_FILE = "attention.tokens.json"


@dataclass(frozen=True)
class AddedAttention:
    """An attention decoder for a bundle.

    Attributes:
        spec: of its checkpoint.
        decoder: the checkpoint's.
        least_agreement: see `service.attention_form.AttentionDecoder`.
    """

    spec: DecoderSpec
    decoder: AttentionDecoder
    least_agreement: float

    @property
    def form(self) -> attention_form.AttentionDecoder:
        """What the bundle records of it."""
        return attention_form.AttentionDecoder(
            memory_file=MEMORY_FILE,
            step_file=STEP_FILE,
            tokens_file=TOKENS_FILE,
            width=self.spec.width,
            layers=self.spec.layers,
            longest_tokens=self.spec.longest_tokens,
            least_agreement=self.least_agreement,
        )

    def show_frames(self, model: CtcModel, spec: ModelSpec, *, in_chunks: bool) -> None:
        """Let a model give the frames that the decoder attends to.

        Raises:
            ExportError: it has learnt to attend to those of another model, or they come in chunks.
        """
        if in_chunks:
            raise ExportError("an attention decoder hears whole utterances, not chunks; leave one")
        found = frames_digest(spec, model, self.spec.after_layers)
        if found != self.spec.frames_digest:
            raise ExportError(
                f"the attention decoder attends to frames with digest "
                f"{self.spec.frames_digest[:12]}, those of the checkpoint have {found[:12]}"
            )
        model.shown_after = self.spec.after_layers

    def write(self, folder: Path) -> None:
        """Write its files.

        Raises:
            ExportError: torch cannot export it.
        """
        export_memory(self.decoder, folder / MEMORY_FILE)
        export_step(self.decoder, folder / STEP_FILE)
        (folder / TOKENS_FILE).write_text(json.dumps(self.spec.tokens, separators=(",", ":")))
