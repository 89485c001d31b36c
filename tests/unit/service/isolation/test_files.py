import errno
import io
import os
import signal
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np
import pytest
from audio_files import encode, wav

from service.audio import AudioLimits, decode_audio
from service.errors import Overloaded, ServiceError, UnsupportedAudio
from service.isolation.children import Children, Death
from service.isolation.files import decode_in_child
from service.isolation.wire import Bounds

LIMITS = AudioLimits()
LONG_S = 100
TONE = (0.3 * np.sin(np.arange(16_000) / 5)).astype(np.float32)


@pytest.fixture(scope="module")
def long():
    """Takes a while to decode, and is kept in memory by nobody."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, LONG_S * 48_000).astype(np.float32)
    return wav(noise, 48_000)


@pytest.fixture
def deaths():
    return Counter()


@pytest.fixture
def started(deaths):
    opened = []

    def start(timeout_s=60.0, memory_bytes=512 * 1024**2):
        children = Children(Bounds(timeout_s, memory_bytes), lambda death: deaths.update([death]))
        opened.append(children)
        return children

    yield start
    for children in opened:
        children.close()


def decode(children, source, limits=LIMITS, watch=lambda seconds: None):
    return decode_in_child(children, source, limits, watch)


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_all(children, number):
    """Signal every process that waits or decodes."""
    for pid in children_of(children._nursery.pid):
        os.kill(pid, number)


def test_who_finds_no_process_is_told_so_and_counted(monkeypatch):
    deaths, refused = [], []
    told = Children(Bounds(60, 2**29), deaths.append, lambda: refused.append("once"))
    with closing(told) as few:
        monkeypatch.setattr(few, "_ask_to_fork", lambda theirs: -errno.EAGAIN)
        with pytest.raises(Overloaded, match="no process for decoding can be started: Resource"):
            decode(few, wav(TONE, 16_000))
        monkeypatch.undo()
        assert len(decode(few, wav(TONE, 16_000))) == len(TONE)
    assert refused == ["once"]
    assert deaths == []


@pytest.mark.parametrize(
    ("container", "codec"),
    [("wav", "pcm_s16le"), ("flac", "flac"), ("mp3", "libmp3lame"), ("webm", "libopus")],
)
def test_samples_are_those_of_a_thread(children, container, codec):
    content = encode(TONE, container, codec, rate_hz=48_000)
    np.testing.assert_array_equal(decode(children, content), decode_audio(content))


def test_sources_may_be_paths_and_files(children, tmp_path):
    content = encode(TONE, "flac", "flac", rate_hz=48_000)
    (path := tmp_path / "tone.flac").write_bytes(content)
    expected = decode_audio(content)
    with path.open("rb") as file, SpooledTemporaryFile(max_size=2**20) as spooled:
        spooled.write(content)
        for source in (path, str(path), file, io.BytesIO(content), spooled):
            np.testing.assert_array_equal(decode(children, source), expected)


def test_a_large_file_in_memory_and_one_on_disk_give_the_same(children, long):
    expected = decode_audio(long)
    with SpooledTemporaryFile(max_size=2**20) as spooled:
        spooled.write(long)
        for source in (long, spooled):
            np.testing.assert_array_equal(decode(children, source), expected)


@pytest.mark.parametrize(
    ("content", "limits"),
    [
        (b"", LIMITS),
        (b"no audio", LIMITS),
        (wav(TONE)[:-1000], LIMITS),
        (wav(TONE), AudioLimits(max_duration_s=0.5)),
        (wav(TONE[:10]), AudioLimits(min_samples=400)),
        (wav(np.full(100, np.nan), subtype="FLOAT"), LIMITS),
    ],
    ids=["empty", "garbage", "truncated", "long", "short", "nan"],
)
def test_errors_are_those_of_a_thread(children, content, limits):
    with pytest.raises(ServiceError) as expected:
        decode_audio(content, limits)
    with pytest.raises(ServiceError) as told:
        decode(children, content, limits)
    facts = [(type(one), one.message, one.found, one.limit) for one in (told.value, expected.value)]
    assert facts[0] == facts[1]


def test_decoding_is_watched_and_can_be_stopped(children, long):
    seconds = []
    decode(children, long, watch=seconds.append)
    assert seconds[0] == seconds[-1] == pytest.approx(LONG_S)  # promised

    def stop(_):
        raise KeyError

    with pytest.raises(KeyError):
        decode(children, long, watch=stop)


def test_a_child_takes_one_file_after_the_other(started):
    children = started()
    for _ in range(5):
        decode(children, wav(TONE))
    assert len(children_of(children._nursery.pid)) == 1
    with pytest.raises(UnsupportedAudio):
        decode(children, b"no audio")
    assert children_of(children._nursery.pid) == []


def test_a_child_that_was_killed_is_replaced(started, deaths):
    children = started()
    decode(children, wav(TONE))
    kill_all(children, signal.SIGKILL)
    np.testing.assert_array_equal(decode(children, wav(TONE)), decode_audio(wav(TONE)))
    assert deaths == {Death.CRASH: 1}


def test_a_file_that_breaks_two_children_is_refused_and_the_next_is_decoded(started, deaths, long):
    children = started()
    with pytest.raises(UnsupportedAudio) as told:
        decode(children, long, watch=lambda _: kill_all(children, signal.SIGSEGV))
    assert told.value.found == "SIGSEGV"
    assert deaths == {Death.CRASH: 2}
    assert decode(children, wav(TONE)).size


def test_a_file_that_takes_too_long_is_refused(started, deaths, long):
    children = started(timeout_s=0.01)
    with pytest.raises(UnsupportedAudio, match=r"within 0\.01 s"):
        decode(children, long)
    assert deaths == {Death.TIMEOUT: 1}


def test_a_file_that_takes_too_much_memory_is_refused(started, deaths):
    children = started(memory_bytes=16 * 1024**2)  # less than it has by now
    with pytest.raises(UnsupportedAudio, match="takes more than 16777216 bytes"):
        decode(children, encode(TONE, "flac", "flac"))
    assert not deaths


def test_a_nursery_that_was_killed_is_replaced(started):
    children = started()
    decode(children, wav(TONE))
    kill_all(children, signal.SIGKILL)
    os.kill(children._nursery.pid, signal.SIGKILL)
    assert decode(children, wav(TONE)).size == TONE.size


def test_too_long_is_told_whatever_a_child_says(children, monkeypatch):
    """Samples beyond the limit end a child, even if it found nothing wrong with them."""
    monkeypatch.setattr("service.isolation.files.SLACK_S", -0.9)
    with pytest.raises(UnsupportedAudio, match="breaks on it"):
        decode(children, wav(TONE), AudioLimits(max_duration_s=1.5))
