"""Letting a model's mixers see their own chunk and the past only, where nothing forbids it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.layer_calls import MixerInPlace
from model_export.errors import StreamingRefused
from model_export.mixing.summary_mixing import WindowedSummaryMixing
from service.bundle import Mixer


def obstacles(model: CtcModel) -> list[str]:
    """What keeps a model from streaming, in words; nothing if it can."""
    found = []
    if model.front_end.lookahead_samples is None:
        found.append(f"the front end looks far ahead: {model.front_end.looks_far_ahead}")
    return found + mixing_obstacles([layer.mixer for layer in model.mixing])


def mixing_obstacles(mixers: Sequence[Mixer]) -> list[str]:
    """What keeps layers with these mixers, lowest first, from streaming."""
    found = []
    for mixer, run in groupby(range(len(mixers)), key=mixers.__getitem__):
        if mixer != "wsm":
            first, *rest = run
            layers = f"layers {first} to {rest[-1]} mix" if rest else f"layer {first} mixes"
            found.append(f"{layers} the whole utterance by {mixer}")
    return found


def refuse_if(found: Sequence[str]) -> None:
    """Refuse to stream where something forbids it.

    Raises:
        StreamingRefused: something does.
    """
    if found:
        raise StreamingRefused(f"this model cannot stream: {'; '.join(found)}")


def see_chunks(model: CtcModel, chunk_frames: int | None) -> None:
    """Choose what frames see.

    Args:
        model: changed in place, in what it computes but not in its weights.
        chunk_frames: they see their own chunk of so many frames, and the past; None lets them see
            the whole utterance.

    Raises:
        StreamingRefused: there are chunks, and the model cannot stream.
    """
    if chunk_frames is not None:
        refuse_if(obstacles(model))
    for mixer in wsm_blocks(model):
        mixer.chunk_frames = chunk_frames


@contextmanager
def in_chunks(model: CtcModel, chunk_frames: int | None) -> Iterator[None]:
    """Let frames see chunks for a while, as `see_chunks` does, and the whole utterance after."""
    see_chunks(model, chunk_frames)
    try:
        yield
    finally:
        see_chunks(model, None)


def wsm_blocks(model: CtcModel) -> list[WindowedSummaryMixing]:
    """The WSM blocks of a model, lowest layer first."""
    places = (model.attention_of(index) for index in range(len(model.layers)))
    mixers = (place.mixer for place in places if isinstance(place, MixerInPlace))
    return [mixer for mixer in mixers if isinstance(mixer, WindowedSummaryMixing)]
