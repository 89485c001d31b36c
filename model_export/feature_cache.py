"""Cached hidden frames of the frozen lower part: computed once, then every epoch is cheap.

    <key>.bf16    hidden frames of all entries, one after the other, bfloat16, memory-mapped
    <key>.json    how many frames each entry has

The key is a digest of all that the frames depend on, so that a cache can never be stale.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from model_export.augment import AUGMENTATION, WaveformAugmenter
from model_export.ctc_model import CtcModel
from model_export.data import Clip
from model_export.recordings import load_waveform
from model_export.training_data import Example
from service.audio import SAMPLE_RATE_HZ
from service.bundle import sha256_of

FORMAT = 2
CLIPS_AT_ONCE = 64
BATCH_SAMPLES = 120 * SAMPLE_RATE_HZ


@dataclass(frozen=True)
class CacheRequest:
    """What to cache.

    Attributes:
        clips: the utterances.
        labels: label ids of each clip.
        copies: entries per clip; the first is clean, the others are augmented.
        base_digest: of the weights below `first_layer`.
        first_layer: where the cached part ends.
    """

    clips: Sequence[Clip]
    labels: Sequence[Sequence[int]]
    copies: int
    base_digest: str
    first_layer: int

    def key(self) -> str:
        """Digest of everything the frames depend on, the audio's bytes included."""
        facts = [FORMAT, AUGMENTATION, self.copies, self.base_digest, self.first_layer]
        facts += [sha256_of(clip.audio) for clip in self.clips]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


class CachedExamples:
    """Hidden frames read from a cache, entry by entry.

    Args:
        path: of the frames.
        frame_counts: frames of each entry, in the order of the file.
        width: features per frame.
        labels: of each clip; entry i belongs to clip i modulo their number.
    """

    def __init__(
        self, path: Path, frame_counts: Sequence[int], width: int, labels: Sequence[Sequence[int]]
    ) -> None:
        self.sizes = frame_counts
        self._ends = np.cumsum(frame_counts).tolist()
        self._labels = labels
        total = self._ends[-1] * width
        flat = torch.from_file(str(path), shared=False, size=total, dtype=torch.bfloat16)
        self._frames = flat.view(-1, width)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Example:
        end = self._ends[index]
        labels = self._labels[index % len(self._labels)]
        return Example(self._frames[end - self.sizes[index] : end], torch.tensor(labels))


def cached_examples(folder: Path, request: CacheRequest, model: CtcModel) -> CachedExamples:
    """Open the cache for a request, computing it first if it is not there.

    Args:
        folder: of all caches.
        request: what to cache.
        model: whose lower part computes the frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = request.key()
    frames, index = folder / f"{key}.bf16", folder / f"{key}.json"
    if not index.exists():
        counts = _write_frames(frames, request, model)
        unfinished = index.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(counts))
        unfinished.replace(index)
    return CachedExamples(frames, json.loads(index.read_text()), model.width, request.labels)


def _write_frames(path: Path, request: CacheRequest, model: CtcModel) -> list[int]:
    """Write the frames of all copies; the index that makes them valid is written by the caller."""
    counts: list[int] = []
    total = len(request.clips) * request.copies
    with path.open("wb") as stream, tqdm(total=total, desc="cache", unit="clip") as bar:
        for copy in range(request.copies):
            for start in range(0, len(request.clips), CLIPS_AT_ONCE):
                clips = request.clips[start : start + CLIPS_AT_ONCE]
                for hidden in _hidden_frames(clips, copy, request.first_layer, model):
                    stream.write(hidden.bfloat16().contiguous().view(torch.int16).numpy().data)
                    counts.append(len(hidden))
                bar.update(len(clips))
    return counts


def _hidden_frames(
    clips: Sequence[Clip], copy: int, first_layer: int, model: CtcModel
) -> list[Tensor]:
    """Hidden frames of each clip `[frames, width]`, computed in batches of like length."""
    waveforms = [_waveform(clip, copy, model.front_end.longest_pass_s) for clip in clips]
    results: dict[int, Tensor] = {}
    for batch in _like_lengths([len(waveform) for waveform in waveforms]):
        lengths = torch.tensor([len(waveforms[index]) for index in batch])
        padded = pad_sequence([waveforms[index] for index in batch], batch_first=True)
        with torch.inference_mode():
            hidden, frame_lengths = model.lower(padded, lengths, first_layer)
        for row, index in enumerate(batch):
            results[index] = hidden[row, : int(frame_lengths[row])]
    return [results[index] for index in range(len(clips))]


def _waveform(clip: Clip, copy: int, longest_s: float | None) -> Tensor:
    waveform = load_waveform(clip.audio)
    if copy:
        seed = int.from_bytes(hashlib.sha256(f"{clip.audio.name}/{copy}".encode()).digest()[:4])
        waveform = WaveformAugmenter(longest_s)(waveform, seed)
    return torch.from_numpy(waveform)


def _like_lengths(lengths: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and lengths[index] * (len(batch) + 1) > BATCH_SAMPLES:
            yield batch
            batch = []
        batch.append(index)
    yield batch
