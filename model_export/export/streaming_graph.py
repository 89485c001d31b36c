"""The chunked form of a model as ONNX graphs; `service.streaming_form` says what they take."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch

from model_export.chunked import ChunkedModel, chunks, open_graph
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError
from model_export.export.exporters import BATCH, onnx_program, save_graph
from model_export.export.int8 import quantise, store_in_8_bits
from model_export.export.packing import packed
from model_export.export.parity import Parity, measure_parity, require_parity, require_same_labels
from model_export.export.smoothing import Feed
from model_export.mixing.chunking import in_chunks
from model_export.mixing.streaming import StreamingModel
from service.arrays import FloatArray
from service.backends.base import INPUTS, OUTPUTS
from service.streaming_form import Streaming, StreamingVariant

FLOAT32 = StreamingVariant(file="streaming.onnx", precision="float32")
INT8 = StreamingVariant(file="streaming.int8.onnx.gz", precision="int8")
KINDS: dict[str, StreamingVariant] = {"float32": FLOAT32, "int8": INT8}
INT8_PARITY_CLIPS = 24


def form_of(model: StreamingModel, precisions: Sequence[str]) -> Streaming:
    """What a bundle records of a chunked form.

    Raises:
        ExportError: it has no graph of such a precision.
    """
    if odd := [precision for precision in precisions if precision not in KINDS]:
        raise ExportError(f"no streaming graph is {odd[0]}; there are: {', '.join(KINDS)}")
    return Streaming(
        variants=tuple(KINDS[precision] for precision in precisions),
        chunk_frames=model.chunk_frames,
        left_context_samples=model.left_context_samples,
        lookahead_samples=model.row_samples - model.hop_samples - model.left_context_samples,
        states=model.states,
    )


def write_streaming(
    model: StreamingModel, form: Streaming, folder: Path, ranges: Sequence[FloatArray]
) -> None:
    """Write the graphs of a form.

    Args:
        model: the eager chunked form.
        form: which graphs.
        folder: of the bundle.
        ranges: real speech, each `[samples]`, that sets the ranges of int8.

    Raises:
        ExportError: torch cannot export this model, or int8 has no recordings.
    """
    for variant in form.variants:
        graph = streaming_graph(model)
        if variant.precision == "int8":
            if not ranges:
                raise ExportError("int8 needs recordings that set its ranges, and got 0")
            graph = quantise(graph, ChunkFeeds(model, form, ranges))
            store_in_8_bits(graph)
        with packed(folder / variant.file) as path:
            save_graph(graph, path)


def streaming_graph(model: StreamingModel) -> onnx.ModelProto:
    """A float32 graph, its nodes still knowing which module they come from.

    Raises:
        ExportError: torch cannot export this model.
    """
    names = [state.name for state in model.states]
    # Whole frames, as all chunks are; how many there are must not end up in the graph.
    samples = model.row_samples + 3 * model.hop_samples // model.chunk_frames
    lengths = torch.tensor([samples, samples // 2])
    rows = torch.export.Dim("samples", min=model.row_samples - model.hop_samples + 1)
    return onnx_program(
        model,
        (torch.zeros(2, samples), lengths, *model.initial_state(2)),
        input_names=[*INPUTS, *(f"state_{name}" for name in names)],
        output_names=[*OUTPUTS, *(f"next_state_{name}" for name in names)],
        dynamic_shapes={
            "waveforms": {0: BATCH, 1: rows},
            **{name: {0: BATCH} for name in ("lengths", *names)},
        },
    )


def check_streaming(
    model: CtcModel, form: Streaming, folder: Path, clips: Sequence[FloatArray]
) -> dict[str, Parity]:
    """Hold the graphs against the eager model under the same chunks, by file.

    Args:
        model: the eager model.
        form: of the graphs.
        folder: where they lie.
        clips: real speech, each `[samples]`; int8, whose ranges are those of speech, gets no noise.

    Raises:
        ParityFailed: one leaves its tolerance.
    """
    parities = {}
    with in_chunks(model, form.chunk_frames):
        for variant in form.variants:
            exported = open_chunked(model, form, folder / variant.file)
            if variant.precision == "int8":
                parity = measure_parity(model, exported, clips[:INT8_PARITY_CLIPS], trials=0)
                require_same_labels(variant.file, parity)
            else:
                parity = measure_parity(model, exported, clips[:INT8_PARITY_CLIPS])
                require_parity(variant.file, parity)
            parities[variant.file] = parity
    return parities


def open_chunked(model: CtcModel, form: Streaming, path: Path) -> ChunkedModel:
    """A written graph behind the interface of one that takes whole utterances."""
    return ChunkedModel(open_graph(path, form), form, model.front_end.samples_per_frame)


class ChunkFeeds:
    """What a session takes when it is fed recordings chunk by chunk, and then whole.

    May be gone through again.

    Args:
        model: the eager chunked form, which makes the state.
        form: of the rows.
        recordings: each `[samples]`.
    """

    def __init__(
        self, model: StreamingModel, form: Streaming, recordings: Sequence[FloatArray]
    ) -> None:
        self._model = model
        self._form = form
        self._recordings = recordings

    def __iter__(self) -> Iterator[Feed]:
        for recording in self._recordings:
            yield from self._of(recording, self._form)
            frames = -(-len(recording) // self._per_frame)
            yield from self._of(recording, self._form.model_copy(update={"chunk_frames": frames}))

    @property
    def _per_frame(self) -> int:
        return self._model.hop_samples // self._form.chunk_frames

    def _of(self, recording: FloatArray, form: Streaming) -> Iterator[Feed]:
        names = [*INPUTS, *(f"state_{state.name}" for state in form.states)]
        state: Sequence[torch.Tensor] = self._model.initial_state(1)
        lengths = np.array([len(recording)], dtype=np.int64)
        before: tuple[torch.Tensor, ...] | None = None
        for rows, valid in chunks(recording[np.newaxis], lengths, form, self._per_frame):
            if before is not None:  # nobody asks for the state behind the last chunk
                with torch.inference_mode():
                    _, _, *state = self._model(*before)
            before = (torch.from_numpy(rows), torch.from_numpy(valid), *state)
            yield {name: one.numpy() for name, one in zip(names, before, strict=True)}
