import torch
import torch.nn.functional as F
from torch import nn

from model_export.encoders.biased_attention import biased_attention


def test_it_is_attention_with_a_bias_and_a_mask() -> None:
    query, key, value = torch.randn(3, 2, 4, 5, 8)
    bias, valid_mask = torch.randn(4, 5, 5), torch.arange(5) < torch.tensor([[5], [3]])
    mask = valid_mask[:, None, None, :]
    expected = F.scaled_dot_product_attention(
        query, key, value, attn_mask=bias.masked_fill(~mask, float("-inf")), scale=0.3
    )
    mixed, weights = biased_attention(
        nn.Identity(), query, key, value, mask, scaling=0.3, position_bias=bias, dropout=0.0
    )
    assert weights is None
    torch.testing.assert_close(mixed, expected.transpose(1, 2))


def test_weights_are_dropped_in_training_only() -> None:
    query, key, value = torch.randn(3, 1, 1, 5, 8)
    options = {"scaling": 1.0, "position_bias": torch.zeros(5, 5), "dropout": 1.0}
    mask = torch.ones(1, 1, 1, 5, dtype=torch.bool)
    module = nn.Identity()
    assert not biased_attention(module.train(), query, key, value, mask, **options)[0].any()
    assert biased_attention(module.eval(), query, key, value, mask, **options)[0].all()
