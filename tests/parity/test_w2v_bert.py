"""w2v-BERT 2.0 on real speech: as in transformers, fine-tuned, saved, and served as a bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from checkpoints import MakeBase
from recordings import recordings
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model_export.checkpoint import (
    ModelSpec,
    build_from_spec,
    digest_of_base,
    load_checkpoint,
    save_checkpoint,
)
from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.export import parity
from model_export.export.bundle import BundleFacts, write_bundle
from model_export.export.variants import FLOAT32, TORCHSCRIPT, Recordings
from model_export.training.ctc_loss import ctc_losses
from model_export.transcripts.normalisation import make_vocabulary
from service.backends import load_model
from service.bundle import Provenance, TextNormalisation, load_bundle

CLIPS = [recording.waveform() for recording in recordings()[1:5]]
BASE = "w2v-bert"
TRIALS = 4  # of parity, beside the clips
ADAPTER = {"add_adapter": True, "use_intermediate_ffn_before_adapter": True}


def batch_of_all() -> tuple[Tensor, Tensor]:
    """The clips, with something loud in the padding."""
    batch = pad_sequence([*map(torch.from_numpy, CLIPS)], batch_first=True, padding_value=0.9)
    return batch, torch.tensor([*map(len, CLIPS)])


def hidden_of(model: CtcModel, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        hidden, frame_lengths = model.lower(waveforms, lengths, len(model.layers))
        return model.final_norm(hidden), frame_lengths


@pytest.mark.parametrize(
    ("base", "head", "changes"),
    [
        (BASE, "Model", {}),
        (BASE, "ForCTC", {}),
        (BASE, "ForCTC", ADAPTER),
        ("w2v-bert relative", "Model", {}),
        ("w2v-bert rotary", "Model", {}),
        (BASE, "Model", {"position_embeddings_type": None}),
    ],
)
def test_it_hears_what_transformers_hears(
    make_base: MakeBase, base: str, head: str, changes: dict[str, Any]
) -> None:
    folder = make_base(base, head, **changes)
    reference = getattr(transformers, "Wav2Vec2Bert" + head).from_pretrained(folder).eval()
    reference = getattr(reference, "wav2vec2_bert", reference)
    reference.adapter = reference.intermediate_ffn = None  # left out here
    together, frame_lengths = hidden_of(build_model(folder, 5), *batch_of_all())
    extractor = transformers.SeamlessM4TFeatureExtractor(padding_value=1.0)
    for clip, hidden, frames in zip(CLIPS, together, frame_lengths, strict=True):
        prepared = extractor(clip, sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            expected = reference(**prepared).last_hidden_state[0]
        assert frames == prepared.attention_mask.sum()
        torch.testing.assert_close(hidden[:frames], expected[:frames], atol=1e-4, rtol=0.0)


def test_batched_equals_alone(make_base: MakeBase) -> None:
    model = build_model(make_base(BASE), 5)
    together, frame_lengths = hidden_of(model, *batch_of_all())
    for clip, hidden, frames in zip(CLIPS, together, frame_lengths, strict=True):
        alone, _ = hidden_of(model, torch.from_numpy(clip)[None], torch.tensor([len(clip)]))
        torch.testing.assert_close(hidden[:frames], alone[0], atol=1e-5, rtol=0.0)


@pytest.fixture(scope="module")
def spec(make_base: MakeBase) -> ModelSpec:
    """WSM in the upper of two layers."""
    base = make_base(BASE)
    return ModelSpec(
        base=str(base),
        base_digest=digest_of_base(base),
        languages=("en",),
        layers=(1,),
        mixer="wsm",
        window_frames=3,
        also_train=("feed-forward",),
        vocabulary=make_vocabulary(["ab c"]),
        text_normalisation=TextNormalisation(),
        data=("clips.jsonl",),
    )


@pytest.fixture(scope="module")
def trained(spec: ModelSpec) -> CtcModel:
    """After one step of training."""
    torch.manual_seed(0)
    model = build_from_spec(spec).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    logits, frame_lengths = model(*batch_of_all())
    labels = torch.ones(len(CLIPS), 4, dtype=torch.int64).cumsum(1)
    ctc_losses(logits, frame_lengths, labels, spec.vocabulary.blank_id).mean().backward()
    optimiser.step()
    return model.eval()


def test_only_what_was_chosen_learns(spec: ModelSpec, trained: CtcModel) -> None:
    torch.manual_seed(0)
    before = build_from_spec(spec).state_dict()
    changed = {
        name for name, tensor in trained.state_dict().items() if not tensor.equal(before[name])
    }
    parts = {".".join(name.split(".")[:3]) for name in changed}
    names = ("self_attn", "self_attn_layer_norm", "ffn1", "ffn1_layer_norm", "ffn2")
    names += ("ffn2_layer_norm", "final_layer_norm")
    assert parts == {"head.weight", "head.bias", *(f"layers.1.{name}" for name in names)}


def test_a_reloaded_checkpoint_is_equal(spec: ModelSpec, trained: CtcModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", spec, trained)
    _, loaded = load_checkpoint(tmp_path / "checkpoint")
    with torch.inference_mode():
        assert torch.equal(loaded(*batch_of_all())[0], trained(*batch_of_all())[0])


def test_a_bundle_is_written_and_served(
    spec: ModelSpec, trained: CtcModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "TRIALS", TRIALS)
    provenance = Provenance(
        base="tiny", base_licence="none", data=(), weights_licence="none", created_with="a test"
    )
    facts = BundleFacts(name="tiny", summary="A test.", provenance=provenance)
    # Parity at lengths and batch sizes that no trace saw is what it is written under.
    variants = (FLOAT32, TORCHSCRIPT)
    recordings = Recordings(parity=CLIPS)
    write_bundle(
        tmp_path / "bundle", spec, trained, facts, variants=variants, recordings=recordings
    )
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.manifest.receptive_field_samples == 560
    assert "filter banks" in bundle.manifest.input_convention
    waveforms, lengths = batch_of_all()
    with torch.inference_mode():
        expected, expected_lengths = trained(waveforms, lengths)
    for variant in variants:
        served = load_model(bundle, device="cpu", sessions=1, runtime=variant.runtime).model
        logits, frame_lengths = served.infer(waveforms.numpy(), lengths.numpy())
        np.testing.assert_array_equal(frame_lengths, expected_lengths)
        for found, wanted, frames in zip(logits, expected, frame_lengths, strict=True):
            np.testing.assert_allclose(found[:frames], wanted[:frames], atol=parity.TOLERANCE)
