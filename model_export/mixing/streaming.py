"""A model as a stream runs it: one chunk and state in, the chunk's logits and new state out.

Exactly the chunked form of `CtcModel`, fed piece by piece, in chunks of any length: an utterance
that is one chunk gets what the unchunked form gives it. What must be remembered of the past is
the sum of s(x) over all frames heard and its last w values in each layer; of the stem, nothing but
samples:

    heard    frames heard so far
    sums     sum of s(x) over them, of each layer
    recent   s(x) of the last w of them, of each layer, zeros before the first

Shapes: B batch, C frames of a chunk, L layers, w half window, D width, V vocabulary.
"""

import copy

import torch
from torch import Tensor, nn

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.layer_calls import MixerInPlace
from model_export.encoders.whisper_streaming import StreamingWhisperStem
from model_export.front_ends.log_mel import valid_frames
from model_export.mixing.chunking import obstacles, refuse_if, wsm_blocks
from model_export.mixing.means import mean_in_reach
from model_export.mixing.summary_mixing import WindowedSummaryMixing
from service.streaming_form import StateTensor

DTYPES = {"float32": torch.float32, "int64": torch.int64}
State = tuple[Tensor, Tensor, Tensor]


class StreamingModel(nn.Module):
    """A model that is given one chunk at a time; it shares the weights of the one it is made of.

    Args:
        model: every layer of it mixes by WSM, all with the same window.
        chunk_frames: C.

    Attributes:
        hop_samples: of a chunk alone, from one row to the next.
        left_context_samples: that stand before it.
        row_samples: of left context, chunk and lookahead.
        states: what a stream carries, in the order of `forward`.

    Raises:
        StreamingRefused: the model cannot stream.
    """

    def __init__(self, model: CtcModel, chunk_frames: int) -> None:
        super().__init__()
        refuse_if(obstacles(model))
        assert isinstance(model.stem, StreamingWhisperStem)
        facts, blocks = model.front_end, wsm_blocks(model)
        self.chunk_frames = chunk_frames
        self.hop_samples = chunk_frames * facts.samples_per_frame
        self.left_context_samples = facts.left_context_samples
        self.row_samples = facts.left_context_samples + self.hop_samples
        self.row_samples += facts.lookahead_samples or 0
        self.states = _state_tensors(blocks, model.width)
        self._call, self._carried = model.layer_kind.call, _Carried()
        self.stem, self.final_norm, self.head = model.stem, model.final_norm, model.head
        self.layers = nn.ModuleList(
            _with_step(model, index, _Step(block, index, self._carried))
            for index, block in enumerate(blocks)
        )

    def initial_state(self, batch: int) -> State:
        """State of streams that have heard nothing: zeros."""
        device = self.head.weight.device
        heard, sums, recent = (
            torch.zeros(batch, *state.shape, dtype=DTYPES[state.dtype], device=device)
            for state in self.states
        )
        return heard, sums, recent

    def forward(
        self, waveforms: Tensor, lengths: Tensor, heard: Tensor, sums: Tensor, recent: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Recognise a chunk of each stream.

        Args:
            waveforms: `[B, row_samples]`, 16 kHz in [-1, 1]; or more or fewer frames than
                `chunk_frames`, between the same left context and lookahead.
            lengths: `[B]`, valid samples of these; less than all where the utterance ends.
            heard: `[B]`, int64.
            sums: `[B, L, D]`, float32.
            recent: `[B, L, w, D]`, float32.

        Returns:
            logits `[B, C, V]`, frame lengths `[B]`, and the new heard, sums and recent.
        """
        hidden, frame_lengths = self.stem.embed_chunk(waveforms, lengths)
        valid_mask = valid_frames(frame_lengths, hidden.shape[1])
        carried = self._carried
        carried.heard, carried.frame_lengths = heard, frame_lengths
        carried.sums, carried.recent = list(sums.unbind(1)), list(recent.unbind(1))
        for layer in self.layers:
            hidden = self._call(layer, hidden, valid_mask, None)
        logits: Tensor = self.head(self.final_norm(hidden))
        next_sums, next_recent = torch.stack(carried.sums, 1), torch.stack(carried.recent, 1)
        return logits, frame_lengths, heard + frame_lengths, next_sums, next_recent


class _Carried:
    """State on its way through a call; each layer takes its own and leaves what becomes of it."""

    heard: Tensor
    frame_lengths: Tensor
    sums: list[Tensor]
    recent: list[Tensor]


class _Step(nn.Module):
    """WSM over one chunk, in place of WSM over an utterance."""

    def __init__(self, block: WindowedSummaryMixing, index: int, carried: _Carried) -> None:
        super().__init__()
        self.block = block
        self.index = index
        self.carried = carried

    def forward(self, frames: Tensor, valid_mask: Tensor) -> Tensor:
        carried, index, w = self.carried, self.index, self.block.window_frames
        summaries = self.block.summary_branch(frames)
        new = torch.where(valid_mask.unsqueeze(-1), summaries, 0.0).float()
        reach = torch.cat([carried.recent[index], new], dim=1)
        places = torch.arange(w, device=frames.device)
        known_mask = places >= w - carried.heard.unsqueeze(1)
        reach_mask = torch.cat([known_mask, valid_mask], dim=1)
        nearby = mean_in_reach(reach, reach_mask, w, self.block.window_weights)
        sums = carried.sums[index] + new.sum(dim=1)
        count = (carried.heard + carried.frame_lengths).clamp(min=1).unsqueeze(1)
        overall = (sums / count).unsqueeze(1)
        kept = (carried.frame_lengths.unsqueeze(1) + places).unsqueeze(2)
        carried.recent[index] = reach.gather(1, kept.expand(-1, -1, reach.shape[2]))
        carried.sums[index] = sums
        return self.block.combine(frames, nearby.to(frames.dtype), overall.to(frames.dtype))


def _state_tensors(blocks: list[WindowedSummaryMixing], width: int) -> tuple[StateTensor, ...]:
    windows = {block.window_frames for block in blocks}
    assert len(windows) == 1, "surgery gives all layers one window"
    shape = (len(blocks), *windows, width)
    return (
        StateTensor(name="heard", shape=(), dtype="int64"),
        StateTensor(name="sums", shape=(len(blocks), width), dtype="float32"),
        StateTensor(name="recent", shape=shape, dtype="float32"),
    )


def _with_step(model: CtcModel, index: int, step: _Step) -> nn.Module:
    """A layer with the same parts but its mixer."""
    layer = copy.copy(model.layers[index])
    layer._modules = dict(layer._modules)
    place = MixerInPlace(step, model.layer_kind.attention_outputs)
    setattr(layer, model.layer_kind.attention, place)
    return layer
