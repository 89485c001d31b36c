import pytest
import torch

from model_export.errors import TrainingRefused
from model_export.training.precision import autocast, choose_precision


@pytest.mark.parametrize(
    ("cuda", "bf16", "unit", "expected"),
    [
        (False, False, "avx512_vnni", "fp32"),
        (False, False, "amx_bf16", "bf16"),
        (False, False, "avx512_bf16", "bf16"),
        (True, True, "avx512_vnni", "bf16"),
        (True, False, "amx_bf16", "fp16"),
    ],
)
def test_auto_is_what_the_machine_does_well(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, bf16: bool, unit: str, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True})
    assert choose_precision("auto") == expected


def test_what_is_asked_for_is_taken_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [choose_precision(wanted) for wanted in ("fp32", "bf16")] == ["fp32", "bf16"]
    with pytest.raises(TrainingRefused, match="fp16 needs a CUDA device"):
        choose_precision("fp16")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_products_are_computed_in_the_precision(precision, dtype: torch.dtype) -> None:
    ones = torch.ones(2, 2)
    with autocast(precision, torch.device("cpu")):
        assert (ones @ ones).dtype is dtype
    assert (ones @ ones).dtype is torch.float32
