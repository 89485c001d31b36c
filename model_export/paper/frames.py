"""Hidden frames of a whole set below the layers that learn, computed once.

    <language>-<layer>-<digest>.safetensors    frames of all clips one after the other in bfloat16,
                                               and how many each clip has

The digest is of all that they depend on. Every layer below the first that learns is frozen, so
every experiment that begins at the same layer learns from the same frames.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.errors import CorpusUnavailable
from model_export.paper.devices import PRECISION, choose_device
from model_export.paper.sets import SetClip
from model_export.training.bucketing import BucketBatches
from model_export.training.precision import autocast
from service.arrays import SAMPLE_RATE_HZ
from service.bundle import sha256_of

FORMAT = 1
BATCH_SAMPLES = 120 * SAMPLE_RATE_HZ


@dataclass(frozen=True)
class SetFrames:
    """Hidden frames of the clips of a set.

    Attributes:
        frames: `[frames + 1, width]`; the last one is zero, to pad with.
        starts: `[clips]`, where each clip begins.
        counts: frames of each clip; 0 for one that is longer than the encoder takes.
    """

    frames: Tensor
    starts: Tensor
    counts: list[int]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Frames `[batch, frames, width]` of clips, zero behind each, and lengths `[batch]`."""
        device = self.frames.device
        lengths = torch.tensor([self.counts[index] for index in indices], device=device)
        places = torch.arange(int(lengths.max()), device=device)
        rows = self.starts[torch.tensor(indices, device=device)].unsqueeze(1) + places
        rows = rows.masked_fill(places >= lengths.unsqueeze(1), len(self.frames) - 1)
        return self.frames[rows], lengths


def load_frames(path: Path, device: str) -> SetFrames:
    """Load what `write_frames` wrote."""
    tensors = load_file(path, device=device)
    counts = tensors["counts"]
    zero = tensors["frames"].new_zeros(1, tensors["frames"].shape[1])
    return SetFrames(
        frames=torch.cat([tensors["frames"], zero]),
        starts=counts.cumsum(0) - counts,
        counts=counts.tolist(),
    )


def frames_path(cache: Path, base_digest: str, manifest: Path, layer: int) -> Path:
    """File of the frames of a set below a layer.

    Args:
        cache: folder of all such files.
        base_digest: of the encoder.
        manifest: of the set.
        layer: the first that is not computed.
    """
    facts = f"{FORMAT} {base_digest} {sha256_of(manifest)}"
    digest = hashlib.sha256(facts.encode()).hexdigest()[:12]
    return cache / f"{manifest.stem}-{layer}-{digest}.safetensors"


def write_frames(path: Path, base: Path, clips: Sequence[SetClip], layer: int) -> None:
    """Compute the frames of a set below a layer, on a GPU if there is one.

    Raises:
        CorpusUnavailable: a clip cannot be read, or is not as the sets are.
    """
    model = build_model(base, vocabulary_size=1).to(choose_device("auto"))
    longest_s = model.front_end.longest_pass_s or float("inf")
    fitting = [index for index, clip in enumerate(clips) if clip.seconds <= longest_s]
    empty = torch.empty(0, model.width, dtype=torch.bfloat16)
    hidden = [empty] * len(clips)
    for indices, waveforms in _batches(clips, fitting):
        for index, rows in zip(indices, _lower(model, waveforms, layer), strict=True):
            hidden[index] = rows
    counts = torch.tensor([len(rows) for rows in hidden])
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file({"frames": torch.cat(hidden), "counts": counts}, unfinished)
    unfinished.replace(path)


def _batches(
    clips: Sequence[SetClip], fitting: Sequence[int]
) -> Iterator[tuple[list[int], list[Tensor]]]:
    """Clips of like length with their waveforms, which threads read ahead."""
    samples = [round(clips[index].seconds * SAMPLE_RATE_HZ) for index in fitting]
    groups = [
        [fitting[place] for place in batch] for batch in BucketBatches(samples, BATCH_SAMPLES, None)
    ]
    with ThreadPoolExecutor() as pool:
        reading = [[pool.submit(_waveform, clips[index]) for index in group] for group in groups]
        for group, waveforms in zip(groups, reading, strict=True):
            yield group, [waveform.result() for waveform in waveforms]
            waveforms.clear()


def _waveform(clip: SetClip) -> Tensor:
    try:
        waveform, rate_hz = soundfile.read(clip.audio, dtype="float32")
    except (OSError, soundfile.LibsndfileError) as error:
        raise CorpusUnavailable(f"{clip.audio} cannot be read: {error}") from error
    if rate_hz != SAMPLE_RATE_HZ or waveform.ndim != 1:
        raise CorpusUnavailable(f"{clip.audio} has {rate_hz} Hz, or is not mono; sets have 16 kHz")
    return torch.from_numpy(waveform)


def _lower(model: CtcModel, waveforms: Sequence[Tensor], layer: int) -> list[Tensor]:
    device = model.head.weight.device
    lengths = torch.tensor([len(waveform) for waveform in waveforms], device=device)
    padded = pad_sequence(list(waveforms), batch_first=True).to(device)
    with torch.inference_mode(), autocast(PRECISION[choose_device("auto")], device):
        hidden, frame_lengths = model.lower(padded, lengths, layer)
    rows = hidden.bfloat16().cpu()
    return [row[:count].clone() for row, count in zip(rows, frame_lengths.tolist(), strict=True)]
