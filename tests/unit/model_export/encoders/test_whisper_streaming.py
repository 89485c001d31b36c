from pathlib import Path

import pytest
import torch
from checkpoints import MakeBase
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from model_export.encoders.families import build_model
from model_export.encoders.whisper import WhisperStem
from model_export.encoders.whisper_streaming import (
    LEFT_CONTEXT_SAMPLES,
    LOOKAHEAD_SAMPLES,
    StreamingWhisperStem,
)
from model_export.errors import StreamingRefused
from model_export.training.precision import autocast

FRAME_SAMPLES = 320


@pytest.fixture(scope="module")
def stem(whisper_base: Path) -> StreamingWhisperStem:
    found = build_model(whisper_base, 5, streaming=True).stem
    assert isinstance(found, StreamingWhisperStem)
    return found.eval().requires_grad_(False)


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape)


def test_facts(stem: StreamingWhisperStem) -> None:
    facts = stem.front_end
    assert (facts.left_context_samples, facts.lookahead_samples) == (520, 200)
    assert facts.samples_per_frame == FRAME_SAMPLES
    assert facts.longest_pass_s is None


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=3),
    chunk_frames=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_chunks_give_what_the_whole_utterance_gives(
    stem: StreamingWhisperStem, lengths: list[int], chunk_frames: int, seed: int
) -> None:
    torch.manual_seed(seed)
    valid = torch.tensor(lengths)
    waveforms = noise(len(lengths), max(lengths) + 100)
    whole, frame_lengths = stem(waveforms, valid)
    hop = chunk_frames * FRAME_SAMPLES
    row = LEFT_CONTEXT_SAMPLES + hop + LOOKAHEAD_SAMPLES
    padded = F.pad(waveforms, (LEFT_CONTEXT_SAMPLES, 2 * row + hop), value=0.5)
    padded[:, :LEFT_CONTEXT_SAMPLES] = 0.0
    pieces, counts = [], torch.zeros_like(valid)
    for start in range(0, max(lengths), hop):
        heard = (valid + LEFT_CONTEXT_SAMPLES - start).clamp(0, row)
        hidden, found = stem.embed_chunk(padded[:, start : start + row], heard)
        pieces.append(hidden)
        counts += found
    assert counts.tolist() == frame_lengths.tolist() == [-(-n // FRAME_SAMPLES) for n in lengths]
    joined = torch.cat(pieces, dim=1)[:, : whole.shape[1]]
    for got, want, frames in zip(joined, whole, counts, strict=True):
        torch.testing.assert_close(got[:frames], want[:frames], atol=1e-5, rtol=1e-5)


def test_long_audio_in_pieces_gives_what_one_piece_gives(
    stem: StreamingWhisperStem, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveforms, lengths = noise(2, 50_000), torch.tensor([50_000, 31_234])
    expected, _ = stem(waveforms, lengths)
    monkeypatch.setattr(
        "model_export.encoders.whisper_streaming.PIECE_SAMPLES", {"cpu": 5000, "cuda": 0}
    )
    found, _ = stem(waveforms, lengths)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_speech_is_embedded_as_whisper_does_but_for_positions(
    stem: StreamingWhisperStem, whisper_base: Path, noise_and_tones
) -> None:
    own = build_model(whisper_base, 5).stem
    assert isinstance(own, WhisperStem)
    waveforms = torch.from_numpy(noise_and_tones(16_000))[None]
    expected = own(waveforms, torch.tensor([16_000]))[0] - own.positions[:50]
    found = stem(waveforms, torch.tensor([16_000]))[0] - own.positions.mean(dim=0)
    torch.testing.assert_close(found[:, 2:-2], expected[:, 2:-2], atol=1e-4, rtol=1e-4)


def test_a_loud_moment_does_not_change_what_was_heard_before(stem: StreamingWhisperStem) -> None:
    waveforms, lengths = noise(1, 16_000), torch.tensor([16_000])
    expected, _ = stem(waveforms, lengths)
    waveforms[:, 8000:] *= 30
    found, _ = stem(waveforms, lengths)
    torch.testing.assert_close(found[:, :24], expected[:, :24], atol=0, rtol=0)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_features_keep_their_precision_in_half(stem: StreamingWhisperStem, precision) -> None:
    waveforms, lengths = noise(1, 8000) * 1e-3, torch.tensor([8000])
    exact, _ = stem(waveforms, lengths)
    with autocast(precision, torch.device("cpu")):
        rounded, _ = stem(waveforms, lengths)
    torch.testing.assert_close(rounded, exact, atol=0.1, rtol=0.05)


def test_everything_can_learn(whisper_base: Path) -> None:
    model = build_model(whisper_base, 5, streaming=True)
    hidden, _ = model.stem(noise(2, 8000), torch.tensor([8000, 5000]))
    hidden.square().sum().backward()
    names = [name for name, value in model.named_parameters() if value.grad is not None]
    body = "stem.embedding.body."
    assert names == [
        f"{body}{name}"
        for name in ("offset", "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias")
    ]


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("xls-r", "normalised over the utterance, convolutional positions look 1.3 s ahead"),
        ("conformer relative", "normalised over the utterance"),
        ("w2v-bert", "filter banks are normalised over the utterance"),
    ],
)
def test_families_that_look_far_ahead_are_refused(
    make_base: MakeBase, base: str, reason: str
) -> None:
    with pytest.raises(StreamingRefused, match=reason):
        build_model(make_base(base), 5, streaming=True)
