"""The decoder of a pretrained Whisper, with fewer tokens."""

import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

from model_export.attention_decoder.checkpoint import DecoderSpec
from model_export.attention_decoder.decoder import AttentionDecoder
from model_export.attention_decoder.vocabulary import SmallTokenizer
from model_export.bases import loading
from model_export.bases.files import TOKENIZER_FILE
from model_export.errors import BaseUnavailable

LONGEST_TOKENS = 224  # of a text; half of Whisper's positions are for a prompt
BEFORE_TEXT, AFTER_TEXT = "<|notimestamps|>", "<|endoftext|>"
WHOLE = {"norm": "layer_norm", "positions": "embed_positions"}
OF_LAYER = {
    "mix_norm": "self_attn_layer_norm",
    "mix": "self_attn",
    "cross_norm": "encoder_attn_layer_norm",
    "cross": "encoder_attn",
    "feed_norm": "final_layer_norm",
    "widen": "fc1",
    "narrow": "fc2",
}
OF_ATTENTION = {"queries": "q_proj", "keys": "k_proj", "values": "v_proj", "out": "out_proj"}


def read_config(folder: Path) -> WhisperConfig:
    """Configuration of a whole Whisper.

    Raises:
        BaseUnavailable: it is damaged, or of something else.
    """
    config = loading.read_config(folder)
    if not isinstance(config, WhisperConfig):
        raise BaseUnavailable(f"{folder} is no Whisper, but {config.model_type}")
    return config


def load_pretrained(
    folder: Path, small: SmallTokenizer, frames_digest: str
) -> tuple[DecoderSpec, AttentionDecoder]:
    """Take over a pretrained decoder.

    Args:
        folder: of a whole Whisper, as transformers saves it, with its `tokenizer.json`.
        small: made of the same tokenizer.
        frames_digest: of what makes the frames that it shall attend to.

    Raises:
        BaseUnavailable: the folder holds no whole Whisper.
    """
    try:
        whole = WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True)
        special = _special_ids(folder / TOKENIZER_FILE)
    except (OSError, ValueError, KeyError) as error:
        raise BaseUnavailable(f"{folder} holds no whole Whisper: {error}") from error
    config: WhisperConfig = whole.config
    spec = DecoderSpec(
        base=str(folder),
        frames_digest=frames_digest,
        after_layers=config.encoder_layers,
        tokens=(*small.tokens, "", ""),
        width=config.d_model,
        layers=config.decoder_layers,
        heads=config.decoder_attention_heads,
        inner=config.decoder_ffn_dim,
        longest_tokens=min(LONGEST_TOKENS, config.max_target_positions - 1),
    )
    decoder = spec.build()
    decoder.load_state_dict(
        _renamed(whole.model.state_dict(), spec, (*small.pretrained_ids, *special))
    )
    return spec, decoder.eval()


def _special_ids(tokenizer: Path) -> tuple[int, int]:
    added = json.loads(tokenizer.read_bytes())["added_tokens"]
    ids = {token["content"]: token["id"] for token in added}
    return ids[BEFORE_TEXT], ids[AFTER_TEXT]


def _renamed(
    whole: dict[str, Tensor], spec: DecoderSpec, pretrained_ids: tuple[int, ...]
) -> dict[str, Tensor]:
    names = {
        "frame_norm": "encoder.layer_norm",
        **{ours: f"decoder.{of}" for ours, of in WHOLE.items()},
    }
    for depth in range(spec.layers):
        for ours, theirs in OF_LAYER.items():
            parts = OF_ATTENTION if theirs.endswith("attn") else {"": ""}
            for part, of_part in parts.items():
                name = f"layers.{depth}.{ours}.{part}".rstrip(".")
                names[name] = f"decoder.layers.{depth}.{theirs}.{of_part}".rstrip(".")
    tensors = {
        f"{ours}.{kind}": whole[f"{theirs}.{kind}"]
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
        if f"{theirs}.{kind}" in whole
    }
    tensors["positions.weight"] = tensors["positions.weight"][: spec.longest_tokens + 1]
    tensors["tokens.weight"] = whole["decoder.embed_tokens.weight"][torch.tensor(pretrained_ids)]
    return tensors
