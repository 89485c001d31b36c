from typing import Any

import pytest
import torch
from recordings import recordings
from torch import Tensor
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel

from model_export.encoders.w2v_bert import W2vBertStem
from model_export.errors import BaseUnavailable

SPEECH = [torch.from_numpy(recording.waveform()) for recording in recordings()[:3]]


@pytest.fixture(scope="module")
def encoder() -> Wav2Vec2BertModel:
    """A model of one layer of width 16."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
        return Wav2Vec2BertModel(Wav2Vec2BertConfig(num_hidden_layers=1, **sizes)).eval()


def embed(stem: W2vBertStem, waveforms: list[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([*map(len, waveforms)])
    batch = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True, padding_value=0.5)
    with torch.inference_mode():
        return stem(batch, lengths)


# The last two end in a frame without a partner, and in a frame less than complete.
@pytest.mark.parametrize("samples", [560, 32_000 + 240, 32_000 + 399, 32_000 + 559])
def test_it_projects_what_the_feature_extractor_gives(
    encoder: Wav2Vec2BertModel, samples: int
) -> None:
    waveform = SPEECH[0][:samples]
    prepared = SeamlessM4TFeatureExtractor(padding_value=1.0)(
        waveform.numpy(), sampling_rate=16_000, return_tensors="pt"
    )
    expected, _ = encoder.feature_projection(prepared.input_features)
    frames = int(prepared.attention_mask.sum())
    hidden, frame_lengths = embed(W2vBertStem(encoder, {}), [waveform])
    assert frame_lengths.tolist() == [frames] == [hidden.shape[1]]
    torch.testing.assert_close(hidden, expected[:, :frames], atol=1e-4, rtol=0.0)


def test_batched_equals_alone(encoder: Wav2Vec2BertModel) -> None:
    stem = W2vBertStem(encoder, {})
    hidden, frame_lengths = embed(stem, SPEECH)
    for row, waveform, frames in zip(hidden, SPEECH, frame_lengths, strict=True):
        alone, _ = embed(stem, [waveform])
        torch.testing.assert_close(row[:frames], alone[0], atol=1e-5, rtol=0.0)


def test_a_base_that_says_what_is_usual_is_taken(encoder: Wav2Vec2BertModel) -> None:
    W2vBertStem(encoder, SeamlessM4TFeatureExtractor(padding_value=1.0).to_dict())


@pytest.mark.parametrize(
    ("setting", "found", "message"),
    [
        ("sampling_rate", 8000, "sampling_rate of the preprocessor is 8000; supported is 16000"),
        ("stride", 4, "stride of the preprocessor is 4; supported is 2"),
        (
            "padding_side",
            "left",
            "padding_side of the preprocessor is 'left'; supported is 'right'",
        ),
        ("feature_extractor_type", "Wav2Vec2FeatureExtractor", "is 'Wav2Vec2FeatureExtractor'"),
        ("num_mel_bins", 128, "num_mel_bins of the preprocessor is 128; .* 160 features"),
    ],
)
def test_what_is_not_computed_is_refused(
    encoder: Wav2Vec2BertModel, setting: str, found: Any, message: str
) -> None:
    with pytest.raises(BaseUnavailable, match=message):
        W2vBertStem(encoder, {setting: found})


def test_front_end_facts_tell_every_frame_count(encoder: Wav2Vec2BertModel) -> None:
    stem = W2vBertStem(encoder, {})
    facts = stem.front_end
    assert facts.longest_pass_s is None
    for samples in range(facts.receptive_field_samples, 2500, 79):
        hidden, frame_lengths = embed(stem, [torch.zeros(samples)])
        frames = (samples - facts.receptive_field_samples) // facts.samples_per_frame + 1
        assert frame_lengths.tolist() == [frames] == [hidden.shape[1]]
