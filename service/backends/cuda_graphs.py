"""CUDA graphs: a batch's kernels recorded once for each shape, then launched as one.

Short batches on a fast GPU are bound by launches. A graph has fixed shapes, so a batch is padded up
to the next length bucket and power of two of rows; a model whose logits do not depend on padding
gives the same. What is larger than every bucket runs as it is. Not measured: there was no GPU.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Forward: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Capture: TypeAlias = Callable[[Forward, Tensor, Tensor], Forward]

WARMUP_RUNS = 3  # libraries allocate their workspaces before a capture, not in it


def capture_graph(forward: Forward, waveforms: Tensor, lengths: Tensor) -> Forward:
    """Record a graph of this shape; what is returned overwrites its last result at each call.

    Args:
        forward: what to record; its kernels must depend on shapes alone.
        waveforms: `[batch, samples]` on the device; kept as the graph's input.
        lengths: `[batch]`, likewise.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARMUP_RUNS):
            forward(waveforms, lengths)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = forward(waveforms, lengths)

    def replay(new_waveforms: Tensor, new_lengths: Tensor) -> tuple[Tensor, Tensor]:
        waveforms.copy_(new_waveforms)
        lengths.copy_(new_lengths)
        graph.replay()
        return outputs

    return replay


class GraphedForward:
    """A forward that records a graph for each padded shape when it first meets it.

    Args:
        forward: (waveforms `[batch, samples]`, lengths `[batch]`) to (logits, frame lengths).
        buckets: lengths in samples, ascending.
        batch_size: most rows of a graph.
        capture: makes a graph.
    """

    def __init__(
        self,
        forward: Forward,
        buckets: Sequence[int],
        batch_size: int,
        capture: Capture = capture_graph,
    ) -> None:
        self._forward = forward
        self._buckets = buckets
        self._batch_size = batch_size
        self._capture = capture
        self._graphs: dict[tuple[int, int], Forward] = {}

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run one batch; the result holds until the next call."""
        rows, samples = waveforms.shape
        index = bisect_left(self._buckets, samples)
        if index == len(self._buckets) or rows > self._batch_size:
            return self._forward(waveforms, lengths)
        padded_rows, bucket = 1 << (rows - 1).bit_length(), self._buckets[index]
        waveforms = F.pad(waveforms, (0, bucket - samples, 0, padded_rows - rows))
        # Rows that only fill up are silence of full length: no mean over nothing.
        lengths = F.pad(lengths, (0, padded_rows - rows), value=bucket)
        if (shape := (padded_rows, bucket)) not in self._graphs:
            self._graphs[shape] = self._capture(self._forward, waveforms.clone(), lengths.clone())
        logits, frame_lengths = self._graphs[shape](waveforms, lengths)
        return logits[:rows], frame_lengths[:rows]
