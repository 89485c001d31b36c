from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import WhisperConfig, WhisperForConditionalGeneration

from model_export.checkpoint import ModelSpec, build_from_spec, save_checkpoint

SPECIAL = ["<|endoftext|>", "<|notimestamps|>"]
TEXTS = ["ab cab", "abc bac", "bca aa", "Ab, c.", "cab abc é", "1 2"]


@pytest.fixture(scope="session")
def whole_whisper(whisper_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with a decoder and a byte-pair tokenizer."""
    folder = tmp_path_factory.mktemp("whole") / "whisper"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    config = WhisperConfig.from_pretrained(whisper_base)
    config.vocab_size, config.max_target_positions = tokenizer.get_vocab_size(), 64
    torch.manual_seed(0)
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def ctc_checkpoint(spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer of WSM on top of the tiny Whisper's; its weights are random."""
    folder = tmp_path_factory.mktemp("ctc") / "checkpoint"
    on_top = spec.model_copy(update={"added_layers": 1, "layers": (2,)})
    torch.manual_seed(0)
    save_checkpoint(folder, on_top, build_from_spec(on_top))
    return folder
