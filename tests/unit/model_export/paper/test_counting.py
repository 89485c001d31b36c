"""Live bytes against tensors whose lifetime is known, and the names of attention's kernels."""

import pytest
import torch
import torch.nn.functional as F

from model_export.paper.counting import AttentionKernels, LiveBytes

MB = 1 << 20


def megabyte():
    return torch.zeros(MB // 4)


def test_what_lives_is_counted_and_what_is_gone_is_not():
    kept = megabyte()
    with LiveBytes([kept]) as counter:
        first = megabyte()
        del first
        second = kept + 1
        view = second[10:]
        del second
        third = view.exp()
        assert counter.live_bytes == pytest.approx(3 * MB, abs=64)  # the view holds the whole
        del view, third

    assert counter.live_bytes == MB
    assert counter.peak_bytes == pytest.approx(3 * MB, abs=64)


def test_activations_kept_for_gradients_are_counted_until_backward():
    weight = megabyte().requires_grad_()
    with LiveBytes([weight]) as counter:
        loss = weight.exp().sum()
        assert counter.live_bytes == pytest.approx(2 * MB, abs=64)
        loss.backward()
        del loss

    assert counter.live_bytes == pytest.approx(2 * MB, abs=64)  # the gradient in its place
    assert counter.peak_bytes >= 3 * MB


@pytest.mark.parametrize(
    ("dropout", "expected"), [(0.0, {"flash_attention_for_cpu"}), (0.1, {"math"})]
)
def test_attention_kernels_are_named(dropout, expected):
    queries = torch.randn(1, 2, 8, 16, requires_grad=True)
    valid_mask = torch.ones(1, 1, 1, 8, dtype=torch.bool)
    with AttentionKernels() as kernels:
        F.scaled_dot_product_attention(
            queries, queries, queries, attn_mask=valid_mask, dropout_p=dropout
        )

    assert kernels.names == expected
