"""Scoring a checkpoint or a bundle on a manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from model_export.checkpoint import SPEC_FILE, load_checkpoint
from model_export.chunked import ChunkedModel, open_graph
from model_export.data import Clip
from model_export.data.recordings import load_waveform
from model_export.decoding import DecodingChoice, Search, open_search
from model_export.errors import StreamingRefused
from model_export.mixing.chunking import see_chunks
from model_export.scoring import ErrorRates, bootstrap_interval, error_rates, word_errors
from service.arrays import FloatArray, IntArray
from service.audio import SAMPLE_RATE_HZ, is_silent
from service.backends import AcousticModel, load_model
from service.bundle import Measurement, load_bundle
from service.ctc import Transcript, blank_logits
from service.lone_sounds import without_lone_sounds
from service.options import Options
from service.reading import Output, Reader
from service.segmentation import Cutting, Segment, split, stitch


class EagerModel:
    """A checkpoint behind the interface of the service's backends.

    Args:
        model: called with (waveforms, lengths).
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; see `AcousticModel`."""
        with torch.inference_mode():
            logits, frame_lengths = self._model(
                torch.from_numpy(waveforms), torch.from_numpy(lengths)
            )
        return logits.numpy(), frame_lengths.numpy()


@dataclass(frozen=True)
class Recogniser:
    """A model with all that turns a waveform into text.

    Attributes:
        model: the acoustic model.
        output: what its labels mean, and how references must be treated to compare with it.
        reader: logits to words.
        decoding: how, for the record.
        samples_per_frame: hop of the logits.
        longest_pass_s: longer audio is cut and stitched; None means no limit.
    """

    model: AcousticModel
    output: Output
    reader: Reader
    decoding: str
    samples_per_frame: int
    longest_pass_s: float | None

    def transcribe(self, waveform: FloatArray) -> str:
        """Text of one waveform `[samples]`."""
        segments = self._segments(waveform)
        pieces = [self._logits(segment.of(waveform)) for segment in segments]
        logits = without_lone_sounds(
            stitch(pieces, segments, samples_per_frame=self.samples_per_frame),
            waveform,
            self.output.vocabulary,
            samples_per_frame=self.samples_per_frame,
            sample_rate_hz=SAMPLE_RATE_HZ,
        )
        stretches = self.reader.read(logits, len(waveform) / SAMPLE_RATE_HZ, Options())
        return Transcript.of(chain.from_iterable(stretches)).text

    def _segments(self, waveform: FloatArray) -> list[Segment]:
        if self.longest_pass_s is None:
            return [Segment(0, len(waveform))]
        cutting = Cutting.of(
            self.longest_pass_s,
            sample_rate_hz=SAMPLE_RATE_HZ,
            samples_per_frame=self.samples_per_frame,
        )
        return split(waveform, cutting)

    def _logits(self, waveform: FloatArray) -> FloatArray:
        if is_silent(waveform):
            blank = blank_logits(len(waveform), self.samples_per_frame, self.output.vocabulary)
            return np.pad(blank, ((0, 0), (0, self.output.columns - blank.shape[1])))
        lengths = np.array([len(waveform)], dtype=np.int64)
        logits, _ = self.model.infer(waveform[np.newaxis], lengths)
        row: FloatArray = logits[0]
        return row


@dataclass(frozen=True)
class Evaluation:
    """Error rates of one model on one set.

    Attributes:
        rates: over all clips together.
        wer_interval: 95 % bootstrap interval of the word error rate, over clips, in percent.
        audio_s: length of all clips.
        hypotheses: what was recognised, in the clips' order.
        decoding: how.
    """

    rates: ErrorRates
    wer_interval: tuple[float, float]
    audio_s: float
    hypotheses: tuple[str, ...]
    decoding: str

    def measurement(self, test_set: str, note: str) -> Measurement:
        """The record that a bundle keeps."""
        low, high = self.wer_interval
        return Measurement(
            test_set=test_set,
            clips=len(self.hypotheses),
            audio_s=round(self.audio_s, 1),
            wer_percent=round(self.rates.wer_percent, 2),
            cer_percent=round(self.rates.cer_percent, 2),
            wer_interval_percent=(round(low, 2), round(high, 2)),
            decoding=self.decoding,
            note=note,
        )


@dataclass(frozen=True)
class Hearing:
    """Whether a model hears whole utterances or chunk by chunk, as a stream does.

    Attributes:
        streaming: chunk by chunk.
        chunk_frames: of a chunk; None takes the model's own.
    """

    streaming: bool = False
    chunk_frames: int | None = None


def open_recogniser(
    folder: Path,
    choice: DecodingChoice = DecodingChoice(),  # noqa: B008  frozen
    *,
    base: str | None = None,
    hearing: Hearing = Hearing(),
) -> Recogniser:
    """Open a checkpoint or a bundle.

    Args:
        folder: of either.
        choice: how logits shall be read.
        base: for a checkpoint whose base has moved.
        hearing: whole utterances or chunks.

    Raises:
        CheckpointInvalid: the checkpoint cannot be rebuilt.
        InvalidBundle: it is neither, or a damaged bundle; or there is no language model to use.
        StreamingRefused: chunks were asked for, and it cannot take such.
    """
    if not (folder / SPEC_FILE).is_file():
        return _open_bundle(folder, choice, hearing)
    spec, model = load_checkpoint(folder, base=base)
    longest_pass_s = model.front_end.longest_pass_s
    if hearing.streaming:
        see_chunks(model, hearing.chunk_frames or spec.chunk_frames or 1)
    frame_s = model.front_end.samples_per_frame / SAMPLE_RATE_HZ
    return _recogniser(
        EagerModel(model),
        Output(
            folder.name,
            spec.vocabulary,
            spec.text_normalisation,
            frame_s,
            len(spec.vocabulary.tokens),
        ),
        open_search(choice, spec.vocabulary),
        longest_pass_s=longest_pass_s,
        chunk_frames=(hearing.chunk_frames or spec.chunk_frames) if hearing.streaming else None,
    )


def _open_bundle(folder: Path, choice: DecodingChoice, hearing: Hearing) -> Recogniser:
    bundle = load_bundle(folder)
    manifest, form = bundle.manifest, bundle.manifest.streaming
    output, search = Output.of(manifest), open_search(choice, manifest.vocabulary, bundle)
    if not hearing.streaming:
        model = load_model(bundle, device="cpu", sessions=1).model
        return _recogniser(model, output, search, longest_pass_s=manifest.longest_single_pass_s)
    if form is None:
        raise StreamingRefused(f"{folder} has no streaming graph")
    if hearing.chunk_frames not in (None, form.chunk_frames):
        raise StreamingRefused(
            f"{folder} streams in chunks of {form.chunk_frames} frames, not {hearing.chunk_frames}"
        )
    step = open_graph(bundle.path_of(form.variants[0].file), form)
    chunked = ChunkedModel(step, form, manifest.samples_per_frame)
    return _recogniser(chunked, output, search, longest_pass_s=None, chunk_frames=form.chunk_frames)


def _recogniser(
    model: AcousticModel,
    output: Output,
    search: Search,
    *,
    longest_pass_s: float | None,
    chunk_frames: int | None = None,
) -> Recogniser:
    heard = "" if chunk_frames is None else f", in chunks of {chunk_frames} frames"
    return Recogniser(
        model=model,
        output=output,
        reader=Reader(output, search.beam_search, search.decoding, search.attention),
        decoding=search.record + heard,
        samples_per_frame=round(output.frame_s * SAMPLE_RATE_HZ),
        longest_pass_s=longest_pass_s,
    )


def score(recogniser: Recogniser, clips: Sequence[Clip]) -> Evaluation:
    """Transcribe clips one by one and score them against their text."""
    hypotheses, samples = [], 0
    for clip in tqdm(clips, desc="evaluate", unit="clip"):
        waveform = load_waveform(clip.audio)
        samples += len(waveform)
        hypotheses.append(recogniser.transcribe(waveform))
    references = [clip.text for clip in clips]
    return Evaluation(
        rates=error_rates(references, hypotheses),
        wer_interval=wer_interval(references, hypotheses),
        audio_s=samples / SAMPLE_RATE_HZ,
        hypotheses=tuple(hypotheses),
        decoding=recogniser.decoding,
    )


def wer_interval(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[float, float]:
    """95 % bootstrap interval of the word error rate, in percent, by resampling utterances."""
    words = [len(reference.split()) for reference in references]
    pairs = zip(references, hypotheses, strict=True)
    return bootstrap_interval([word_errors(*pair) for pair in pairs], words)
