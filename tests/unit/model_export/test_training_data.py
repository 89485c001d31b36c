from pathlib import Path

import pytest
import soundfile
import torch

from model_export.data import Clip
from model_export.recordings import load_waveform
from model_export.training_data import (
    IGNORED_LABEL,
    BucketBatches,
    Example,
    WaveformExamples,
    collate,
    duration_s,
)


@pytest.fixture
def clips(tmp_path: Path, noise_and_tones) -> list[Clip]:
    """Two clips of 1 s and 0.5 s; the manifest knows the duration of the first."""
    stated = []
    for name, samples, seconds in (("a", 16000, 1.0), ("b", 8000, None)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, noise_and_tones(samples), 16000)
        stated.append(Clip(path, name, seconds))
    return stated


def test_batches_are_full_and_of_like_size() -> None:
    batches = BucketBatches([5, 1, 4, 2, 9], budget=10, seed=None)
    assert list(batches) == [[1, 3], [2, 0], [4]] == list(batches)
    assert len(batches) == 3


def test_what_exceeds_the_budget_is_alone() -> None:
    assert list(BucketBatches([30, 3, 3, 40], budget=10, seed=None)) == [[1, 2], [0], [3]]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = BucketBatches(range(100, 160), budget=500, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)
    assert sorted(order(1, 2)) == sorted(order(2, 3))


def test_collate_pads_inputs_and_labels() -> None:
    batch = collate(
        [
            Example(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4])),
            Example(torch.tensor([5.0]), torch.tensor([6, 7])),
        ]
    )
    assert batch["inputs"].tolist() == [[1, 2, 3], [5, 0, 0]]
    assert batch["input_lengths"].tolist() == [3, 1]
    assert batch["labels"].tolist() == [[4, IGNORED_LABEL], [6, 7]]


def test_collate_pads_hidden_frames() -> None:
    labels = torch.tensor([1])
    batch = collate([Example(torch.ones(n, 4, dtype=torch.bfloat16), labels) for n in (2, 3)])
    assert batch["inputs"].shape == (2, 3, 4)
    assert not batch["inputs"][0, 2].any()


def test_durations_come_from_the_manifest_or_the_recording(clips: list[Clip]) -> None:
    assert [duration_s(clip) for clip in clips] == [1.0, 0.5]
    assert WaveformExamples(clips, [[1], [2]], augmented=False).sizes == [16000, 8000]


def test_clean_examples_are_the_recordings(clips: list[Clip]) -> None:
    examples = WaveformExamples(clips, [[1], [2, 3]], augmented=False)
    assert len(examples) == 2
    assert torch.equal(examples[1].inputs, torch.from_numpy(load_waveform(clips[1].audio)))
    assert examples[1].labels.tolist() == [2, 3]


def test_augmented_examples_differ_by_epoch_and_repeat(clips: list[Clip]) -> None:
    def epoch(number: int) -> list[Example]:
        examples = WaveformExamples(clips, [[1], [2]], augmented=True)
        examples.set_epoch(number)
        return [examples[0], examples[1]]

    for again, once, later in zip(epoch(1), epoch(1), epoch(2), strict=True):
        assert torch.equal(again.inputs, once.inputs)
        assert not torch.equal(later.inputs[:8000], once.inputs[:8000])
