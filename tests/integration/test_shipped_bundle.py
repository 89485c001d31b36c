"""The bundle that comes with the package, behind a real server, on real recordings."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import soxr
from audio_files import encode, wav
from patience import PATIENCE_S
from recordings import ASSETS, SPEECH, cer, joined, recordings

from service.audio import SAMPLE_RATE_HZ, decode_audio

RECORDINGS = recordings()
LONG = joined([recording.waveform() for recording in RECORDINGS])
LONG_REFERENCE = " ".join(recording.text for recording in RECORDINGS)
CLIP = SPEECH / "librivox-0870.flac"
SILENCE_S = (2, 5, 10, 30, 60)


@pytest.fixture(scope="module")
def bodies(server):
    """The answer for each recording, by its name."""
    answers = {r.path.name: server.transcribe(r.path.read_bytes()) for r in RECORDINGS}
    return answers | {"long": server.transcribe(wav(LONG))}


@pytest.fixture(scope="module")
def clip_text(server):
    return server.transcribe(wav(decode_audio(CLIP)))["text"]


def test_a_person_is_understood(bodies):
    human = [recording for recording in RECORDINGS if recording.is_human]
    assert len(human) == 5
    hypotheses = [bodies[recording.path.name]["text"] for recording in human]
    assert cer([recording.text for recording in human], hypotheses) < 0.3


def test_synthetic_voices_are_understood(bodies):
    synthetic = [recording for recording in RECORDINGS if not recording.is_human]
    hypotheses = [bodies[recording.path.name]["text"] for recording in synthetic]
    assert cer([recording.text for recording in synthetic], hypotheses) < 0.155


def test_a_long_recording_says_what_its_parts_say(bodies):
    assert len(LONG) > 60 * SAMPLE_RATE_HZ
    parts = " ".join(bodies[recording.path.name]["text"] for recording in RECORDINGS)
    whole = bodies["long"]["text"]
    assert cer(LONG_REFERENCE, whole) < cer(LONG_REFERENCE, parts) + 0.03
    assert cer(parts, whole) < 0.1


def test_words_lie_in_order_within_the_recording(bodies):
    for name, body in bodies.items():
        words = body["words"]
        assert " ".join(word["word"] for word in words) == body["text"], name
        assert all(0 <= word["start_s"] < word["end_s"] for word in words), name
        assert all(word["end_s"] <= body["duration_s"] for word in words), name
        assert all(left["end_s"] <= right["start_s"] for left, right in pairwise(words)), name
        assert all(0 <= word["confidence"] <= 1 for word in words), name
    assert bodies["long"]["duration_s"] == pytest.approx(len(LONG) / SAMPLE_RATE_HZ)


def test_words_of_a_long_recording_lie_where_they_are_said(bodies):
    first = RECORDINGS[0].path.name
    last_s = len(LONG) / SAMPLE_RATE_HZ - bodies[RECORDINGS[-1].path.name]["duration_s"]
    words = bodies["long"]["words"]
    assert words[0]["start_s"] == pytest.approx(bodies[first]["words"][0]["start_s"], abs=0.3)
    said_last = [word["word"] for word in words if word["start_s"] > last_s - 0.5]
    assert cer(RECORDINGS[-1].text, " ".join(said_last)) < 0.3


def samples_in(seconds):
    return int(seconds * SAMPLE_RATE_HZ)


def resampled(rate_hz):
    return soxr.resample(decode_audio(CLIP), SAMPLE_RATE_HZ, rate_hz)


@pytest.mark.parametrize(
    ("make", "tolerance"),
    [
        (lambda waveform, _: wav(waveform, container="FLAC"), 0),
        (lambda waveform, _: wav(np.stack([waveform, waveform], axis=1)), 0),
        (lambda waveform, _: wav(waveform, subtype="FLOAT"), 0),
        (lambda *_: wav(resampled(8_000), 8_000), 0.2),
        (lambda *_: wav(resampled(44_100), 44_100), 0.05),
        (lambda *_: wav(resampled(48_000), 48_000), 0.05),
        (lambda *_: encode(resampled(48_000), "ogg", "libopus", rate_hz=48_000), 0.1),
        (lambda *_: encode(resampled(48_000), "webm", "libopus", rate_hz=48_000), 0.1),
        (lambda *_: encode(resampled(44_100), "mp3", "libmp3lame", rate_hz=44_100), 0.1),
        (
            lambda _, path: encode(
                resampled(44_100), "mp4", "aac", rate_hz=44_100, layout="stereo", path=path
            ),
            0.1,
        ),
    ],
    ids=["flac", "stereo", "float", "8k", "44k", "48k", "ogg-opus", "webm-opus", "mp3", "mp4-aac"],
)
def test_the_kind_of_file_does_not_matter(server, clip_text, tmp_path, make, tolerance):
    content = make(decode_audio(CLIP), tmp_path / "clip")
    distance = cer(clip_text, server.transcribe(content)["text"])
    assert distance <= tolerance


@pytest.mark.parametrize("name", ["chromium.webm", "chromium.mp4"])
def test_what_a_browser_recorded_is_understood(server, bodies, name):
    content = (ASSETS / "browser" / name).read_bytes()
    original = next(r for r in RECORDINGS if r.path.name == "librivox-0890.flac")
    body = server.transcribe(content, name)
    assert body["duration_s"] == pytest.approx(5.7, abs=0.2)
    assert cer(bodies[original.path.name]["text"], body["text"]) < 0.25
    assert cer(original.text, body["text"]) < 0.35


def test_digital_silence_has_no_words(server):
    texts = {s: server.transcribe(wav(np.zeros(samples_in(s))))["text"] for s in SILENCE_S}
    assert texts == dict.fromkeys(SILENCE_S, "")


@pytest.mark.parametrize("level_db", [-80, -60, -40])
def test_quiet_noise_has_no_words(server, level_db):
    noise = 10 ** (level_db / 20) * np.random.default_rng(0).standard_normal(samples_in(30))
    texts = {s: server.transcribe(wav(noise[: samples_in(s)]))["text"] for s in (0.3, 5, 30)}
    assert texts == dict.fromkeys(texts, "")


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1])
def test_short_silence_has_no_words(server, seconds):
    body = server.transcribe(wav(np.zeros(samples_in(seconds))))
    assert (body["text"], body["words"]) == ("", [])


def test_the_command_says_what_the_server_says(bodies):
    names = [recording.path.name for recording in RECORDINGS]
    command = [sys.executable, "-m", "service", "transcribe", *names]
    done = subprocess.run(
        command, cwd=SPEECH, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout.splitlines() == [f"{name}: {bodies[name]['text']}" for name in names]
