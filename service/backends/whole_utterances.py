"""A streaming graph that is given whole utterances, each as one chunk, from the state of silence.

Chunks may have any length, and with nothing heard before, what a graph gives for an utterance that
is one chunk is what the unchunked form of the model gives: a bundle holds its weights once.
"""

import numpy as np

from service.arrays import FloatArray, IntArray
from service.backends.base import StreamingModel
from service.backends.streaming import first_states
from service.streaming_form import Streaming


class WholeUtterances:
    """An `AcousticModel` made of a `StreamingModel`.

    Args:
        model: of any number of frames.
        graph: what the manifest says of it.
        samples_per_frame: hop of the logits.
    """

    def __init__(self, model: StreamingModel, graph: Streaming, samples_per_frame: int) -> None:
        self._model = model
        self._graph = graph
        self._samples_per_frame = samples_per_frame

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; see `AcousticModel`."""
        before, behind = self._graph.left_context_samples, self._graph.lookahead_samples
        behind += -waveforms.shape[1] % self._samples_per_frame  # rows hold whole frames
        rows = np.pad(waveforms, ((0, 0), (before, behind)))
        output = self._model.infer(rows, lengths + before, first_states(self._graph, len(rows)))
        return output.logits, output.frame_lengths
