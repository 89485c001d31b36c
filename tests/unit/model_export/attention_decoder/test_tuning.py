"""A decoder that learns a checkpoint's frames, goes along in a bundle, and writes there."""

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch

from model_export.attention_decoder import pretrained
from model_export.attention_decoder.checkpoint import load_decoder
from model_export.attention_decoder.tuning import DecoderTuning
from model_export.checkpoint import (
    ModelSpec,
    build_from_spec,
    load_checkpoint,
    save_checkpoint,
)
from model_export.cli import main
from model_export.data import Corpus
from model_export.decoding import DecodingChoice
from model_export.errors import CheckpointInvalid, ManifestInvalid
from model_export.evaluate import open_recogniser
from model_export.training.schedule import Schedule
from service.bundle import load_bundle, read_manifest
from service.errors import InvalidBundle

LONG = Schedule(epochs=300, learning_rate=3e-3, batch_s=10, evaluations=2, seed=3)


@pytest.fixture(scope="module")
def tune(ctc_checkpoint: Path, whole_whisper: Path, spoken: Corpus) -> Callable[..., float]:
    def run(out: Path, schedule: Schedule = LONG, cache_dir: Path | None = None) -> float:
        spec, model = load_checkpoint(ctc_checkpoint)
        run = DecoderTuning(spec, model, whole_whisper, out, schedule, 10_000, cache_dir)
        return run.run(spoken, spoken)

    return run


@pytest.fixture(scope="module")
def tuned(tune: Callable[..., float], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "decoder"
    assert tune(out, cache_dir=out.parent / "cache") < 0.2
    return out


@pytest.fixture(scope="module")
def bundle(tuned: Path, ctc_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "tones"
    arguments = ["--runtime", "onnxruntime", "--least-agreement", "-1000"]
    asked = ["export", str(ctc_checkpoint), "--out", str(out), "--attention-decoder", str(tuned)]
    assert main([*asked, *arguments]) == 0
    return out


def test_a_bundle_writes_what_was_said(bundle: Path, spoken: Corpus) -> None:
    recogniser = open_recogniser(bundle)
    assert recogniser.decoding == "attention; where it is not believed, greedy"
    waveforms = [soundfile.read(clip.audio, dtype="float32")[0] for clip in spoken.clips]
    texts = [recogniser.transcribe(waveform) for waveform in waveforms]
    right = sum(text == clip.text for text, clip in zip(texts, spoken.clips, strict=True))
    assert right >= 10  # of twelve; four bits are few for so narrow a decoder


def test_its_manifest_says_what_it_is(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    form = manifest.attention_decoder
    assert form is not None
    assert form.least_agreement == -1000
    assert manifest.output_columns == len(manifest.vocabulary.tokens) + form.width
    assert "Attention decoder: " in (bundle / "MODEL_CARD.md").read_text()


def test_without_it_the_first_pass_alone_is_read(bundle: Path, ctc_checkpoint: Path) -> None:
    greedy = open_recogniser(bundle, DecodingChoice(decoding="greedy"))
    assert greedy.decoding == "greedy"
    with pytest.raises(InvalidBundle, match="no attention decoder"):
        open_recogniser(ctc_checkpoint, DecodingChoice(decoding="attention"))


def test_a_run_that_was_finished_has_nothing_to_do(tune: Callable[..., float], tuned: Path) -> None:
    spec, before = load_decoder(tuned)
    tune(tuned, cache_dir=tuned.parent / "cache")
    again, after = load_decoder(tuned)
    assert again == spec
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name])


def test_waveforms_serve_as_well_as_cached_frames(
    tune: Callable[..., float], tmp_path: Path
) -> None:
    short = Schedule(epochs=2, learning_rate=3e-3, batch_s=10, evaluations=1)
    cached = tune(tmp_path / "cached", short, tmp_path / "cache")
    assert tune(tmp_path / "not", short) == pytest.approx(cached, abs=0.02)


def test_a_decoder_of_other_frames_is_refused(
    tuned: Path, ctc_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (tuned / "attention.json").read_text()
    other = tmp_path / "other"
    other.mkdir()
    (other / "attention.safetensors").write_bytes((tuned / "attention.safetensors").read_bytes())
    spec, _ = load_decoder(tuned)
    (other / "attention.json").write_text(text.replace(spec.frames_digest, "0" * 64))
    asked = ["export", str(ctc_checkpoint), "--out", str(tmp_path / "bundle")]
    assert main([*asked, "--attention-decoder", str(other)]) == 2
    assert "attends to frames with digest 000000000000" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_text_longer_than_the_decoder_takes_is_skipped(
    tune: Callable[..., float], spoken: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "LONGEST_TOKENS", 1)
    with pytest.raises(ManifestInvalid, match="no text fits the decoder"):
        tune(tmp_path)
    monkeypatch.setattr(pretrained, "LONGEST_TOKENS", 5)
    short = Schedule(epochs=1, batch_s=10, evaluations=1)
    assert tune(tmp_path, short) > 0


def test_chunks_and_an_attention_decoder_do_not_go_together(
    tuned: Path, streaming_spec: ModelSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "checkpoint", streaming_spec, build_from_spec(streaming_spec))
    asked = ["export", str(tmp_path / "checkpoint"), "--out", str(tmp_path / "bundle")]
    assert main([*asked, "--attention-decoder", str(tuned)]) == 2
    assert "whole utterances, not chunks" in capsys.readouterr().err


def test_a_damaged_decoder_is_refused(tuned: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="holds no attention decoder"):
        load_decoder(tmp_path)
    (tmp_path / "attention.json").write_bytes((tuned / "attention.json").read_bytes())
    (tmp_path / "attention.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointInvalid, match="holds no attention decoder"):
        load_decoder(tmp_path)


@pytest.mark.parametrize("file", ["attention.memory.onnx", "attention.tokens.json"])
def test_a_damaged_part_of_a_bundle_is_refused(file: str, bundle: Path, tmp_path: Path) -> None:
    from service.attention_decoding.opening import read_tokens
    from service.backends.attention import open_attention

    loaded = load_bundle(bundle)
    form = loaded.manifest.attention_decoder
    assert form is not None
    if file.endswith("json"):
        (tmp_path / file).write_text('["a", "\u0101"]')
        with pytest.raises(InvalidBundle, match="not a list of the bytes"):
            read_tokens(tmp_path / file)
    else:
        swapped = form.model_copy(update={"memory_file": form.step_file})
        with pytest.raises(InvalidBundle, match="no part of an attention decoder"):
            open_attention(loaded, swapped)
