"""Tiny bases with random weights, saved by transformers the way its hub holds them.

torch and transformers are imported where they are used: the service's tests need neither.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Jobs of the tests, and of the servers they start, lie elsewhere than the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def whisper_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole WhisperModel: 2 encoder layers of width 32."""
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        vocab_size=64,
        num_mel_bins=80,
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_source_positions=1500,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return _saved(WhisperModel, config, tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def make_wav2vec2_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes Wav2Vec2Models of 3 layers of width 32; keyword arguments go to the configuration."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    made: dict[str, Path] = {}

    def make(**changes: Any) -> Path:
        key = repr(sorted(changes.items()))
        if key not in made:
            config = Wav2Vec2Config(
                **{
                    "hidden_size": 32,
                    "num_hidden_layers": 3,
                    "num_attention_heads": 4,
                    "intermediate_size": 64,
                    "conv_dim": (16,) * 7,
                    "num_conv_pos_embeddings": 16,
                    "num_conv_pos_embedding_groups": 4,
                    "feat_extract_norm": "layer",
                    "do_stable_layer_norm": True,
                    "conv_bias": True,
                }
                | changes
            )
            made[key] = _saved(Wav2Vec2Model, config, tmp_path_factory.mktemp("wav2vec2"))
        return made[key]

    return make


@pytest.fixture(scope="session")
def wav2vec2_base(make_wav2vec2_base: Callable[..., Path]) -> Path:
    """The stable, layer-norm variant, as XLS-R and MMS are."""
    return make_wav2vec2_base()


@pytest.fixture(scope="session")
def noise_and_tones() -> Callable[..., npt.NDArray[np.float32]]:
    """Makes waveforms `[samples]` of two tones that come and go in noise."""

    def make(samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
        generator = np.random.default_rng(seed)
        seconds = np.arange(samples) / 16000
        low, high = generator.uniform(100, 400), generator.uniform(800, 3000)
        tones = 0.3 * np.sin(2 * np.pi * low * seconds) * np.sin(3 * seconds + seed)
        tones += 0.1 * np.sin(2 * np.pi * high * seconds)
        waveform = tones + 0.02 * generator.standard_normal(samples)
        return waveform.astype(np.float32)

    return make


def _saved(kind: Any, config: Any, folder: Path) -> Path:
    """Save a model whose every weight is random and large enough to matter."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config).eval()
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder
