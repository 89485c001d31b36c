"""What the packaged bundle's words promise, on clips joined with known gaps and on other sounds.

Limits hold for any model worth shipping; `tests/benchmarks` measures how well they are kept.
"""

from itertools import chain

import numpy as np
import pytest
from audio_files import wav
from recordings import cer, recordings

from service.audio import SAMPLE_RATE_HZ
from service.ctc import Word
from tests.benchmarks.joining import ROOM_DB, join, onset_s
from tests.benchmarks.sounds import at_level, noise, tones
from tests.benchmarks.words import auroc, faults, match

SYNTHETIC = [recording for recording in recordings() if not recording.is_human]
WAVEFORMS = [recording.waveform() for recording in SYNTHETIC]
SAID = [recording.text.split() for recording in SYNTHETIC]
NOISE_DB = -24.0  # hard to understand, so that some words are wrong
NEAR_S = 0.3


@pytest.fixture(scope="module", params=["greedy", "beam"])
def hear(server, request):
    """Transcribes a waveform with one of the decodings."""

    def words(waveform):
        files, fields = {"file": wav(waveform)}, {"decoding": request.param}
        answer = server.client.post("/transcribe", files=files, data=fields)
        assert answer.status_code == 200, answer.text
        return [Word(**word) for word in answer.json()["words"]]

    return words


def test_words_begin_where_they_are_said(hear):
    joined = join(WAVEFORMS, (0.3, 2.0), room_db=ROOM_DB)
    heard = hear(joined.waveform)
    assert faults(heard, len(joined.waveform) / SAMPLE_RATE_HZ) == []
    truth_s, place = {}, 0
    for start_s, waveform, said in zip(joined.starts_s, WAVEFORMS, SAID, strict=True):
        truth_s[place] = start_s + onset_s(waveform)
        place += len(said)
    pairs = match([*chain(*SAID)], [word.word for word in heard]).pairs
    errors_s = [abs(heard[at].start_s - truth_s[of]) for of, at in pairs if of in truth_s]
    assert len(errors_s) >= len(WAVEFORMS) / 2
    assert np.median(errors_s) <= 0.1
    assert max(errors_s) <= 0.25


def test_confidence_tells_right_words_from_wrong_ones(hear):
    confidences, is_right = [], []
    for level_db in (-90.0, NOISE_DB):
        for number, (waveform, said) in enumerate(zip(WAVEFORMS, SAID, strict=True)):
            heard = hear(waveform + noise("pink", waveform.size, level_db, seed=number))
            right = {at for _, at in match(said, [word.word for word in heard]).pairs}
            confidences += [word.confidence for word in heard]
            is_right += [at in right for at in range(len(heard))]
    assert 0 < sum(is_right) < len(is_right)
    assert auroc(confidences, is_right) > 0.7


def test_long_silence_between_clips_has_no_words(hear):
    joined = join(WAVEFORMS[:2], (20.0, 30.0), room_db=ROOM_DB)
    heard = hear(joined.waveform)
    for start_s, waveform, said in zip(joined.starts_s, WAVEFORMS, SAID, strict=False):
        end_s = start_s + len(waveform) / SAMPLE_RATE_HZ
        mine = [word for word in heard if start_s - NEAR_S < word.start_s < end_s + NEAR_S]
        assert all(word.end_s < end_s + NEAR_S for word in mine)
        assert cer(" ".join(said), " ".join(word.word for word in mine)) < 0.3
        heard = [word for word in heard if word not in mine]
    assert heard == []


def test_loud_noise_and_tones_have_no_words(hear):
    sounds = tones(4 * SAMPLE_RATE_HZ)
    sounds |= {colour: noise(colour, 4 * SAMPLE_RATE_HZ, -20) for colour in ("white", "brown")}
    heard = {name: hear(at_level(waveform, -20)) for name, waveform in sounds.items()}
    assert heard == {name: [] for name in heard}


def test_quiet_speech_loses_no_words(hear):
    def deletions(gain_db):
        found = [
            match(said, [word.word for word in hear(waveform * 10 ** (gain_db / 20))])
            for waveform, said in zip(WAVEFORMS, SAID, strict=True)
        ]
        return sum(one.deletions for one in found)

    assert deletions(-20) <= deletions(0) + 1
