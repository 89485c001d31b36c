"""Dimensions of public encoders, as transformers' `Wav2Vec2Config` takes them, and what they run.

The weights are random: memory and time depend on the dimensions alone.
"""

from dataclasses import dataclass
from typing import Any, Literal

Task = Literal["training", "inference"]
DeviceKind = Literal["cuda", "cpu"]

SHAPES: dict[str, dict[str, Any]] = {
    "wav2vec2-base": {},
    "XLS-R 300M": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    },
}
TINY: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    }
}
TRAINING_BATCH: dict[DeviceKind, int] = {"cuda": 4, "cpu": 1}


@dataclass(frozen=True)
class Plan:
    """What to measure, in this order: training for each shape, then inference.

    Attributes:
        shapes: dimensions by name.
        training_lengths_s: of each clip of a batch.
        inference_lengths_s: of one clip.
        training_batch: clips; the same for every subject and length.
    """

    shapes: dict[str, dict[str, Any]]
    training_lengths_s: tuple[float, ...]
    inference_lengths_s: tuple[float, ...]
    training_batch: int


TRAINING_LENGTHS_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
INFERENCE_LENGTHS_S = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
QUICK_TRAINING_LENGTHS_S = (1.0, 2.0, 4.0)
QUICK_INFERENCE_LENGTHS_S = (1.0, 2.0, 4.0, 8.0)
QUICK_BATCH = 2
