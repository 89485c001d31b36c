"""What a backend promises, whatever runs the graph, and how it is asked to use its device."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy.typing as npt

from service.arrays import FloatArray, IntArray
from service.bundle import Precision

Device = Literal["cpu", "cuda"]
Arithmetic = Literal["auto"] | Precision

State: TypeAlias = dict[str, npt.NDArray[Any]]  # of streams, by the tensor's name

INPUTS = ("waveforms", "lengths")
OUTPUTS = ("logits", "frame_lengths")


class AcousticModel(Protocol):
    """A loaded model: padded waveforms to padded logits."""

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; blocks, and is called from up to `LoadedModel.sessions` threads at once.

        Args:
            waveforms: `[batch, samples]`, zero after each row's end.
            lengths: `[batch]`, valid samples of each row.

        Returns:
            logits `[batch, frames, vocab]`, and frame_lengths `[batch]`, valid frames of each row.

        Raises:
            OutOfMemory: the batch does not fit; a smaller one may.
            DeviceLost: nothing will run any more in this process.
            InferenceFailed: the runtime refused or broke otherwise.
        """
        ...


@dataclass(frozen=True)
class ChunkOutput:
    """What one call gives.

    Attributes:
        logits: `[batch, frames, vocab]`.
        frame_lengths: `[batch]`, valid frames of each row.
        states: the next ones, each with a batch axis.
    """

    logits: FloatArray
    frame_lengths: IntArray
    states: State


class StreamingModel(Protocol):
    """A loaded streaming graph."""

    def infer(
        self, waveforms: FloatArray, lengths: IntArray, states: Mapping[str, npt.NDArray[Any]]
    ) -> ChunkOutput:
        """Run one chunk of each stream; blocks.

        Args:
            waveforms: `[batch, samples]`: left context, chunk and lookahead.
            lengths: `[batch]`, valid samples from each row's beginning.
            states: each with a batch axis.

        Raises:
            InferenceFailed: the runtime refused or broke.
        """
        ...


@dataclass(frozen=True)
class Tuning:
    """How a model uses its device; the defaults are those of the settings.

    Attributes:
        max_batch_samples: most in a batch of several utterances, padding included; None takes what
            suits the device.
        batch_samples: ordinary batches have up to this many samples, padding included; what a
            larger one took is given back after it, what several at once took within a minute.
        batch_size: most rows of an ordinary batch.
        shortest_samples: shortest utterance; `load_model` takes it from the bundle.
        precision: of the variant, or of a TorchScript archive's arithmetic; "auto" takes what
            suits the device, and an archive as it is.
        gpu_memory_bytes: most that ONNX Runtime's arena may take; None means all.
        tensorrt_cache: folder for TensorRT's engines; None does not use TensorRT.
        cuda_graphs: replay TorchScript archives as CUDA graphs, one for each length bucket.
    """

    max_batch_samples: int | None = None
    batch_samples: int = 30 * 16_000
    batch_size: int = 16
    shortest_samples: int = 400
    precision: Arithmetic = "auto"
    gpu_memory_bytes: int | None = None
    tensorrt_cache: Path | None = None
    cuda_graphs: bool = False
