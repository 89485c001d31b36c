import gzip
import json

import av
import numpy as np
import pytest
import soundfile

from model_export.corpora import asterisk

TRANSCRIPTS = """; a comment
hello-world: Hello, world. How are you?
digits/7: 7
silence/1: (silence)
vm-missing: This was not recorded.
"""


def write_g722(path, waveform):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=asterisk.SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[None], format="s16", layout="mono")
        frame.sample_rate = asterisk.SAMPLE_RATE_HZ
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.fixture(params=["en", "es"])
def language(request):
    return request.param


@pytest.fixture
def packages(tmp_path, language):
    transcripts = tmp_path / "packages" / asterisk.PROMPTS[language].transcripts
    transcripts.parent.mkdir(parents=True)
    transcripts.write_bytes(gzip.compress(TRANSCRIPTS.encode()))
    tone = (8000 * np.sin(np.arange(2 * asterisk.SAMPLE_RATE_HZ) * 0.2)).astype(np.int16)
    for name in ("hello-world", "digits/7", "silence/1"):
        sounds = tmp_path / "packages" / asterisk.PROMPTS[language].sounds
        write_g722(sounds / f"{name}.g722", tone)
    return tmp_path / "packages"


def test_prompts_whose_text_is_what_is_said_become_wav_files(packages, tmp_path, language):
    asterisk.main([str(packages), str(tmp_path / "out"), "--language", language])
    (row,) = map(json.loads, (tmp_path / "out" / "manifest.jsonl").read_text().splitlines())
    assert row["text"] == "Hello, world. How are you?"
    assert row["seconds"] == pytest.approx(2.0, abs=0.01)
    waveform, rate_hz = soundfile.read(tmp_path / "out" / row["audio"])
    assert rate_hz == asterisk.SAMPLE_RATE_HZ
    assert 0.1 < np.abs(waveform).max() < 0.5
