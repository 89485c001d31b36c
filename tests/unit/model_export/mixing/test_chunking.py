from pathlib import Path

import pytest
import torch

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.errors import StreamingRefused
from model_export.mixing.chunking import mixing_obstacles, obstacles, see_chunks, wsm_blocks
from model_export.mixing.surgery import add_layers, replace_attention


@pytest.fixture
def model(whisper_base: Path) -> CtcModel:
    model = build_model(whisper_base, 5, streaming=True)
    add_layers(model, 2)
    replace_attention(model, layers=(0, 1, 2, 3), mixer="wsm", window_frames=2)
    return model.requires_grad_(False)


def test_a_model_of_wsm_alone_can_stream(model: CtcModel) -> None:
    assert obstacles(model) == []
    see_chunks(model, 4)
    assert [block.chunk_frames for block in wsm_blocks(model)] == [4] * 4
    see_chunks(model, None)
    assert [block.chunk_frames for block in wsm_blocks(model)] == [None] * 4


def test_frames_see_their_chunk_and_the_past(model: CtcModel) -> None:
    see_chunks(model, 4)
    waveforms, lengths = 0.1 * torch.randn(1, 16_000), torch.tensor([16_000])
    expected, _ = model(waveforms, lengths)
    waveforms[:, 24 * 320 + 200 :] = 0.5  # behind the sixth chunk and its lookahead
    found, _ = model(waveforms, lengths)
    torch.testing.assert_close(found[:, :24], expected[:, :24], atol=0, rtol=0)
    assert not torch.equal(found[:, 24:28], expected[:, 24:28])


def test_padding_changes_nothing(model: CtcModel) -> None:
    see_chunks(model, 4)
    waveforms, lengths = 0.1 * torch.randn(2, 9000), torch.tensor([9000, 3000])
    together, _ = model(waveforms, lengths)
    alone, _ = model(waveforms[1:, :3000], lengths[1:])
    torch.testing.assert_close(together[1:, : alone.shape[1]], alone, atol=1e-5, rtol=1e-5)


def test_what_forbids_streaming_is_named(whisper_base: Path) -> None:
    model = build_model(whisper_base, 5)
    replace_attention(model, layers=(1,), mixer="wsm", window_frames=2)
    with pytest.raises(
        StreamingRefused,
        match=r"maximum, and positions end after 30 s; layer 0 mixes .* by attention",
    ):
        see_chunks(model, 16)
    see_chunks(model, None)


def test_runs_of_layers_are_named_together() -> None:
    found = mixing_obstacles(["attention", "attention", "wsm", "sm"])
    assert found == [
        "layers 0 to 1 mix the whole utterance by attention",
        "layer 3 mixes the whole utterance by sm",
    ]
