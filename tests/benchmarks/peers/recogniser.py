"""What other servers run of ours: the model of a bundle, on batches that they put together.

Decoding, padding and reading are the service's own functions, so that a comparison with it is
about serving.
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, decode_audio
from service.backends import load_model
from service.bundle import load_bundle
from service.ctc import greedy_decode
from service.packing import pad_waveforms

PORT = int(os.environ.get("PEER_PORT", "0"))


class Recogniser:
    """A bundle's model in this process.

    Args:
        bundle: its folder.
        threads: of one inference.
    """

    def __init__(self, bundle: Path, threads: int) -> None:
        loaded = load_bundle(bundle)
        self._manifest = loaded.manifest
        self._model = load_model(loaded, device="cpu", threads=threads).model

    def decode(self, wav: bytes) -> FloatArray:
        """Waveform `[samples]` of a file."""
        return decode_audio(io.BytesIO(wav))

    def recognise(self, waveforms: Sequence[FloatArray]) -> list[str]:
        """Text of each waveform, computed as one batch."""
        logits, frame_lengths = self._model.infer(*pad_waveforms(waveforms))
        frame_s = self._manifest.samples_per_frame / SAMPLE_RATE_HZ
        return [
            greedy_decode(
                row[:frames],
                self._manifest.vocabulary,
                frame_s=frame_s,
                duration_s=waveform.size / SAMPLE_RATE_HZ,
            ).text
            for row, frames, waveform in zip(logits, frame_lengths, waveforms, strict=True)
        ]
