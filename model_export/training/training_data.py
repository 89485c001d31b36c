"""Examples for training: which clips can be learnt from, their inputs, and padding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model_export.data import Clip, Corpus, Reason
from model_export.data.corpus import usable
from model_export.data.recordings import load_waveform
from model_export.data.unreadable import ClipReader
from model_export.encoders.ctc_model import FrontEndFacts
from model_export.training.augment import SPEEDS, WaveformAugmenter
from model_export.training.ctc_loss import IGNORED_LABEL
from model_export.transcripts.normalisation import encode, frames_needed
from service.audio import SAMPLE_RATE_HZ
from service.bundle import Vocabulary


@dataclass(frozen=True)
class Example:
    """One utterance, ready to learn from.

    Attributes:
        inputs: waveform `[samples]`, or cached hidden frames `[frames, width]`.
        labels: `[labels]`, int64.
    """

    inputs: Tensor
    labels: Tensor


class Examples(Protocol):
    """A dataset whose sizes are known without loading anything."""

    @property
    def sizes(self) -> Sequence[int]:
        """Samples or frames of each example."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


def collate(examples: list[Example]) -> dict[str, Tensor]:
    """Pad examples: inputs, input_lengths, and labels filled up with `IGNORED_LABEL`."""
    return {
        "inputs": pad_sequence([example.inputs for example in examples], batch_first=True),
        "input_lengths": torch.tensor([len(example.inputs) for example in examples]),
        "labels": pad_sequence(
            [example.labels for example in examples],
            batch_first=True,
            padding_value=IGNORED_LABEL,
        ),
    }


class WaveformExamples:
    """Examples decoded from their recordings each time.

    A recording that has become unreadable gives silence without words: batches, and with them a
    resumed run, stay as they are.

    Args:
        clips: the utterances.
        labels: label ids of each.
        copies: entries per clip; the first is clean, the others are augmented: their timing once,
            their sound anew in each epoch.
        longest_s: what the encoder takes; None means no limit.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[Sequence[int]],
        copies: int,
        longest_s: float | None = None,
    ) -> None:
        self._clips = clips
        self._labels = labels
        self._augmenter = WaveformAugmenter(longest_s)
        self._read = ClipReader()
        self._epoch = 0
        clean = [round(duration_s(clip) * SAMPLE_RATE_HZ) for clip in clips]
        augmented = [
            self._augmenter.timing(samples, index).lengthen(samples)
            for index, samples in enumerate(clean * copies)
        ]
        self.sizes = clean + augmented[len(clean) :]

    def set_epoch(self, epoch: int) -> None:
        """Choose the augmentation of an epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Example:
        copy, clip_index = divmod(index, len(self._clips))
        waveform = self._read(self._clips[clip_index])
        if waveform is None:
            return Example(torch.zeros(self.sizes[index]), torch.tensor([], dtype=torch.int64))
        if copy:
            waveform = self._augmenter(waveform, index, self._epoch)
        return Example(torch.from_numpy(waveform), torch.tensor(self._labels[clip_index]))


def keep_fitting(
    corpus: Corpus,
    front_end: FrontEndFacts,
    vocabulary: Vocabulary,
    batch_s: float | None = None,
) -> Corpus:
    """Skip clips that the encoder cannot take, or that are too short for their text.

    Args:
        corpus: the clips.
        front_end: of the encoder.
        vocabulary: spells the text.
        batch_s: skip also clips longer than a batch of so many seconds; None keeps them.

    Returns:
        The rest, each with its duration.

    Raises:
        ManifestInvalid: that is every clip.
    """
    longest_s = math.inf if batch_s is None else batch_s
    clips = [replace(clip, seconds=duration_s(clip)) for clip in corpus.clips]
    faults = {
        clip: _too_long(clip, longest_s) or _misfit(clip, front_end, vocabulary) for clip in clips
    }
    skipped = [clip.skipped(*fault) for clip, fault in faults.items() if fault]
    kept = tuple(clip for clip in clips if faults[clip] is None)
    fitting = replace(corpus, clips=kept, skipped=(*corpus.skipped, *skipped))
    return usable(fitting, "no clip fits the encoder")


def _too_long(clip: Clip, longest_s: float) -> tuple[Reason, str] | None:
    if (seconds := duration_s(clip)) > longest_s:
        return Reason.TOO_LONG, f"lasts {seconds:.2f} s; a batch holds {longest_s:g} s"
    return None


def _misfit(
    clip: Clip, front_end: FrontEndFacts, vocabulary: Vocabulary
) -> tuple[Reason, str] | None:
    seconds = duration_s(clip)
    shortest_s = front_end.receptive_field_samples / SAMPLE_RATE_HZ
    # The slowest augmentation makes it this much longer.
    longest_s = (front_end.longest_pass_s or math.inf) * min(SPEEDS)
    if not shortest_s <= seconds <= longest_s:
        reason = Reason.TOO_SHORT if seconds < shortest_s else Reason.TOO_LONG
        return (
            reason,
            f"lasts {seconds:.2f} s; the encoder takes {shortest_s:.2f} to {longest_s:.2f} s",
        )
    frames = int(seconds * SAMPLE_RATE_HZ) // front_end.samples_per_frame
    if (needed := frames_needed(encode(clip.text, vocabulary))) > frames:
        return Reason.TEXT_TOO_LONG, f"has {frames} frames; its text needs {needed}"
    return None


def duration_s(clip: Clip) -> float:
    """Seconds of a clip, by its manifest or else by decoding it."""
    if clip.seconds is not None:
        return clip.seconds
    return len(load_waveform(clip.audio)) / SAMPLE_RATE_HZ
