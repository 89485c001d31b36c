from pathlib import Path

import numpy as np
import pytest
import soundfile

from model_export.errors import ManifestInvalid
from model_export.recordings import load_waveform


def test_any_rate_and_channels_become_16_khz_mono(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.full((8000, 2), [0.5, 0.25]), 8000, subtype="FLOAT")
    waveform = load_waveform(path)
    assert waveform.dtype == np.float32
    assert waveform.shape == (16000,)
    np.testing.assert_allclose(waveform[4000:12000], 0.375, atol=1e-3)


@pytest.mark.parametrize("content", [None, b"", b"not audio at all"])
def test_what_cannot_be_decoded_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clip.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestInvalid, match=r"clip\.wav cannot be decoded"):
        load_waveform(path)
