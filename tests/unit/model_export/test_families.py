import json
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import BertConfig

from model_export import families
from model_export.errors import BaseUnavailable
from model_export.families import build_model, layer_count_of, resolve_base


def test_a_local_folder_is_itself(whisper_base: Path) -> None:
    assert resolve_base(str(whisper_base)) == whisper_base


def test_a_name_is_fetched_without_pickles(
    monkeypatch: pytest.MonkeyPatch, whisper_base: Path
) -> None:
    asked = {}

    def fetch(name: str, allow_patterns: list[str]) -> str:
        asked[name] = allow_patterns
        return str(whisper_base)

    monkeypatch.setattr(families, "snapshot_download", fetch)
    assert resolve_base("someone/a-model") == whisper_base
    assert not any(pattern.endswith((".bin", ".pt")) for pattern in asked["someone/a-model"])


def test_a_folder_without_configuration_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match=r"has no config\.json"):
        resolve_base(str(tmp_path))


def test_unreachable_names_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, **_: object) -> str:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(families, "snapshot_download", fail)
    with pytest.raises(BaseUnavailable, match="'someone/a-model' is neither"):
        resolve_base("someone/a-model")


def test_what_cannot_be_a_name_is_quoted() -> None:
    with pytest.raises(BaseUnavailable, match="'/no/such/folder' is neither"):
        resolve_base("/no/such/folder")


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


def test_a_configuration_without_weights_is_no_base(tmp_path: Path, whisper_base: Path) -> None:
    (tmp_path / "config.json").write_bytes((whisper_base / "config.json").read_bytes())
    with pytest.raises(BaseUnavailable, match="weights"):
        build_model(tmp_path, 5)


def test_truncated_weights_are_no_base(tmp_path: Path, whisper_base: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        content = (whisper_base / name).read_bytes()
        (tmp_path / name).write_bytes(content if name == "config.json" else content[:-100])
    with pytest.raises(BaseUnavailable, match="weights"):
        build_model(tmp_path, 5)


def test_layer_counts(whisper_base: Path, wav2vec2_base: Path) -> None:
    assert layer_count_of(whisper_base) == len(build_model(whisper_base, 5).layers) == 2
    assert layer_count_of(wav2vec2_base) == len(build_model(wav2vec2_base, 5).layers) == 3


def test_models_come_in_float32_for_evaluation(whisper_base: Path) -> None:
    model = build_model(whisper_base, 5)
    assert not any(module.training for module in model.modules())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.head.out_features == 5
