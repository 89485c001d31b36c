from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import torch

from model_export.checkpoint import ModelSpec, build_from_spec
from model_export.data import Clip, Corpus
from model_export.data.recordings import load_waveform
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import TrainingRefused
from model_export.training import feature_cache
from model_export.training.feature_cache import CacheRequest, cached_examples

BF16_ROUNDING = 2.0**-8


@pytest.fixture(scope="module")
def model(spec: ModelSpec) -> CtcModel:
    return build_from_spec(spec)


@pytest.fixture
def request_for(spoken: Corpus) -> CacheRequest:
    clips = spoken.clips[:3]
    return CacheRequest(clips, [[1], [2, 2], [3]], copies=2, base_digest="d", first_layer=1)


def test_cached_frames_are_those_of_the_lower_part(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel
) -> None:
    examples = cached_examples(tmp_path, request_for, model)
    assert len(examples) == len(examples.sizes) == 6
    for index, clip in enumerate(request_for.clips):
        waveform = torch.from_numpy(load_waveform(clip.audio))
        with torch.inference_mode():
            hidden, _ = model.lower(waveform[None], torch.tensor([len(waveform)]), 1)
        example = examples[index]
        assert len(example.inputs) == examples.sizes[index] == hidden.shape[1]
        torch.testing.assert_close(example.inputs.float(), hidden[0], rtol=BF16_ROUNDING, atol=1e-4)
        assert example.labels.tolist() == request_for.labels[index]
        assert examples[index + 3].labels.tolist() == request_for.labels[index]


def test_copies_are_augmented_and_repeat(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel
) -> None:
    once = cached_examples(tmp_path / "once", request_for, model)
    again = cached_examples(tmp_path / "again", request_for, model)
    assert [len(once[index].inputs) for index in range(6)] == list(once.sizes)
    for index in range(6):
        assert torch.equal(once[index].inputs, again[index].inputs)
    for clean, copy in zip(range(3), range(3, 6), strict=True):
        shorter = min(once.sizes[clean], once.sizes[copy])
        assert not torch.equal(once[clean].inputs[:shorter], once[copy].inputs[:shorter])


def test_a_cache_is_computed_once(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_examples(tmp_path, request_for, model)[2].inputs.clone()
    monkeypatch.setattr(feature_cache, "_write_frames", None)
    relabelled = replace(request_for, labels=[[9], [8], [7]])
    example = cached_examples(tmp_path, relabelled, model)[2]
    assert torch.equal(example.inputs, first)
    assert example.labels.tolist() == [7]


def test_an_interrupted_computation_starts_over(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(feature_cache, "WaveformAugmenter", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cached_examples(tmp_path, request_for, model)
    assert len(cached_examples(tmp_path, request_for, model)) == 6


def test_batches_of_like_length_keep_the_order(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = cached_examples(tmp_path / "together", request_for, model)
    monkeypatch.setattr(feature_cache, "BATCH_SAMPLES", 1)
    monkeypatch.setattr(feature_cache, "CLIPS_AT_ONCE", 2)
    alone = cached_examples(tmp_path / "alone", request_for, model)
    assert list(alone.sizes) == list(together.sizes)
    for index in range(6):
        torch.testing.assert_close(
            alone[index].inputs, together[index].inputs, rtol=2 * BF16_ROUNDING, atol=1e-3
        )


def test_the_key_follows_what_the_frames_depend_on(
    tmp_path: Path, request_for: CacheRequest, noise_and_tones
) -> None:
    audio = tmp_path / "0.wav"
    soundfile.write(audio, noise_and_tones(4000), 16000)
    clips = (*request_for.clips[:2], Clip(audio, "a", None))
    keys = {
        request_for.key(),
        replace(request_for, copies=3).key(),
        replace(request_for, base_digest="e").key(),
        replace(request_for, first_layer=0).key(),
        replace(request_for, precision="bf16").key(),
        replace(request_for, clips=clips).key(),
        replace(request_for, clips=clips[::-1]).key(),
    }
    soundfile.write(audio, noise_and_tones(4000, seed=1), 16000)
    keys.add(replace(request_for, clips=clips).key())
    assert len(keys) == 8


def test_the_key_does_not_follow_labels_or_places(
    tmp_path: Path, request_for: CacheRequest
) -> None:
    moved = []
    for clip in request_for.clips:
        audio = tmp_path / clip.audio.name
        audio.write_bytes(clip.audio.read_bytes())
        moved.append(Clip(audio, "other", 3.0))
    assert replace(request_for, clips=moved, labels=[[5]] * 3).key() == request_for.key()


def test_renamed_recordings_keep_their_augmentation(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel
) -> None:
    renamed = []
    for number, clip in enumerate(request_for.clips):
        audio = tmp_path / f"renamed-{number}.wav"
        audio.write_bytes(clip.audio.read_bytes())
        renamed.append(Clip(audio, clip.text, None))
    before = cached_examples(tmp_path / "before", request_for, model)
    after = cached_examples(tmp_path / "after", replace(request_for, clips=renamed), model)
    for index in range(6):
        assert torch.equal(after[index].inputs, before[index].inputs)


def test_the_disk_is_asked_before_it_is_filled(
    tmp_path: Path,
    request_for: CacheRequest,
    model: CtcModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    needed_bytes = request_for.bytes_needed(model)
    usage = SimpleNamespace(free=needed_bytes - 1)
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(TrainingRefused, match=r"takes 0\.0 MB, and .* has 0\.0 MB free"):
        cached_examples(tmp_path, request_for, model)
    usage.free = 3 * 10**9
    examples = cached_examples(tmp_path, request_for, model)
    announced = capsys.readouterr().out
    assert "writing a feature cache of 0.0 MB (3.0 GB free)" in announced
    frames = needed_bytes / model.width / 2
    assert abs(sum(examples.sizes) - frames) <= len(examples)


def test_a_cache_whose_frames_were_deleted_is_computed_again(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel
) -> None:
    expected = cached_examples(tmp_path, request_for, model)[5].inputs.clone()
    (frames,) = tmp_path.glob("*.bf16")
    frames.unlink()
    assert torch.equal(cached_examples(tmp_path, request_for, model)[5].inputs, expected)


def test_frames_are_computed_in_the_precision_of_the_run(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel
) -> None:
    exact = cached_examples(tmp_path, request_for, model)[0].inputs
    rounded = cached_examples(tmp_path, replace(request_for, precision="bf16"), model)[0].inputs
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.1)


def test_an_unreadable_recording_is_cached_as_silence_without_words(
    tmp_path: Path, request_for: CacheRequest, model: CtcModel
) -> None:
    gone = Clip(tmp_path / "gone.wav", "b", 0.5)
    request = replace(request_for, clips=(request_for.clips[0], gone, request_for.clips[2]))
    with torch.inference_mode():
        silence, _ = model.lower(torch.zeros(1, 8000), torch.tensor([8000]), 1)
    for _ in ("computed", "found"):
        examples = cached_examples(tmp_path, request, model)
        for index in (1, 4):
            assert examples[index].labels.tolist() == []
            torch.testing.assert_close(
                examples[index].inputs.float(), silence[0], rtol=BF16_ROUNDING, atol=1e-4
            )
        assert [examples[index].labels.tolist() for index in (0, 2)] == [[1], [3]]
    assert request.key() != request_for.key()
