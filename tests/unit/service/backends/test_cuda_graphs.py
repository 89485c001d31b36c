"""Capture and replay need a GPU; here a fake graph has the same fixed shape and static result."""

import pytest

torch = pytest.importorskip("torch")

from service.backends.cuda_graphs import GraphedForward  # noqa: E402

BUCKETS = (8, 16)


def forward(waveforms, lengths):
    return waveforms.cumsum(1).unsqueeze(2) * torch.tensor([1.0, 2.0]), lengths


class Capture:
    def __init__(self):
        self.shapes = []

    def __call__(self, forward, waveforms, lengths):
        self.shapes.append(tuple(waveforms.shape))
        logits, frame_lengths = forward(waveforms, lengths)

        def replay(new_waveforms, new_lengths):
            waveforms.copy_(new_waveforms)
            lengths.copy_(new_lengths)
            assert bool((lengths > 0).all())
            for static, new in zip(
                (logits, frame_lengths), forward(waveforms, lengths), strict=True
            ):
                static.copy_(new)
            return logits, frame_lengths

        return replay


def batch(rows, samples):
    waveforms = torch.randn(rows, samples)
    return waveforms, torch.full((rows,), samples)


@pytest.fixture
def capture():
    return Capture()


@pytest.fixture
def graphed(capture):
    return GraphedForward(forward, BUCKETS, 4, capture)


@pytest.mark.parametrize(("rows", "samples"), [(1, 3), (3, 8), (2, 9), (4, 16)])
def test_a_padded_batch_gives_what_it_gives_by_itself(graphed, rows, samples):
    waveforms, lengths = batch(rows, samples)
    expected, _ = forward(waveforms, lengths)
    for _ in range(2):
        logits, frame_lengths = graphed(waveforms, lengths)
        torch.testing.assert_close(logits[:, :samples], expected)
        assert frame_lengths.tolist() == [samples] * rows


def test_a_graph_is_captured_once_for_each_bucket_and_power_of_two(graphed, capture):
    for rows, samples in [(1, 5), (1, 8), (3, 7), (4, 2), (2, 16), (1, 1)]:
        graphed(*batch(rows, samples))
    assert capture.shapes == [(1, 8), (4, 8), (2, 16)]


@pytest.mark.parametrize(("rows", "samples"), [(1, 17), (5, 8)])
def test_what_no_graph_holds_runs_as_it_is(graphed, capture, rows, samples):
    waveforms, lengths = batch(rows, samples)
    logits, _ = graphed(waveforms, lengths)
    torch.testing.assert_close(logits, forward(waveforms, lengths)[0])
    assert capture.shapes == []
