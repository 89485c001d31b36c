import torch

from model_export.training.masking import spec_augment

MASKS = {
    "time_masks": 2,
    "longest_time_mask_frames": 5,
    "width_masks": 1,
    "widest_mask_share": 3 / 16,
}


def test_spec_augment_zeroes_bounded_spans() -> None:
    torch.manual_seed(0)
    hidden = torch.ones(50, 30, 16)
    masked = spec_augment(hidden, **MASKS)
    frames = (masked == 0).all(dim=2).sum(dim=1)
    features = (masked == 0).all(dim=1).sum(dim=1)
    assert hidden.all()
    assert 5 < int(frames.max()) <= 2 * 5
    assert 0 < int(features.max()) <= 3
    assert len(set(frames.tolist())) > 3
    assert set(masked.unique().tolist()) == {0.0, 1.0}


def test_spec_augment_fits_less_than_a_span() -> None:
    assert spec_augment(torch.ones(2, 1, 1), **MASKS).shape == (2, 1, 1)


def test_no_masks_change_nothing() -> None:
    hidden = torch.randn(2, 5, 4)
    none = dict.fromkeys(MASKS, 0)
    assert torch.equal(spec_augment(hidden, **none), hidden)
