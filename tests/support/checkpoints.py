"""Tiny bases of every family with random weights, saved by transformers the way its hub holds them.

torch and transformers are imported where they are used: the service's tests need neither.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

TRANSFORMER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 20,
    # Two convolutions with the hop and the reach of the usual seven.
    "conv_dim": (16, 16),
    "conv_kernel": (10, 40),
    "conv_stride": (10, 32),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 4,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
}
GROUP_NORM = {"feat_extract_norm": "group", "conv_bias": False, "do_stable_layer_norm": False}
POST_NORM = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": False}
STABLE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
# Few and near, so that short audio reaches past the last bucket.
BUCKETS = {"num_buckets": 16, "max_bucket_distance": 20}
DATA2VEC = {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 8, "conv_bias": True}
CONFORMER = {"feat_extract_norm": "layer", "conv_bias": True, "conv_depthwise_kernel_size": 7}
BERT = {
    "feature_projection_input_dim": 160,
    "conv_depthwise_kernel_size": 7,
    "left_max_position_embeddings": 9,
    "right_max_position_embeddings": 4,
}
WHISPER = {
    "vocab_size": 20,
    "num_mel_bins": 80,
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "max_source_positions": 1500,
    "max_target_positions": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
# Name: (start of the names of transformers' classes, configuration).
BASES: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2", TRANSFORMER | GROUP_NORM),
    "wav2vec2 post-norm": ("Wav2Vec2", TRANSFORMER | POST_NORM),
    "xls-r": ("Wav2Vec2", TRANSFORMER | STABLE),
    "mms adapters": ("Wav2Vec2", TRANSFORMER | STABLE | {"adapter_attn_dim": 4}),
    "hubert": ("Hubert", TRANSFORMER | GROUP_NORM),
    "hubert stable": ("Hubert", TRANSFORMER | STABLE),
    "hubert batch norm": (
        "Hubert",
        TRANSFORMER | GROUP_NORM | {"conv_pos_batch_norm": True, "feat_proj_layer_norm": False},
    ),
    "wavlm": ("WavLM", TRANSFORMER | GROUP_NORM | BUCKETS),
    "wavlm stable": ("WavLM", TRANSFORMER | STABLE | BUCKETS),
    "data2vec": ("Data2VecAudio", TRANSFORMER | DATA2VEC),
    "conformer relative": (
        "Wav2Vec2Conformer",
        TRANSFORMER | CONFORMER | {"position_embeddings_type": "relative"},
    ),
    "conformer rotary": (
        "Wav2Vec2Conformer",
        TRANSFORMER | CONFORMER | {"position_embeddings_type": "rotary"},
    ),
    "w2v-bert": ("Wav2Vec2Bert", TRANSFORMER | BERT | {"position_embeddings_type": "relative_key"}),
    "w2v-bert relative": (
        "Wav2Vec2Bert",
        TRANSFORMER | BERT | {"position_embeddings_type": "relative"},
    ),
    "w2v-bert rotary": (
        "Wav2Vec2Bert",
        TRANSFORMER | BERT | {"position_embeddings_type": "rotary"},
    ),
    "whisper": ("Whisper", WHISPER),
}
SPECTRAL = {"Wav2Vec2Bert", "Whisper"}  # whose feature extractors make spectra of waveforms
HEADS = ("Model", "ForCTC", "ForPreTraining", "ForConditionalGeneration")

MakeBase = Callable[..., Path]


def heads_of(base: str) -> list[str]:
    """Ends of the names of transformers' classes that save this base, the bare one first."""
    import transformers

    return [head for head in HEADS if hasattr(transformers, BASES[base][0] + head)]


def base_maker(folder: Path) -> MakeBase:
    """Make and keep bases: called with a name, and a head and changes of the configuration."""
    made: dict[str, Path] = {}

    def make(base: str, head: str = "Model", **changes: Any) -> Path:
        key = repr((base, head, sorted(changes.items())))
        if key not in made:
            made[key] = _save(base, head, changes, folder / str(len(made)))
        return made[key]

    return make


def _save(base: str, head: str, changes: dict[str, Any], folder: Path) -> Path:
    import transformers

    family, settings = BASES[base]
    config = getattr(transformers, f"{family}Config")(**settings | changes)
    save_random(getattr(transformers, family + head), config, folder)
    return folder


def save_random(kind: Any, config: Any, folder: Path) -> None:
    """Save a model whose every weight and statistic is random and large enough to matter."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config).eval()
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm1d):
                part.running_mean.normal_(std=0.2)
                part.running_var.uniform_(0.5, 1.5)
    model.save_pretrained(folder)
