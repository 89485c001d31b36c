"""Cached hidden frames of the frozen lower part: computed once, then every epoch is cheap.

    <key>.bf16    hidden frames of all entries, one after the other, bfloat16, memory-mapped
    <key>.json    how many frames each entry has, and which clips could not be read; written last,
                  so it makes the frames valid

The key is a digest of all that the frames depend on, so that a cache can never be stale. Nothing
else refers to these files: any of them, or the folder, may be deleted while no run uses them.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from model_export.data import Clip
from model_export.data.recordings import digests_of
from model_export.data.unreadable import ClipReader
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import TrainingRefused
from model_export.training.augment import AUGMENTATION, WaveformAugmenter
from model_export.training.precision import Precision, autocast
from model_export.training.training_data import Example, duration_s
from service.audio import SAMPLE_RATE_HZ

FORMAT = 3  # also to be raised when a front end or a frozen layer computes something else
CLIPS_AT_ONCE = 64
UNKNOWN_S = 1.0  # silence in place of a clip whose duration nobody knows
BATCH_SAMPLES = 120 * SAMPLE_RATE_HZ

Group = tuple[int, range]  # a copy, and places of clips that are loaded together


@dataclass(frozen=True)
class CacheRequest:
    """What to cache.

    Attributes:
        clips: the utterances.
        labels: label ids of each clip.
        copies: entries per clip; the first is clean, the others are augmented.
        base_digest: of the weights below `first_layer`.
        first_layer: where the cached part ends.
        precision: of the arithmetic below it.
    """

    clips: Sequence[Clip]
    labels: Sequence[Sequence[int]]
    copies: int
    base_digest: str
    first_layer: int
    precision: Precision = "fp32"

    @cached_property
    def audio_digests(self) -> list[str]:
        """SHA-256 of each clip's audio."""
        return digests_of(clip.audio for clip in self.clips)

    def key(self) -> str:
        """Digest of everything the frames depend on, the audio's bytes included."""
        facts = [FORMAT, AUGMENTATION, self.copies, self.base_digest, self.first_layer]
        facts += [self.precision, *self.audio_digests]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]

    def seed_of(self, clip_index: int, copy: int) -> int:
        """Of an augmented copy: it follows what is heard, not what the file is called."""
        digest = hashlib.sha256(f"{self.audio_digests[clip_index]}/{copy}".encode()).digest()
        return int.from_bytes(digest[:4])

    def bytes_needed(self, model: CtcModel) -> int:
        """Size of the frames; a frame in each entry more or less."""
        augmenter = WaveformAugmenter(model.front_end.longest_pass_s)
        samples = [round(duration_s(clip) * SAMPLE_RATE_HZ) for clip in self.clips]
        lengths = samples + [
            augmenter.timing(length, self.seed_of(index, copy)).lengthen(length)
            for copy in range(1, self.copies)
            for index, length in enumerate(samples)
        ]
        frames = sum(length // model.front_end.samples_per_frame for length in lengths)
        return frames * model.width * torch.bfloat16.itemsize


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
        return Example(
            self._frames[end - self.sizes[index] : end], torch.tensor(labels, dtype=torch.int64)
        )


def cached_examples(folder: Path, request: CacheRequest, model: CtcModel) -> CachedExamples:
    """Open the cache for a request, computing it first if it is not there.

    Args:
        folder: of all caches.
        request: what to cache.
        model: whose lower part computes the frames, where it lies.

    Raises:
        TrainingRefused: the disk has no room for the frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = request.key()
    frames, index = folder / f"{key}.bf16", folder / f"{key}.json"
    # Two runs may want the same cache at once: the second waits, and finds it.
    with frames.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if not _is_whole(frames, index, model.width):
            stream.truncate(0)
            _announce(frames, request.bytes_needed(model))
            read = ClipReader()
            counts = _write_frames(stream, request, model, read)
            stream.flush()
            unreadable = [i for i, clip in enumerate(request.clips) if clip in read.unreadable]
            unfinished = index.with_suffix(".unfinished")
            unfinished.write_text(json.dumps({"frames": counts, "unreadable": unreadable}))
            unfinished.replace(index)
    entries = json.loads(index.read_text())
    labels = list(request.labels)
    for clip_index in entries["unreadable"]:
        labels[clip_index] = []  # of silence
    return CachedExamples(frames, entries["frames"], model.width, labels)


def _is_whole(frames: Path, index: Path, width: int) -> bool:
    if not index.exists():
        return False
    total_frames = sum(json.loads(index.read_text())["frames"])
    return bool(frames.stat().st_size == total_frames * width * torch.bfloat16.itemsize)


def _announce(path: Path, needed_bytes: int) -> None:
    """Say what the disk is about to hold, or refuse."""
    free_bytes = shutil.disk_usage(path.parent).free
    needed, free = _size(needed_bytes), _size(free_bytes)
    if needed_bytes > free_bytes:
        raise TrainingRefused(
            f"the feature cache takes {needed}, and {path.parent} has {free} free; delete old "
            "caches there, choose another folder, or train with fewer copies or without a cache"
        )
    tqdm.write(f"writing a feature cache of {needed} ({free} free) to {path}, which may be deleted")


def _size(count_bytes: int) -> str:
    large = count_bytes >= 1e9
    return f"{count_bytes / 1e9:.1f} GB" if large else f"{count_bytes / 1e6:.1f} MB"


def _write_frames(
    stream: BinaryIO, request: CacheRequest, model: CtcModel, read: ClipReader
) -> list[int]:
    """Write the frames of all copies; the index that makes them valid is written by the caller."""
    counts: list[int] = []
    total = len(request.clips)
    groups: list[Group] = [
        (copy, range(start, min(start + CLIPS_AT_ONCE, total)))
        for copy in range(request.copies)
        for start in range(0, total, CLIPS_AT_ONCE)
    ]
    augmenter = WaveformAugmenter(model.front_end.longest_pass_s)

    def waveforms_of(group: Group) -> list[Tensor]:
        copy, clip_indices = group
        return [_waveform(request, index, copy, augmenter, read) for index in clip_indices]

    with tqdm(total=total * request.copies, desc="cache", unit="clip", disable=None) as bar:
        for waveforms in _one_ahead(waveforms_of, groups):
            for hidden in _hidden_frames(waveforms, model, request):
                stream.write(hidden.bfloat16().contiguous().view(torch.int16).numpy().data)
                counts.append(len(hidden))
            bar.update(len(waveforms))
    return counts


def _one_ahead(
    load: Callable[[Group], list[Tensor]], groups: Iterable[Group]
) -> Iterator[list[Tensor]]:
    """What each group loads, in order; a thread loads the next while the last one is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[list[Tensor]] | None = None
        for group in groups:
            following = pool.submit(load, group)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _hidden_frames(
    waveforms: Sequence[Tensor], model: CtcModel, request: CacheRequest
) -> list[Tensor]:
    """Hidden frames of each waveform `[frames, width]`, computed in batches of like length."""
    device = model.head.weight.device
    results: dict[int, Tensor] = {}
    for batch in _like_lengths([len(waveform) for waveform in waveforms]):
        lengths = torch.tensor([len(waveforms[index]) for index in batch], device=device)
        padded = pad_sequence([waveforms[index] for index in batch], batch_first=True).to(device)
        with torch.inference_mode(), autocast(request.precision, device):
            hidden, frame_lengths = model.lower(padded, lengths, request.first_layer)
        for row, index in enumerate(batch):
            results[index] = hidden[row, : int(frame_lengths[row])].cpu()
    return [results[index] for index in range(len(waveforms))]


def _waveform(
    request: CacheRequest,
    clip_index: int,
    copy: int,
    augment: WaveformAugmenter,
    read: ClipReader,
) -> Tensor:
    clip = request.clips[clip_index]
    waveform = read(clip)
    if waveform is None:
        return torch.zeros(round((clip.seconds or UNKNOWN_S) * SAMPLE_RATE_HZ))
    if copy:
        waveform = augment(waveform, request.seed_of(clip_index, copy))
    return torch.from_numpy(waveform)


def _like_lengths(lengths: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and lengths[index] * (len(batch) + 1) > BATCH_SAMPLES:
            yield batch
            batch = []
        batch.append(index)
    yield batch
