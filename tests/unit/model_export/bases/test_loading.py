import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    Data2VecAudioConfig,
    Data2VecAudioForCTC,
    HubertConfig,
    HubertForCTC,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerForCTC,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMForCTC,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperModel,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from model_export.bases import loading as bases
from model_export.bases.files import CONFIG_FILE, digest_of_base
from model_export.bases.loading import load_weights, model_type_of, read_config, resolve_base
from model_export.errors import BaseUnavailable

OF_WHISPER = {r"^(model\.)?encoder\.": ""}
CONVOLUTIONAL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 7,
}
PRETRAINING = {"num_codevectors_per_group": 4, "codevector_dim": 8}
WAV2VEC2 = Wav2Vec2Config(**CONVOLUTIONAL, **PRETRAINING)
HUBERT = HubertConfig(**CONVOLUTIONAL)
WHISPER = WhisperConfig(
    vocab_size=16,
    d_model=16,
    encoder_layers=2,
    encoder_attention_heads=2,
    encoder_ffn_dim=16,
    decoder_layers=1,
    decoder_attention_heads=2,
    decoder_ffn_dim=16,
    max_source_positions=50,
    max_target_positions=16,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
    decoder_start_token_id=1,
)

Tensors = dict[str, torch.Tensor]


def randomised(kind: type[PreTrainedModel], config: Any) -> Any:
    """A model none of whose weights is what a fresh one has."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = kind(config)
        for parameter in model.parameters():
            parameter.data += torch.randn_like(parameter)
    return model


def assert_same(loaded: PreTrainedModel, encoder: PreTrainedModel) -> None:
    found, expected = loaded.state_dict(), encoder.state_dict()
    assert found.keys() == expected.keys()
    used = expected.keys() - bases.UNUSED_WEIGHTS
    assert all(torch.equal(found[name], expected[name]) for name in used)


@pytest.fixture
def tensors(whisper_base: Path) -> Tensors:
    return load_file(whisper_base / "model.safetensors")


@pytest.fixture
def rewritten(whisper_base: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes the tiny Whisper's folder with its weights replaced by a file of another kind."""

    def make(name: str, save: Callable[[Path], object]) -> Path:
        folder = tmp_path / "rewritten"
        folder.mkdir(exist_ok=True)
        shutil.copy(whisper_base / CONFIG_FILE, folder)
        save(folder / name)
        return folder

    return make


def load_whisper(folder: Path) -> Any:
    return load_weights(WhisperEncoder, folder, OF_WHISPER)


def test_a_local_folder_is_itself(whisper_base: Path) -> None:
    assert resolve_base(str(whisper_base)) == whisper_base


def test_a_name_is_fetched_at_its_revision(
    monkeypatch: pytest.MonkeyPatch, whisper_base: Path
) -> None:
    asked = []

    def fetch(*request: str | None) -> Path:
        asked.append(request)
        return whisper_base

    monkeypatch.setattr(bases, "fetch", fetch)
    assert resolve_base("someone/a-model") == resolve_base("a-model", "v1") == whisper_base
    assert asked == [("someone/a-model", None), ("a-model", "v1")]


def test_a_folder_without_configuration_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match=r"has no config\.json"):
        resolve_base(str(tmp_path))


def test_a_local_folder_has_no_revisions(whisper_base: Path) -> None:
    with pytest.raises(BaseUnavailable, match="no revision 'v1'"):
        resolve_base(str(whisper_base), "v1")


def test_a_folder_of_the_cache_has_its_own_revision(whisper_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models--someone--a-model" / "snapshots" / ("0a" * 20)
    shutil.copytree(whisper_base, folder)
    assert resolve_base(str(folder), "0a" * 20) == folder


def test_any_architecture_can_be_asked_for(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    assert model_type_of(tmp_path) == "bert"


@pytest.mark.parametrize("content", [None, "", '{"model_type": ', "{}", "[]", "5", b"\xff"])
def test_a_damaged_configuration_is_named(tmp_path: Path, content: str | bytes | None) -> None:
    if content is not None:
        encoded = content if isinstance(content, bytes) else content.encode()
        (tmp_path / CONFIG_FILE).write_bytes(encoded)
    for read in (model_type_of, read_config):
        with pytest.raises(BaseUnavailable, match=r"config\.json") as info:
            read(tmp_path)
        assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "content",
    [
        {"model_type": "no-such-model"},
        {"model_type": "no-such-model", "auto_map": {"AutoConfig": "configuration.Config"}},
        {"model_type": "wav2vec2", "hidden_size": "wide"},
        {"model_type": "wav2vec2", "conv_dim": 5},
        {"model_type": "wav2vec2", "conv_dim": [8, 8]},
        {"model_type": "wav2vec2", "dtype": "float99"},
    ],
)
def test_what_cannot_be_configured_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / CONFIG_FILE).write_text(json.dumps(content))
    with pytest.raises(BaseUnavailable, match=r"config\.json cannot be used: .+") as info:
        read_config(tmp_path)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("kind", "config", "part"),
    [
        (Wav2Vec2Model, WAV2VEC2, ""),
        (Wav2Vec2ForCTC, WAV2VEC2, "wav2vec2"),
        (Wav2Vec2ForPreTraining, WAV2VEC2, "wav2vec2"),
        (HubertModel, HUBERT, ""),
        (HubertForCTC, HUBERT, "hubert"),
        (WavLMForCTC, WavLMConfig(**CONVOLUTIONAL), "wavlm"),
        (Data2VecAudioForCTC, Data2VecAudioConfig(**CONVOLUTIONAL), "data2vec_audio"),
        (Wav2Vec2ConformerForCTC, Wav2Vec2ConformerConfig(**CONVOLUTIONAL), "wav2vec2_conformer"),
        (Wav2Vec2BertForCTC, Wav2Vec2BertConfig(**CONVOLUTIONAL), "wav2vec2_bert"),
        (WhisperEncoder, WHISPER, ""),
        (WhisperModel, WHISPER, "encoder"),
        (WhisperForConditionalGeneration, WHISPER, "model.encoder"),
    ],
)
@pytest.mark.parametrize("old", [False, True], ids=["current names", "old names in .bin"])
def test_an_encoder_is_found_under_any_head(
    kind: type[PreTrainedModel], config: Any, part: str, old: bool, tmp_path: Path
) -> None:
    model = randomised(kind, config)
    if old:
        config.save_pretrained(tmp_path)
        torch.save(with_old_names(model.state_dict()), tmp_path / "pytorch_model.bin")
    else:
        model.save_pretrained(tmp_path)
    encoder = model.get_submodule(part)
    renamed = OF_WHISPER if config is WHISPER else None
    assert_same(load_weights(type(encoder), tmp_path, renamed), encoder)


def with_old_names(tensors: Tensors) -> Tensors:
    """Weight norm as torch wrote it before 2.1, without the mask embedding of pretraining."""
    old = {
        name.replace(".parametrizations.weight.original0", ".weight_g").replace(
            ".parametrizations.weight.original1", ".weight_v"
        ): tensor
        for name, tensor in tensors.items()
    }
    return {name: tensor for name, tensor in old.items() if "masked_spec_embed" not in name}


def test_old_names_are_in_safetensors_too(tmp_path: Path) -> None:
    model = randomised(Wav2Vec2ForCTC, WAV2VEC2)
    WAV2VEC2.save_pretrained(tmp_path)
    old = with_old_names(model.state_dict())
    assert any(name.endswith("weight_g") for name in old)
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert_same(load_weights(Wav2Vec2Model, tmp_path), model.wav2vec2)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_is_loaded_as_float32(
    rewritten: Callable[..., Path], tensors: Tensors, precision: torch.dtype
) -> None:
    other = {name: tensor.to(precision) for name, tensor in tensors.items()}
    folder = rewritten("model.safetensors", lambda file: save_file(other, file, {"format": "pt"}))
    found = load_whisper(folder).state_dict()
    expected = {
        name.removeprefix("encoder."): tensor.float()
        for name, tensor in other.items()
        if name.startswith("encoder.")
    }
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_shards_are_loaded_together(whisper_base: Path, tmp_path: Path, form: str) -> None:
    expected = load_whisper(whisper_base)
    WhisperModel.from_pretrained(whisper_base).save_pretrained(tmp_path, max_shard_size="20KB")
    if form == "bin":
        turn_into_pickles(tmp_path)
    assert len(bases.weight_files(tmp_path)) > 2
    assert_same(load_whisper(tmp_path), expected)
    bases.weight_files(tmp_path)[1].unlink()
    with pytest.raises(BaseUnavailable, match=r"lacks 1 of .* shards"):
        load_whisper(tmp_path)


def turn_into_pickles(folder: Path) -> None:
    """Rewrite safetensors shards as transformers once did."""
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    path.unlink()
    for file in folder.glob("model-*.safetensors"):
        torch.save(load_file(file), folder / f"pytorch_{file.stem}.bin")
        file.unlink()
    for name, file in index["weight_map"].items():
        index["weight_map"][name] = f"pytorch_{Path(file).stem}.bin"
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_of_tensors_are_loaded(
    rewritten: Callable[..., Path], whisper_base: Path, tensors: Tensors, zipped: bool
) -> None:
    folder = rewritten(
        "pytorch_model.bin",
        lambda file: torch.save(tensors, file, _use_new_zipfile_serialization=zipped),
    )
    assert_same(load_whisper(folder), load_whisper(whisper_base))
    assert digest_of_base(folder) != digest_of_base(whisper_base)


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def test_the_malicious_pickle_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malicious(tmp_path / "run")))
    assert (tmp_path / "run").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(
    rewritten: Callable[..., Path], tensors: Tensors, tmp_path: Path, zipped: bool
) -> None:
    content = {**tensors, "encoder.extra": Malicious(tmp_path / "run")}
    folder = rewritten(
        "pytorch_model.bin",
        lambda file: torch.save(content, file, _use_new_zipfile_serialization=zipped),
    )
    with pytest.raises(BaseUnavailable, match=r"pytorch_model\.bin .*could run code") as info:
        load_whisper(folder)
    assert "\n" not in str(info.value)
    assert not (tmp_path / "run").exists()


def test_a_bare_pickle_is_refused_and_not_run(
    rewritten: Callable[..., Path], tmp_path: Path
) -> None:
    evil = pickle.dumps(Malicious(tmp_path / "run"), protocol=2)  # torch warns of others
    folder = rewritten("pytorch_model.bin", lambda file: file.write_bytes(evil))
    with pytest.raises(BaseUnavailable, match=r"pytorch_model\.bin"):
        load_whisper(folder)
    assert not (tmp_path / "run").exists()


def test_safetensors_win_over_a_pickle(
    rewritten: Callable[..., Path], tensors: Tensors, whisper_base: Path, tmp_path: Path
) -> None:
    rewritten("pytorch_model.bin", lambda file: torch.save(Malicious(tmp_path / "run"), file))
    folder = rewritten("model.safetensors", lambda file: save_file(tensors, file, {"format": "pt"}))
    assert_same(load_whisper(folder), load_whisper(whisper_base))
    assert digest_of_base(folder) == digest_of_base(whisper_base)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0, 4, 100, -100, None])
def test_damaged_weights_are_named(
    rewritten: Callable[..., Path], tensors: Tensors, name: str, kept: int | None
) -> None:
    save: Any = save_file if name.endswith(".safetensors") else torch.save

    def damage(file: Path) -> None:
        save(tensors, file)
        content = file.read_bytes()
        file.write_bytes(b"<html>" * 1000 if kept is None else content[:kept])

    folder = rewritten(name, damage)
    with pytest.raises(BaseUnavailable, match="rewritten") as info:
        load_whisper(folder)
    assert "\n" not in str(info.value)


def test_missing_weights_are_counted(rewritten: Callable[..., Path], tensors: Tensors) -> None:
    kept = {name: value for name, value in tensors.items() if "encoder.layers.1.fc" not in name}
    folder = rewritten("model.safetensors", lambda file: save_file(kept, file, {"format": "pt"}))
    message = r"as WhisperEncoder lacks 4 weights, first 'layers\.1\.fc1\.bias'"
    with pytest.raises(BaseUnavailable, match=message):
        load_whisper(folder)


def test_weights_of_another_shape_are_counted(
    rewritten: Callable[..., Path], tensors: Tensors
) -> None:
    tensors["encoder.conv1.bias"] = torch.zeros(5)
    folder = rewritten("model.safetensors", lambda file: save_file(tensors, file, {"format": "pt"}))
    message = (
        r"1 weights that do not fit its config\.json, first 'conv1\.bias': \(5,\), not \(32,\)"
    )
    with pytest.raises(BaseUnavailable, match=message):
        load_whisper(folder)


def test_what_cannot_be_built_is_named(rewritten: Callable[..., Path], tensors: Tensors) -> None:
    folder = rewritten("model.safetensors", lambda file: save_file(tensors, file, {"format": "pt"}))
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**config, "encoder_attention_heads": 5}))
    with pytest.raises(BaseUnavailable, match=r"cannot be loaded: .*num_heads"):
        load_whisper(folder)
