"""What tests of several packages share. Nothing here imports torch: the service's need none."""

import gc
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from checkpoints import MakeBase, base_maker

from service.isolation.children import Children
from service.isolation.wire import Bounds

# A shell lets what it starts in the background ignore Ctrl-C, and so would what the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at the millions of objects that imported modules are."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, bool | None, bool | None]:
    """Leave torch no more threads than before the test, which may have loaded a TorchScript.

    Threads spin while they wait for each other: tiny models would take ten times as long.
    """
    before = _torch_threads()
    outcome = yield
    if 0 < before < _torch_threads():
        sys.modules["torch"].set_num_threads(before)
    return outcome


def _torch_threads() -> int:
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else 0


@pytest.fixture(scope="session", autouse=True)
def _decoding_in_threads() -> Iterator[None]:
    """What runs within the tests shares their process; servers of their own decode in others."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("STT_DECODE_ISOLATION", "thread")
        yield


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    """Processes to decode in."""
    started = Children(Bounds(timeout_s=60, memory_bytes=512 * 1024**2), lambda death: None)
    yield started
    started.close()


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Jobs of the tests, and of the servers they start, lie elsewhere than the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def make_base(tmp_path_factory: pytest.TempPathFactory) -> MakeBase:
    """Makes tiny bases of every family; see `checkpoints`."""
    return base_maker(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="session")
def whisper_base(make_base: MakeBase) -> Path:
    """A whole WhisperModel: 2 encoder layers of width 32."""
    return make_base("whisper")


@pytest.fixture(scope="session")
def make_wav2vec2_base(make_base: MakeBase) -> Callable[..., Path]:
    """Makes Wav2Vec2Models of 3 layers and the usual 7 convolutions; takes changes."""
    usual = {
        "num_hidden_layers": 3,
        "conv_dim": (16,) * 7,
        "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
        "conv_stride": (5, 2, 2, 2, 2, 2, 2),
        "num_feat_extract_layers": 7,
    }
    return lambda **changes: make_base("xls-r", **usual | changes)


@pytest.fixture(scope="session")
def wav2vec2_base(make_wav2vec2_base: Callable[..., Path]) -> Path:
    """The stable, layer-norm variant, as XLS-R and MMS are."""
    return make_wav2vec2_base()


@pytest.fixture(scope="session")
def noise_and_tones() -> Callable[..., npt.NDArray[np.float32]]:
    """Makes waveforms `[samples]` of two tones that come and go in noise."""

    def make(samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
        generator = np.random.default_rng(seed)
        seconds = np.arange(samples) / 16000
        low, high = generator.uniform(100, 400), generator.uniform(800, 3000)
        tones = 0.3 * np.sin(2 * np.pi * low * seconds) * np.sin(3 * seconds + seed)
        tones += 0.1 * np.sin(2 * np.pi * high * seconds)
        waveform = tones + 0.02 * generator.standard_normal(samples)
        return waveform.astype(np.float32)

    return make
