"""Encoder families: what their encoders consist of, and how a base becomes a `CtcModel`.

What differs between families is the table `FAMILIES`; everything else treats them alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    Data2VecAudioModel,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2BertModel,
    Wav2Vec2ConformerModel,
    Wav2Vec2Model,
    WavLMModel,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from model_export.bases.loading import load_weights, model_type_of, read_config
from model_export.bases.preprocessor import read_preprocessor
from model_export.encoders.attention_positions import conformer_positions, no_positions
from model_export.encoders.ctc_model import CtcModel, Stem
from model_export.encoders.layer_calls import (
    LayerKind,
    call_causal_conformer,
    call_conformer,
    call_transformer,
    call_wavlm,
)
from model_export.encoders.w2v_bert import W2vBertStem
from model_export.encoders.wav2vec2 import Wav2Vec2Stem
from model_export.encoders.wavlm_attention import take_over_attention
from model_export.encoders.whisper import WhisperStem
from model_export.encoders.whisper_streaming import StreamingWhisperStem
from model_export.errors import BaseUnavailable, StreamingRefused

Encoder = Any  # of transformers, which is not typed
Preprocessor = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """How encoders of an architecture become a `CtcModel`.

    What an encoder has above its last layer, such as an adapter that shortens the frames, belongs
    to the task it was made for and is left away.

    Attributes:
        encoder: transformers' class.
        stem: (encoder, what its preprocessor's file says) to the part below the layers.
        layer: what a layer consists of, and how it is called.
        layers: where they sit in the encoder.
        final_norm: encoder to the norm after the last layer.
        positions: encoder to what the attention of all layers shares.
        renamed: patterns of weights that other classes save under another name.
        streaming_stem: encoder to a stem that looks ahead by little, where there is one.
    """

    encoder: type[PreTrainedModel]
    stem: Callable[[Encoder, Preprocessor], Stem]
    layer: LayerKind
    layers: str = "encoder.layers"
    final_norm: Callable[[Encoder], nn.Module] = attrgetter("encoder.layer_norm")
    positions: Callable[[Encoder], nn.Module | None] = no_positions
    renamed: dict[str, str] | None = None
    streaming_stem: Callable[[Encoder], Stem] | None = None


def family_of(folder: Path) -> Family:
    """Look up the family of a base.

    Raises:
        BaseUnavailable: the configuration is damaged, or its architecture not in the table.
    """
    model_type = model_type_of(folder)
    if model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise BaseUnavailable(f"{folder} is a {model_type!r} model; known families: {known}")
    return FAMILIES[model_type]


def build_model(folder: Path, vocabulary_size: int, *, streaming: bool = False) -> CtcModel:
    """Load a base in float32 under a fresh CTC head, in evaluation mode.

    Args:
        folder: of the base.
        vocabulary_size: outputs of the head.
        streaming: give it a stem that looks ahead by little.

    Raises:
        BaseUnavailable: it cannot be loaded.
        StreamingRefused: its family has no such stem.
    """
    family = family_of(folder)
    encoder = load_weights(family.encoder, folder, family.renamed)
    stem = family.stem(encoder, read_preprocessor(folder))
    if streaming and family.streaming_stem is None:
        raise StreamingRefused(
            f"{folder} cannot stream: the front end of {model_type_of(folder)} looks far ahead: "
            f"{stem.front_end.looks_far_ahead}"
        )
    if streaming and family.streaming_stem is not None:
        stem = family.streaming_stem(encoder)
    return assemble(family, encoder, stem, vocabulary_size)


def assemble(family: Family, encoder: Encoder, stem: Stem, vocabulary_size: int) -> CtcModel:
    """Put an encoder of a family and a stem under a fresh CTC head, in evaluation mode."""
    model = CtcModel(
        stem=stem,
        layers=encoder.get_submodule(family.layers),
        layer_kind=family.layer,
        positions=family.positions(encoder),
        final_norm=family.final_norm(encoder),
        head=nn.Linear(encoder.config.hidden_size, vocabulary_size),
    )
    return model.eval()


def layer_count_of(folder: Path) -> int:
    """Number of encoder layers of a base."""
    config = read_config(folder)
    return int(getattr(config, "encoder_layers", config.num_hidden_layers))


def _whisper_stem(encoder: Encoder, _: Preprocessor) -> Stem:
    return WhisperStem(encoder)


def _transformer_stem(encoder: Encoder, preprocessor: Preprocessor) -> Stem:
    """The post-norm variant normalises before its layers, the stable one after them."""
    return Wav2Vec2Stem(
        encoder,
        normalise_waveform=_wants_normalised(preprocessor),
        positions=encoder.encoder.pos_conv_embed,
        input_norm=nn.Identity() if _is_stable(encoder) else encoder.encoder.layer_norm,
    )


def _conformer_stem(encoder: Encoder, preprocessor: Preprocessor) -> Stem:
    """A conformer of transformers holds convolutional positions too, but never uses them."""
    return Wav2Vec2Stem(
        encoder,
        normalise_waveform=_wants_normalised(preprocessor),
        positions=None,
        input_norm=nn.Identity(),
    )


def _norm_if_stable(encoder: Encoder) -> nn.Module:
    norm: nn.Module = encoder.encoder.layer_norm if _is_stable(encoder) else nn.Identity()
    return norm


def _no_norm(_: Encoder) -> nn.Module:
    return nn.Identity()


def _is_stable(encoder: Encoder) -> bool:
    """Where the norms stand; data2vec has no choice."""
    return bool(getattr(encoder.config, "do_stable_layer_norm", False))


def _wants_normalised(preprocessor: Preprocessor) -> bool:
    """What the base says, or else what transformers' feature extractor does by default."""
    return bool(preprocessor.get("do_normalize", True))


WHISPER_LAYER = LayerKind(
    call_transformer,
    "self_attn",
    "self_attn_layer_norm",
    ("fc1", "fc2", "final_layer_norm"),
    ("fc2",),
)
TRANSFORMER_LAYER = LayerKind(
    call_transformer,
    "attention",
    "layer_norm",
    ("feed_forward", "final_layer_norm"),
    ("feed_forward.output_dense",),
)
WAVLM_LAYER = replace(TRANSFORMER_LAYER, call=call_wavlm, attention_outputs=3)
CONFORMER_LAYER = LayerKind(
    call_conformer,
    "self_attn",
    "self_attn_layer_norm",
    ("ffn1_layer_norm", "ffn1", "ffn2_layer_norm", "ffn2", "final_layer_norm"),
    ("ffn1.output_dense", "ffn2.output_dense"),
)
CAUSAL_CONFORMER_LAYER = replace(CONFORMER_LAYER, call=call_causal_conformer)

WAV2VEC2 = Family(Wav2Vec2Model, _transformer_stem, TRANSFORMER_LAYER, final_norm=_norm_if_stable)
FAMILIES: dict[str, Family] = {
    "wav2vec2": WAV2VEC2,
    "hubert": replace(WAV2VEC2, encoder=HubertModel),
    "wavlm": replace(
        WAV2VEC2, encoder=WavLMModel, layer=WAVLM_LAYER, positions=take_over_attention
    ),
    "data2vec-audio": replace(WAV2VEC2, encoder=Data2VecAudioModel),
    "wav2vec2-conformer": Family(
        Wav2Vec2ConformerModel, _conformer_stem, CONFORMER_LAYER, positions=conformer_positions
    ),
    "wav2vec2-bert": Family(
        Wav2Vec2BertModel,
        W2vBertStem,
        CAUSAL_CONFORMER_LAYER,
        final_norm=_no_norm,
        positions=conformer_positions,
    ),
    "whisper": Family(
        WhisperEncoder,
        _whisper_stem,
        WHISPER_LAYER,
        layers="layers",
        final_norm=attrgetter("layer_norm"),
        renamed={r"^(model\.)?encoder\.": ""},
        streaming_stem=StreamingWhisperStem,
    ),
}
