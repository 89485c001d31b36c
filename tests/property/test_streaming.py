"""Audio that arrives in any pieces, from any number of speakers, gives what whole utterances give.

Speakers come at different times and share batches. Each is fed whenever a chunk with its lookahead
is there, or the utterance has ended; the state is all that is kept in between.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import MakeBase
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.chunked import ChunkedModel, Step, initial_state, open_graph
from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.export.exporters import save_graph
from model_export.export.streaming_graph import form_of, streaming_graph
from model_export.mixing.chunking import in_chunks, wsm_blocks
from model_export.mixing.streaming import StreamingModel
from model_export.mixing.surgery import add_layers, replace_attention
from service.streaming_form import Streaming

FRAME_SAMPLES = 320
LABELS = 5
TOLERANCE = 1e-4
CHUNKS = (1, 4, 16)
LONGEST_SAMPLES = 12_000  # more than two of the longest chunks

torch.set_num_threads(1)


@dataclass(frozen=True)
class Streamable:
    """A model, its chunked form, and the two that run it."""

    model: CtcModel
    form: Streaming
    eager: Step
    exported: Step


@dataclass
class Speaker:
    """An utterance on its way.

    Attributes:
        pieces: `[samples]` each, in which it arrives.
        starts_at: tick of the first.
        buffer: what arrived and is still needed, the left context first.
        state: one row of each state.
        logits: what was recognised.
    """

    pieces: list[np.ndarray]
    starts_at: int
    buffer: np.ndarray
    state: list[np.ndarray]
    logits: list[np.ndarray] = field(default_factory=list)

    def hear(self, tick: int) -> None:
        if tick >= self.starts_at and self.pieces:
            self.buffer = np.concatenate([self.buffer, self.pieces.pop(0)])

    def is_ready(self, form: Streaming, row_samples: int) -> bool:
        ended = not self.pieces and len(self.buffer) > form.left_context_samples
        return len(self.buffer) >= row_samples or ended


@pytest.fixture(scope="module")
def streamable(
    make_base: MakeBase, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int, str], Streamable]:
    """Makes models that stream in chunks of so many frames."""
    base, folder = make_base("whisper"), tmp_path_factory.mktemp("graphs")

    @cache
    def make(chunk_frames: int, window_weights: str) -> Streamable:
        return _streamable(base, folder, chunk_frames, window_weights)

    return make


def _streamable(base: Path, folder: Path, chunk_frames: int, window_weights: Any) -> Streamable:
    torch.manual_seed(0)
    model = build_model(base, LABELS, streaming=True)
    add_layers(model, 1)
    replace_attention(
        model, layers=(0, 1, 2), mixer="wsm", window_frames=3, window_weights=window_weights
    )
    model.requires_grad_(False)
    for block in wsm_blocks(model):
        if block.window_weights is not None:
            block.window_weights.normal_()
    stream = StreamingModel(model, chunk_frames)
    form, path = form_of(stream, ["float32"]), folder / f"{chunk_frames}-{window_weights}.onnx"
    save_graph(streaming_graph(stream), path)

    def eager(*arrays: np.ndarray) -> list[np.ndarray]:
        return [one.numpy() for one in stream(*map(torch.from_numpy, arrays))]

    return Streamable(model, form, eager, open_graph(path, form))


def listen(speakers: list[Speaker], step: Step, form: Streaming) -> Iterator[int]:
    """Let time pass until all is heard; gives the sizes of batches."""
    hop = form.chunk_frames * FRAME_SAMPLES
    row_samples = form.left_context_samples + hop + form.lookahead_samples
    tick = 0
    while any(len(one.buffer) > form.left_context_samples or one.pieces for one in speakers):
        for speaker in speakers:
            speaker.hear(tick)
        tick += 1
        ready = [one for one in speakers if one.is_ready(form, row_samples)]
        if not ready:
            continue
        heard = [one.buffer[:row_samples] for one in ready]
        rows = np.stack([np.pad(row, (0, row_samples - len(row))) for row in heard])
        lengths = np.array([len(row) for row in heard])
        states = [np.stack(column) for column in zip(*(one.state for one in ready), strict=True)]
        logits, frame_lengths, *states = step(rows, lengths, *states)
        for index, speaker in enumerate(ready):
            speaker.logits.append(logits[index, : frame_lengths[index]])
            speaker.state = [state[index] for state in states]
            speaker.buffer = speaker.buffer[hop:]
        yield len(ready)


def speaker_of(waveform: np.ndarray, cuts: list[int], starts_at: int, form: Streaming) -> Speaker:
    pieces = np.split(waveform, sorted(cut % len(waveform) for cut in cuts))
    silence = np.zeros(form.left_context_samples, dtype=np.float32)
    state = [rows[0] for rows in initial_state(form, 1)]
    return Speaker(pieces, starts_at, silence, state)


utterances = st.lists(
    st.tuples(
        st.integers(1, LONGEST_SAMPLES),
        st.lists(st.integers(0, LONGEST_SAMPLES), max_size=12),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("runtime", ["eager", "exported"])
@pytest.mark.parametrize("window_weights", ["mean", "learned"])
@pytest.mark.parametrize("chunk_frames", CHUNKS)
@settings(deadline=None, max_examples=8)
@given(spoken=utterances, seed=st.integers(0, 99))
def test_any_split_gives_the_logits_of_the_whole_utterance(
    streamable, chunk_frames: int, window_weights: str, runtime: str, spoken, seed: int
) -> None:
    made = streamable(chunk_frames, window_weights)
    generator = np.random.default_rng(seed)
    waveforms = [0.1 * generator.standard_normal(n).astype(np.float32) for n, _, _ in spoken]
    speakers = [
        speaker_of(waveform, cuts, starts_at, made.form)
        for waveform, (_, cuts, starts_at) in zip(waveforms, spoken, strict=True)
    ]
    state_bytes = {sum(one.nbytes for one in speaker.state) for speaker in speakers}
    list(listen(speakers, getattr(made, runtime), made.form))

    for waveform, speaker in zip(waveforms, speakers, strict=True):
        with in_chunks(made.model, chunk_frames):
            rows = torch.from_numpy(waveform)[None]
            expected, _ = made.model(rows, torch.tensor([len(waveform)]))
        found = np.concatenate(speaker.logits)
        assert found.shape == expected.shape[1:]
        limit = max(TOLERANCE, 5e-5 * float(expected.abs().max()))
        np.testing.assert_allclose(found, expected[0].numpy(), atol=limit, rtol=0)
        state_bytes.add(sum(one.nbytes for one in speaker.state))
    assert state_bytes == {made.form.state_bytes}


def test_speakers_do_share_batches(streamable) -> None:
    made = streamable(4, "mean")
    waveform = np.zeros(9000, dtype=np.float32)
    speakers = [speaker_of(waveform, [3000, 6000], start, made.form) for start in (0, 1, 2)]
    assert max(listen(speakers, made.eager, made.form)) == len(speakers)


@pytest.mark.parametrize("runtime", ["eager", "exported"])
def test_a_row_without_audio_keeps_its_state(streamable, runtime: str) -> None:
    made = streamable(4, "learned")
    step = getattr(made, runtime)
    form = made.form
    samples = form.left_context_samples + 4 * FRAME_SAMPLES + form.lookahead_samples
    rows = 0.1 * np.random.default_rng(0).standard_normal((2, samples)).astype(np.float32)
    full = np.array([samples, samples])
    _, _, *before = step(rows, full, *initial_state(form, 2))
    _, counts, *after = step(rows, np.array([samples, 0]), *before)
    assert counts.tolist() == [4, 0]
    for old, new in zip(before, after, strict=True):
        assert not np.array_equal(new[0], old[0])
        np.testing.assert_array_equal(new[1], old[1])


def test_the_graph_has_the_inputs_and_outputs_of_the_contract(streamable) -> None:
    made = streamable(16, "learned")
    assert made.form.model_dump() == {
        "variants": ({"file": "streaming.onnx", "precision": "float32"},),
        "chunk_frames": 16,
        "left_context_samples": 520,
        "lookahead_samples": 200,
        "states": (
            {"name": "heard", "shape": (), "dtype": "int64"},
            {"name": "sums", "shape": (3, 32), "dtype": "float32"},
            {"name": "recent", "shape": (3, 3, 32), "dtype": "float32"},
        ),
    }
    assert made.form.state_bytes == 8 + 3 * 32 * 4 + 3 * 3 * 32 * 4


def test_whole_utterances_can_be_fed_in_batches(streamable, noise_and_tones) -> None:
    made = streamable(4, "learned")
    chunked = ChunkedModel(made.exported, made.form, FRAME_SAMPLES)
    clips = [noise_and_tones(samples, samples) for samples in (20_000, 7000, 1)]
    lengths = np.array([len(clip) for clip in clips])
    batch = np.stack([np.pad(clip, (0, 20_000 - len(clip)), constant_values=9.0) for clip in clips])
    logits, frame_lengths = chunked.infer(batch.astype(np.float32), lengths)
    assert frame_lengths.tolist() == [63, 22, 1]
    for row, clip, frames in zip(logits, clips, frame_lengths, strict=True):
        alone, _ = chunked.infer(clip[None], np.array([len(clip)]))
        np.testing.assert_allclose(row[:frames], alone[0], atol=TOLERANCE)
