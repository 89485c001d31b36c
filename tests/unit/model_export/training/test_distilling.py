import torch
from torch.nn.functional import pad

from model_export.checkpoint import ModelSpec, build_from_spec, build_teacher
from model_export.training.chunk_draws import ChunkDraws
from model_export.training.distilling import DistillingObjective, frames_error

LABELS = torch.tensor([[1], [1]])
LENGTHS = torch.tensor([16_000, 9000])


def objective(spec: ModelSpec) -> DistillingObjective:
    student, teacher = build_from_spec(spec), build_teacher(spec)
    return DistillingObjective(student, teacher, layer_count=2, chunks=ChunkDraws(8))


def test_error_is_one_where_only_the_means_are_met() -> None:
    target = torch.randn(2, 400, 5) * torch.tensor([1.0, 1.0, 100.0, 10.0, 3.0]) + 7.0
    valid_mask = torch.arange(400) < torch.tensor([[400], [150]])
    means = torch.stack([target[0].mean(0), target[1, :150].mean(0)]).unsqueeze(1)
    # The smallest features are held against the floor: 5 % of what 10^4, 10^2, 9 and 1 average.
    error = frames_error(means.expand(-1, 400, -1), target, valid_mask)
    assert torch.all((error > 0.2) & (error <= 1.0001))
    assert torch.all(frames_error(target, target, valid_mask) == 0)


def test_loud_features_do_not_drown_the_others() -> None:
    target = torch.randn(1, 300, 4)
    valid_mask = torch.ones(1, 300, dtype=torch.bool)
    off = target.clone()
    off[..., 1] += 1.0
    scales = torch.tensor([3.0, 1.0, 1.0, 1.0])
    expected = frames_error(off, target, valid_mask)
    found = frames_error(off * scales, target * scales, valid_mask)
    torch.testing.assert_close(found, expected)


def test_padding_does_not_count(streaming_spec: ModelSpec) -> None:
    distilling, waveforms = objective(streaming_spec).eval(), torch.randn(2, 16_000)
    expected = distilling(waveforms, LENGTHS, LABELS)["losses"]
    waveforms[1, 9000:] = 100.0
    longer = pad(waveforms, (0, 3200), value=-7.0)
    torch.testing.assert_close(distilling(longer, LENGTHS, LABELS)["losses"], expected)


def test_stem_and_compared_layers_learn_and_nothing_above(streaming_spec: ModelSpec) -> None:
    distilling = objective(streaming_spec)
    distilling(torch.randn(2, 16_000), LENGTHS, LABELS)["loss"].backward()
    student, teacher = distilling._student[0], distilling._teacher[0]
    moved = {name for name, value in student.named_parameters() if value.grad is not None}
    assert moved == {
        name
        for name, _ in student.named_parameters()
        if name.startswith(("stem.", "layers.0.", "layers.1."))
    }
    assert set(distilling.state_dict()) == moved
    assert all(value.grad is None for value in teacher.parameters())


def test_a_student_comes_nearer(streaming_spec: ModelSpec) -> None:
    distilling = objective(streaming_spec).train()
    optimizer = torch.optim.Adam(distilling.parameters(), lr=3e-3)
    waveforms, losses = torch.randn(2, 16_000), []
    for _ in range(25):
        losses.append(distilling(waveforms, LENGTHS, LABELS)["loss"])
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
