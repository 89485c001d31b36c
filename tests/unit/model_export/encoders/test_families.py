import json
from pathlib import Path

import pytest
import torch
import transformers
from checkpoints import BASES, SPECTRAL, MakeBase, heads_of
from torch import Tensor
from transformers import BertConfig

from model_export.encoders.families import FAMILIES, build_model, layer_count_of
from model_export.errors import BaseUnavailable


def test_other_architectures_are_named(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(
        BaseUnavailable, match=r"a 'bert' model; known families: .*wav2vec2, .*whisper"
    ):
        build_model(tmp_path, 5)


def test_a_damaged_configuration_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": ')
    with pytest.raises(BaseUnavailable, match=r"config\.json"):
        build_model(tmp_path, 5)


def test_an_unknown_architecture_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(BaseUnavailable, match="no-such-model"):
        build_model(tmp_path, 5)


def test_layer_counts(whisper_base: Path, wav2vec2_base: Path) -> None:
    assert layer_count_of(whisper_base) == len(build_model(whisper_base, 5).layers) == 2
    assert layer_count_of(wav2vec2_base) == len(build_model(wav2vec2_base, 5).layers) == 3


def test_models_come_in_float32_for_evaluation(whisper_base: Path) -> None:
    model = build_model(whisper_base, 5)
    assert not any(module.training for module in model.modules())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.head.out_features == 5


def test_every_family_has_a_tiny_base() -> None:
    types = {getattr(transformers, f"{name}Config").model_type for name, _ in BASES.values()}
    assert types == FAMILIES.keys()


@pytest.mark.parametrize("base", BASES)
def test_layer_counts_of_every_family(make_base: MakeBase, base: str) -> None:
    folder = make_base(base)
    assert layer_count_of(folder) == len(build_model(folder, 5).layers) == 2


def hidden_of(folder: Path, waveforms: Tensor, lengths: list[int]) -> Tensor:
    """What the head would see, `[batch, frames, width]`."""
    model = build_model(folder, 5)
    with torch.inference_mode():
        hidden, _ = model.lower(waveforms, torch.tensor(lengths), len(model.layers))
        return model.final_norm(hidden)


def transformers_hidden(
    folder: Path, base: str, head: str, waveforms: Tensor, lengths: list[int]
) -> Tensor:
    """The same by transformers, from waveforms that its feature extractor prepared."""
    kind = getattr(transformers, BASES[base][0] + head)
    encoder = kind.from_pretrained(folder).eval().base_model
    encoder.adapter = None  # ours takes the frames below it
    rows = [row[:length].numpy() for row, length in zip(waveforms, lengths, strict=True)]
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True)
    inputs = extractor(rows, sampling_rate=16_000, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden: Tensor = encoder(**inputs).last_hidden_state
    return hidden


# Whisper and w2v-BERT, whose features are spectra, are held against transformers elsewhere.
HEARS_WAVEFORMS = [base for base, (name, _) in BASES.items() if name not in SPECTRAL]
TORCH_DEPRECATES = "ignore:Support for mismatched key_padding_mask:UserWarning"  # in WavLM


@pytest.mark.filterwarnings(TORCH_DEPRECATES)
@pytest.mark.parametrize(
    ("base", "head"), [(base, head) for base in HEARS_WAVEFORMS for head in heads_of(base)]
)
def test_a_waveform_alone_as_in_transformers(
    make_base: MakeBase, noise_and_tones, base: str, head: str
) -> None:
    folder = make_base(base, head)
    for samples in (400, 1111, 16_000):
        waveform = torch.from_numpy(noise_and_tones(samples))[None]
        expected = transformers_hidden(folder, base, head, waveform, [samples])
        hidden = hidden_of(folder, waveform, [samples])
        torch.testing.assert_close(hidden, expected, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"add_adapter": True, "num_adapter_layers": 1},
        {"hidden_act": "relu", "feat_extract_activation": "silu"},
        {"num_conv_pos_embeddings": 5},
        {"position_embeddings_type": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_rarer_configurations_as_in_transformers(
    make_base: MakeBase, noise_and_tones, changes
) -> None:
    base = "conformer relative" if "position_embeddings_type" in changes else "wav2vec2"
    folder = make_base(base, "ForCTC", **changes)
    waveform = torch.from_numpy(noise_and_tones(9001))[None]
    expected = transformers_hidden(folder, base, "ForCTC", waveform, [9001])
    torch.testing.assert_close(hidden_of(folder, waveform, [9001]), expected, atol=1e-4, rtol=0.0)


@pytest.mark.filterwarnings(TORCH_DEPRECATES)
@pytest.mark.parametrize(
    ("base", "leaks"),
    [
        pytest.param("wav2vec2", True, id="group norm"),
        pytest.param("hubert", True, id="hubert, group norm"),
        pytest.param("wavlm", True, id="wavlm, group norm"),
        pytest.param("hubert batch norm", True, id="batch norm before positions"),
        pytest.param("data2vec", True, id="stacked positions"),
        pytest.param("conformer relative", True, id="convolutions in layers"),
        pytest.param("xls-r", False, id="layer norms only"),
    ],
)
def test_padding_reaches_frames_in_transformers_but_not_here(
    make_base: MakeBase, noise_and_tones, base: str, leaks: bool
) -> None:
    """What transformers hears in an utterance depends on its batch, even with a mask."""
    folder, lengths = make_base(base), [16_000, 8_000]
    waveforms = torch.zeros(2, 16_000)
    for row, length in zip(waveforms, lengths, strict=True):
        row[:length] = torch.from_numpy(noise_and_tones(length, length))
    lonely = waveforms[1:, : lengths[1]], lengths[1:]
    theirs_alone = transformers_hidden(folder, base, "Model", *lonely)[0]
    theirs = transformers_hidden(folder, base, "Model", waveforms, lengths)[1, : len(theirs_alone)]
    ours_alone = hidden_of(folder, *lonely)[0]
    ours = hidden_of(folder, waveforms, lengths)[1, : len(ours_alone)]
    assert ((theirs - theirs_alone).abs().max() > 1e-2) == leaks
    torch.testing.assert_close(ours, ours_alone, atol=1e-5, rtol=0.0)
