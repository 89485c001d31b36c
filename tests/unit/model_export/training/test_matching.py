from pathlib import Path

import pytest
import torch
from checkpoints import MakeBase

from model_export.checkpoint import ModelSpec, build_from_spec, build_teacher
from model_export.encoders.families import build_model
from model_export.mixing.surgery import replace_attention
from model_export.training.chunk_draws import ChunkDraws
from model_export.training.matching import MatchingObjective

LABELS = torch.tensor([[1], [1]])


@pytest.fixture
def matching(spec: ModelSpec, whisper_base: Path) -> MatchingObjective:
    student, teacher = build_from_spec(spec), build_model(whisper_base, 5)
    return MatchingObjective(student, teacher, layers=(1,), cached=False)


def test_loss_is_the_error_relative_to_the_attention(matching: MatchingObjective) -> None:
    mixer = matching.mixers[0]
    with torch.no_grad():
        mixer.mixer.combiner.weight.zero_()
        mixer.mixer.combiner.bias.zero_()
    loss = matching(torch.randn(2, 8000), torch.tensor([8000, 5000]), LABELS)["loss"]
    assert loss.item() == pytest.approx(1.0)


def test_padding_does_not_count(matching: MatchingObjective) -> None:
    waveforms, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    expected = matching(waveforms, lengths, LABELS)["loss"]
    waveforms[1, 5000:] = 100.0
    longer = torch.nn.functional.pad(waveforms, (0, 3000), value=-7.0)
    torch.testing.assert_close(matching(longer, lengths, LABELS)["loss"], expected)


def test_only_the_mixers_are_moved_and_saved(matching: MatchingObjective) -> None:
    matching(torch.randn(2, 8000), torch.tensor([8000, 5000]), LABELS)["loss"].backward()
    assert all(value.grad is not None for value in matching.mixers.parameters())
    assert all(name.startswith("mixers.0.mixer.") for name in matching.state_dict())
    teacher = matching._teacher[0]
    assert all(value.grad is None for value in teacher.parameters())


def test_cached_frames_give_what_waveforms_give(
    matching: MatchingObjective, spec: ModelSpec, whisper_base: Path
) -> None:
    student, teacher = build_from_spec(spec), build_model(whisper_base, 5)
    cached = MatchingObjective(student, teacher, layers=(1,), cached=True)
    cached.mixers.load_state_dict(matching.mixers.state_dict())
    waveforms, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    hidden, frame_lengths = teacher.lower(waveforms, lengths, 1)
    torch.testing.assert_close(
        cached(hidden, frame_lengths, LABELS), matching(waveforms, lengths, LABELS)
    )


def test_mixers_of_a_stream_imitate_the_whole_utterance(streaming_spec: ModelSpec) -> None:
    student, teacher = build_from_spec(streaming_spec), build_teacher(streaming_spec)
    layers, chunks = streaming_spec.layers, ChunkDraws(8)
    matching = MatchingObjective(student, teacher, layers=layers, cached=False, chunks=chunks)
    batch = (torch.randn(2, 16_000), torch.tensor([16_000, 9000]), LABELS)
    losses = {matching.train()(*batch)["loss"].item() for _ in range(40)}
    # 64 frames are all there are, but sums are rounded in another order.
    assert len(losses) in (len({8, 16, 32, None}), len({8, 16, 32, 64, None}))
    assert matching.eval()(*batch)["loss"].item() in losses
    matching(*batch)["loss"].backward()
    assert all(value.grad is not None for value in matching.mixers.parameters())


@pytest.mark.parametrize("base", ["xls-r", "wavlm", "conformer relative", "w2v-bert"])
def test_attention_of_every_kind_can_be_imitated(make_base: MakeBase, base: str) -> None:
    student, teacher = build_model(make_base(base), 5), build_model(make_base(base), 5)
    replace_attention(student, layers=(0, 1), mixer="wsm", window_frames=2)
    matching = MatchingObjective(student, teacher, layers=(0, 1), cached=False)
    optimizer = torch.optim.Adam(matching.mixers.parameters(), lr=1e-2)
    waveforms, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    losses = []
    for _ in range(10):
        losses.append(matching(waveforms, lengths, LABELS)["loss"])
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_losses_of_utterances_do_not_depend_on_their_batch(matching: MatchingObjective) -> None:
    waveforms, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    together = matching(waveforms, lengths, LABELS)["losses"]
    for row in range(2):
        alone = waveforms[row : row + 1, : int(lengths[row])]
        losses = matching(alone, lengths[row : row + 1], LABELS)["losses"]
        torch.testing.assert_close(losses[0], together[row], rtol=1e-4, atol=1e-5)
