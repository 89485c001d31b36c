import json
from pathlib import Path

import pytest
from transformers import (
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
)

from model_export.bases.preprocessor import read_preprocessor
from model_export.errors import BaseUnavailable


def test_a_feature_extractor_alone(tmp_path: Path) -> None:
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    assert read_preprocessor(tmp_path)["do_normalize"] is False


def test_a_whole_processor(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"<pad>": 0, "<unk>": 1, "|": 2}))
    tokenizer = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    extractor = SeamlessM4TFeatureExtractor(num_mel_bins=40)
    Wav2Vec2BertProcessor(extractor, tokenizer).save_pretrained(tmp_path)
    assert read_preprocessor(tmp_path)["num_mel_bins"] == 40


def test_the_processor_counts_as_in_transformers(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"num_mel_bins": 80}')
    (tmp_path / "processor_config.json").write_text('{"audio_processor": {"num_mel_bins": 40}}')
    assert read_preprocessor(tmp_path) == {"num_mel_bins": 40}
    (tmp_path / "processor_config.json").write_text('{"processor_class": "Some"}')
    assert read_preprocessor(tmp_path) == {"num_mel_bins": 80}


def test_a_base_need_not_say_anything(tmp_path: Path) -> None:
    assert read_preprocessor(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "message"), [('{"do_normalize"', "is damaged"), ("[1]", "holds list")]
)
def test_damaged_settings_are_no_base(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(BaseUnavailable, match=rf"preprocessor_config\.json {message}"):
        read_preprocessor(tmp_path)
