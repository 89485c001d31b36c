from pathlib import Path

import pytest
import torch
from transformers import WhisperForConditionalGeneration

from model_export.attention_decoder.pretrained import load_pretrained, read_config
from model_export.attention_decoder.vocabulary import small_tokenizer
from model_export.errors import BaseUnavailable


def test_it_gives_what_transformers_gives(whole_whisper: Path) -> None:
    small = small_tokenizer(whole_whisper / "tokenizer.json", "abc", 10_000)
    spec, decoder = load_pretrained(whole_whisper, small, "digest")
    theirs = WhisperForConditionalGeneration.from_pretrained(whole_whisper).eval()
    frames, tokens = torch.randn(2, 9, spec.width), torch.randint(0, len(small.tokens), (2, 5))
    ids = torch.tensor(small.pretrained_ids)
    with torch.inference_mode():
        memory = decoder.remember(frames, torch.tensor([9, 9]))
        ours, _ = decoder(tokens, memory, decoder.nothing_before(2))
        normed = theirs.model.encoder.layer_norm(frames)
        hidden = theirs.model.decoder(input_ids=ids[tokens], encoder_hidden_states=normed)
        expected = theirs.proj_out(hidden.last_hidden_state)[..., ids]
    assert torch.allclose(ours[..., :-2], expected, atol=1e-4)


def test_tokens_one_by_one_give_what_all_at_once_do(whole_whisper: Path) -> None:
    small = small_tokenizer(whole_whisper / "tokenizer.json", "abc", 10_000)
    spec, decoder = load_pretrained(whole_whisper, small, "digest")
    tokens = torch.randint(0, len(small.tokens), (2, 5))
    with torch.inference_mode():
        memory = decoder.remember(torch.randn(2, 9, spec.width), torch.tensor([9, 4]))
        whole, _ = decoder(tokens, memory, decoder.nothing_before(2))
        past, each = decoder.nothing_before(2), []
        for token in tokens.T:
            logits, past = decoder(token[:, None], memory, past)
            each.append(logits)
    assert torch.allclose(whole, torch.cat(each, dim=1), atol=1e-5)


def test_padding_is_not_attended_to(whole_whisper: Path) -> None:
    small = small_tokenizer(whole_whisper / "tokenizer.json", "abc", 10_000)
    spec, decoder = load_pretrained(whole_whisper, small, "digest")
    frames, tokens = torch.randn(1, 9, spec.width), torch.tensor([[0, 1]])
    with torch.inference_mode():
        past = decoder.nothing_before(1)
        short, _ = decoder(tokens, decoder.remember(frames[:, :4], torch.tensor([4])), past)
        padded, _ = decoder(tokens, decoder.remember(frames, torch.tensor([4])), past)
    assert torch.allclose(short, padded, atol=1e-5)


def test_an_encoder_alone_is_refused(whisper_base: Path, wav2vec2_base: Path) -> None:
    with pytest.raises(BaseUnavailable, match="no whole Whisper"):
        load_pretrained(whisper_base, None, "digest")  # type: ignore[arg-type]
    with pytest.raises(BaseUnavailable, match="is no Whisper, but wav2vec2"):
        read_config(wav2vec2_base)
