import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from service.backends.torchscript import TorchScriptModel  # noqa: E402
from service.errors import InvalidBundle, OutOfMemory  # noqa: E402


class Greedy(torch.nn.Module):
    """Asks for a tebibyte for each sample."""

    def forward(
        self, waveforms: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.empty([waveforms.shape[1], 1 << 40], dtype=torch.uint8), lengths


@pytest.fixture
def path(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Greedy()).save(str(tmp_path / "model.ts"))
    return tmp_path / "model.ts"


def test_too_little_memory_is_told_apart(path):
    model = TorchScriptModel(path, device="cpu", threads=None)
    with pytest.raises(OutOfMemory, match=r"can't allocate memory|not enough memory"):
        model.infer(np.zeros((1, 2000), np.float32), np.array([2000]))


def test_an_absent_device_is_said_so(path):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(InvalidBundle, match=r"cannot run models on cuda"):
        TorchScriptModel(path, device="cuda", threads=None)
