import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from model_export.checkpoint import ModelSpec, build_from_spec
from model_export.mixing.freezing import trained_tensors
from model_export.training.chunk_draws import ChunkDraws
from model_export.training.ctc_loss import IGNORED_LABEL, ctc_losses
from model_export.training.masking import SpecAugment
from model_export.training.objective import CtcObjective
from model_export.training.precision import autocast

LABELS = torch.tensor([[2, 3, 3], [4, IGNORED_LABEL, IGNORED_LABEL]])


def objective_for(spec: ModelSpec, *, cached: bool, masking: SpecAugment | None) -> CtcObjective:
    torch.manual_seed(0)
    model = build_from_spec(spec)
    return CtcObjective(model, first_layer=1, cached=cached, blank_id=0, spec=masking)


def test_loss_is_per_label_and_ignores_padding() -> None:
    logits = torch.randn(2, 9, 5)
    frame_lengths = torch.tensor([9, 4])
    singles = [
        F.ctc_loss(
            logits[row, :frames].log_softmax(dim=1).unsqueeze(1),
            torch.tensor([labels]),
            torch.tensor([frames]),
            torch.tensor([len(labels)]),
            reduction="sum",
        )
        / len(labels)
        for row, frames, labels in ((0, 9, [2, 3, 3]), (1, 4, [4]))
    ]
    losses = ctc_losses(logits, frame_lengths, LABELS, 0)
    torch.testing.assert_close(losses, torch.stack(singles))
    logits[1, 4:] = 1e4
    torch.testing.assert_close(ctc_losses(logits, frame_lengths, LABELS, 0), losses)


def test_labels_that_do_not_fit_their_frames_cost_nothing() -> None:
    logits = torch.randn(1, 3, 5, requires_grad=True)
    loss = ctc_losses(logits, torch.tensor([3]), torch.tensor([[2, 2, 2]]), 0)
    loss.sum().backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_half_precision_logits_give_a_float32_loss() -> None:
    losses = ctc_losses(torch.randn(2, 9, 5).half(), torch.tensor([9, 4]), LABELS, 0)
    assert losses.dtype is torch.float32


def test_cached_frames_give_what_waveforms_give(spec: ModelSpec) -> None:
    fresh = objective_for(spec, cached=False, masking=None).eval()
    cached = objective_for(spec, cached=True, masking=None).eval()
    waveforms, lengths = torch.randn(2, 8000) * 0.1, torch.tensor([8000, 5000])
    hidden, frame_lengths = fresh.model.lower(waveforms, lengths, 1)
    expected, found = fresh(waveforms, lengths, LABELS), cached(hidden, frame_lengths, LABELS)
    torch.testing.assert_close(found, expected)
    assert (found["predictions"][1, frame_lengths[1] :] == IGNORED_LABEL).all()
    assert (found["predictions"][1, : frame_lengths[1]] != IGNORED_LABEL).all()


def test_masking_happens_in_training_only(spec: ModelSpec) -> None:
    masked = objective_for(spec, cached=True, masking=SpecAugment(widest_mask_share=0.25))
    batch = (torch.randn(2, 40, 32), torch.tensor([40, 30]), LABELS)
    torch.manual_seed(0)
    assert masked.train()(*batch)["loss"] != masked(*batch)["loss"]
    assert masked.eval()(*batch)["loss"] == masked(*batch)["loss"]


def test_state_holds_what_learns_and_loads_without_the_rest(
    spec: ModelSpec, tmp_path: Path
) -> None:
    objective = objective_for(spec, cached=False, masking=None)
    state = objective.state_dict()
    assert state.keys() == {f"model.{name}" for name in trained_tensors(objective.model)}
    with torch.no_grad():
        objective.model.head.bias.add_(1.0)
    objective.load_state_dict(state)
    torch.save(state, tmp_path / "state.pt")
    restored = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.testing.assert_close(objective.state_dict(), restored)


def test_bfloat16_arithmetic_gives_nearly_the_float32_loss(spec: ModelSpec) -> None:
    objective = objective_for(spec, cached=False, masking=None).train()
    batch = (torch.randn(2, 8000) * 0.1, torch.tensor([8000, 5000]), LABELS)
    exact = objective(*batch)["loss"]
    with autocast("bf16", torch.device("cpu")):
        rounded = objective(*batch)["loss"]
    rounded.backward()
    assert rounded.dtype is torch.float32
    assert rounded != exact
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0)
    for name, value in trained_tensors(objective.model).items():
        assert value.dtype is torch.float32, name
        assert objective.model.get_parameter(name).grad.isfinite().all(), name


@pytest.mark.parametrize("masking", [None, SpecAugment()])
def test_gradients_stay_above_the_first_layer(spec: ModelSpec, masking: SpecAugment | None) -> None:
    objective = objective_for(spec, cached=False, masking=masking).train()
    objective(torch.randn(2, 8000), torch.tensor([8000, 5000]), LABELS)["loss"].backward()
    reached = {n for n, value in objective.model.named_parameters() if value.grad is not None}
    assert reached == trained_tensors(objective.model).keys()


def test_silence_without_words_is_learnt_as_blanks() -> None:
    logits = torch.zeros(1, 3, 4, requires_grad=True)
    (loss,) = ctc_losses(logits, torch.tensor([3]), torch.empty(1, 0, dtype=torch.int64), 0)
    loss.backward()
    assert loss.item() == pytest.approx(3 * math.log(4))
    assert logits.grad is not None
    assert (logits.grad[0, :, 0] < 0).all()


def test_a_stem_that_learns_has_gradients(streaming_spec: ModelSpec) -> None:
    model = build_from_spec(streaming_spec)
    objective = CtcObjective(
        model, first_layer=0, cached=False, blank_id=0, spec=None, chunks=ChunkDraws(8)
    ).train()
    objective(torch.randn(2, 8000), torch.tensor([8000, 5000]), LABELS)["loss"].backward()
    assert all(value.grad is not None for value in model.parameters())


def test_chunks_are_drawn_in_training_and_served_in_evaluation(streaming_spec: ModelSpec) -> None:
    objective = CtcObjective(
        build_from_spec(streaming_spec),
        first_layer=0,
        cached=False,
        blank_id=0,
        spec=None,
        chunks=ChunkDraws(8),
    )
    batch = (torch.randn(2, 16_000), torch.tensor([16_000, 9000]), LABELS)
    torch.manual_seed(0)
    losses = [objective.train()(*batch)["loss"].item() for _ in range(40)]
    served = objective.eval()(*batch)["loss"].item()
    assert served == objective(*batch)["loss"].item()
    assert served in losses
    # 64 frames are all there are, but sums are rounded in another order.
    assert len(set(losses)) in (len({8, 16, 32, None}), len({8, 16, 32, 64, None}))
