from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch

from model_export.data import Clip, Corpus, Reason, Skipped
from model_export.data.recordings import load_waveform
from model_export.encoders.ctc_model import FrontEndFacts
from model_export.errors import ManifestInvalid
from model_export.training.ctc_loss import IGNORED_LABEL
from model_export.training.training_data import (
    Example,
    WaveformExamples,
    collate,
    duration_s,
    keep_fitting,
)
from model_export.transcripts.normalisation import make_vocabulary


@pytest.fixture
def clips(tmp_path: Path, noise_and_tones) -> list[Clip]:
    """Two clips of 1 s and 0.5 s; the manifest knows the duration of the first."""
    stated = []
    for name, samples, seconds in (("a", 16000, 1.0), ("b", 8000, None)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, noise_and_tones(samples), 16000)
        stated.append(Clip(path, name, seconds))
    return stated


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
    assert WaveformExamples(clips, [[1], [2]], copies=1).sizes == [16000, 8000]


def test_clean_examples_are_the_recordings(clips: list[Clip]) -> None:
    examples = WaveformExamples(clips, [[1], [2, 3]], copies=1)
    assert len(examples) == 2
    assert torch.equal(examples[1].inputs, torch.from_numpy(load_waveform(clips[1].audio)))
    assert examples[1].labels.tolist() == [2, 3]


def test_the_first_copy_is_clean_and_the_others_differ_by_epoch(clips: list[Clip]) -> None:
    examples = WaveformExamples(clips, [[1], [2]], copies=2)
    assert examples.sizes[:2] == [16000, 8000]
    assert torch.equal(examples[0].inputs, torch.from_numpy(load_waveform(clips[0].audio)))
    assert [example.labels.tolist() for example in (examples[2], examples[3])] == [[1], [2]]

    def epoch(number: int) -> list[Example]:
        examples = WaveformExamples(clips, [[1], [2]], copies=2)
        examples.set_epoch(number)
        return [examples[2], examples[3]]

    for again, once, later in zip(epoch(1), epoch(1), epoch(2), strict=True):
        assert torch.equal(again.inputs, once.inputs)
        assert not torch.equal(later.inputs[:8000], once.inputs[:8000])


def test_sizes_are_those_of_the_augmented_examples(clips: list[Clip]) -> None:
    examples = WaveformExamples(clips, [[1], [2]], copies=10)
    for epoch in range(2):
        examples.set_epoch(epoch)
        for index, size in enumerate(examples.sizes):
            assert abs(len(examples[index].inputs) - size) <= 1
    assert max(examples.sizes) > 2 * 16000


def test_misfits_are_skipped_and_listed(clips: list[Clip]) -> None:
    front_end = FrontEndFacts(
        samples_per_frame=320, receptive_field_samples=400, longest_pass_s=1.0, convention=""
    )
    vocabulary = make_vocabulary(["ab"])
    short, long, wordy = (replace(clips[1], seconds=s) for s in (0.01, 0.95, 0.06))
    fine = replace(clips[1], text="ab")
    earlier = Skipped("rows.csv:3", Reason.EMPTY_TEXT, "")
    corpus = Corpus((short, long, replace(wordy, text="aaa"), fine), (earlier,))
    kept = keep_fitting(corpus, front_end, vocabulary)
    assert kept.clips == (replace(fine, seconds=0.5),)
    limits = "the encoder takes 0.03 to 0.90 s"
    assert kept.skipped == (
        earlier,
        short.skipped(Reason.TOO_SHORT, f"lasts 0.01 s; {limits}"),
        long.skipped(Reason.TOO_LONG, f"lasts 0.95 s; {limits}"),
        wordy.skipped(Reason.TEXT_TOO_LONG, "has 3 frames; its text needs 5"),
    )
    with pytest.raises(ManifestInvalid, match=r"lasts 0\.50 s; a batch holds 0\.4 s"):
        keep_fitting(Corpus((fine,), ()), front_end, vocabulary, batch_s=0.4)
    with pytest.raises(ManifestInvalid, match="no clip fits the encoder"):
        keep_fitting(Corpus((short,), ()), front_end, vocabulary)


def test_a_recording_that_vanishes_gives_silence_without_words(clips: list[Clip]) -> None:
    examples = WaveformExamples(clips, [[1], [2]], copies=2)
    sizes = list(examples.sizes)
    clips[1].audio.unlink()
    for index in (1, 3):
        example = examples[index]
        assert torch.equal(example.inputs, torch.zeros(sizes[index]))
        assert collate([examples[0], example])["labels"].tolist() == [[1], [IGNORED_LABEL]]
