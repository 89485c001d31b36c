import numpy as np
from tiny_bundle import HOP, TOKENS

from service.bundle import Vocabulary
from service.ctc import Word
from service.streaming.chunk_loop import ChunkResult
from service.streaming.incremental import IncrementalRecogniser
from service.streaming.speakers import Speaker, Speakers
from service.streaming.utterance_reader import Hop
from service.streaming_form import StateTensor, Streaming, StreamingVariant

LEFT, CHUNK_FRAMES, LOOKAHEAD = 100, 4, 50
CHUNK = CHUNK_FRAMES * HOP
GRAPH = Streaming(
    variants=(StreamingVariant(file="x", precision="float32"),),
    chunk_frames=CHUNK_FRAMES,
    left_context_samples=LEFT,
    lookahead_samples=LOOKAHEAD,
    states=(StateTensor(name="count", shape=(1,), dtype="int64"),),
)


class Recorder:
    """A chunk loop that keeps what it is given, and counts in the state."""

    def __init__(self):
        self.rows = []

    async def submit(self, waveform, length, state):
        self.rows.append((waveform, length, int(state["count"][0])))
        frames = min(CHUNK_FRAMES, -(-(length - LEFT) // HOP))
        logits = np.zeros((frames, len(TOKENS)), np.float32)
        return ChunkResult(logits, {"count": state["count"] + 1})


class FrameReader:
    """Reads nothing, but keeps how much it was to read."""

    vocabulary = Vocabulary(tokens=TOKENS, blank_id=0, word_delimiter="|")
    hop = Hop(HOP, 16_000)

    def __init__(self, growing=None):
        self.frames = []
        self._growing = growing

    def begin(self):
        return self._growing

    async def more_words(self, growing, logits):
        return growing.add(logits)

    async def words(self, logits, power):
        self.frames.append((len(logits), len(power)))
        return []


class Searched:
    """Says a settled word, and one more after each chunk; keeps how many frames it was given."""

    def __init__(self):
        self.settled = [Word("one", 0.0, 0.01, 1.0)]
        self.frames = []

    def add(self, logits):
        self.frames.append(len(logits))
        return (*self.settled, Word("two", 0.01, 0.02, 1.0))


def made(speech=None, growing=None):
    chunks, reader, speech = Recorder(), FrameReader(growing), [] if speech is None else speech
    speaker = Speaker(Speakers(speech.append))
    return chunks, reader, IncrementalRecogniser(GRAPH, chunks, reader, speaker)


async def test_rows_hold_context_chunk_and_lookahead_and_an_utterance_starts_from_zeros():
    chunks, reader, recogniser = made()
    audio = np.arange(1, 2 * CHUNK + LOOKAHEAD + 1, dtype=np.float32)
    await recogniser.feed(audio, wants_partial=True)
    (first, first_length, first_state), (second, second_length, second_state) = chunks.rows
    assert first.size == second.size == first_length == second_length == LEFT + CHUNK + LOOKAHEAD
    np.testing.assert_array_equal(first[:LEFT], np.zeros(LEFT))
    np.testing.assert_array_equal(first[LEFT:], audio[: CHUNK + LOOKAHEAD])
    np.testing.assert_array_equal(second, audio[CHUNK - LEFT : 2 * CHUNK + LOOKAHEAD])
    assert (first_state, second_state) == (0, 1)
    await recogniser.finish()
    await recogniser.feed(audio, wants_partial=False)
    assert [count for _, _, count in chunks.rows] == [0, 1, 2, 0, 1]
    assert not chunks.rows[3][0][:LEFT].any()
    assert reader.frames == [(9, 9)]


async def test_the_last_chunk_is_short_and_padded_with_zeros():
    chunks, reader, recogniser = made()
    await recogniser.feed(np.ones(CHUNK + LOOKAHEAD + 10, np.float32), wants_partial=True)
    await recogniser.finish()
    row, length, _ = chunks.rows[-1]
    assert (row.size, length) == (LEFT + CHUNK + LOOKAHEAD, LEFT + LOOKAHEAD + 10)
    assert row[:length].all()
    assert not row[length:].any()
    assert reader.frames == [(5, 5)]


async def test_speech_begins_once_and_ends_with_the_utterance_or_the_stream():
    speech = []
    _, _, recogniser = made(speech)
    for _ in range(3):
        await recogniser.feed(np.ones(100, np.float32), wants_partial=True)
    assert speech == [True]
    await recogniser.finish()
    assert speech == [True, False]
    recogniser.close()
    assert speech == [True, False]
    await recogniser.feed(np.ones(100, np.float32), wants_partial=True)
    recogniser.close()
    assert speech == [True, False] * 2


async def test_a_search_shows_its_words_and_then_the_letters_that_follow():
    growing = Searched()
    chunks, _, recogniser = made(growing=growing)
    quiet = chunks.submit

    async def letters(waveform, length, state):
        result = await quiet(waveform, length, state)
        result.logits[-1, TOKENS.index("a")] = 9.0
        return result

    chunks.submit = letters
    block = np.ones(CHUNK + LOOKAHEAD, np.float32)
    assert await recogniser.feed(block, wants_partial=False) is None
    assert growing.frames == []
    hypothesis = await recogniser.feed(block, wants_partial=True)
    assert growing.frames == [2 * CHUNK_FRAMES]
    assert hypothesis.text == "one two aa"
    assert hypothesis.text[: hypothesis.stable_chars] == "one "


async def test_letters_that_a_search_has_made_words_of_are_not_shown_again():
    growing = Searched()
    _, _, recogniser = made(growing=growing)
    hypothesis = await recogniser.feed(np.ones(CHUNK + LOOKAHEAD, np.float32), wants_partial=True)
    assert hypothesis.text == "one two"
