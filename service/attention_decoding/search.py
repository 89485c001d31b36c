"""Logits and frames to words: an attention decoder writes, and CTC says where and whether."""

import math
from collections.abc import Iterator, Sequence

from service.arrays import FloatArray
from service.attention_decoding.alignment import align
from service.attention_decoding.hot_words import with_hot_words
from service.attention_decoding.writer import Writer
from service.beam_search import BeamSearch
from service.bundle import Vocabulary
from service.ctc import WHOLE, Part, Passage, TokenPath, Word, read_path
from service.pieces import Labels, Piece, Scale, read_pieces

LONGEST_PIECE_S = 15.0


class AttentionSearch:
    """Writes each piece, and believes it if CTC can find its text in the sound.

    A decoder that writes freely may go on where nothing is said, or say again what it has said.
    CTC cannot, but spells by ear. So the text is laid on CTC's frames: there its words get their
    times and confidences, and where it fits them badly, CTC's own text is taken.

    Args:
        vocabulary: of the logits.
        writer: of texts.
        least_agreement: see `AttentionDecoder`.
        beam_search: reads what is not believed; None reads it greedily.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        writer: Writer,
        least_agreement: float,
        beam_search: BeamSearch | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._writer = writer
        self._least_agreement = least_agreement
        self._beam_search = beam_search

    def passages(
        self,
        logits: FloatArray,
        frames: FloatArray,
        *,
        frame_s: float,
        duration_s: float,
        hot_words: Sequence[str] = (),
        part: Part = WHOLE,
    ) -> Iterator[Passage]:
        """Words of one piece after the other, so that long audio can be left half-way.

        Args:
            logits: `[frames, vocab]`, unnormalised.
            frames: `[frames, width]`, of the encoder; of width 0, CTC's own text is taken.
            frame_s: seconds from one frame to the next.
            duration_s: length of the audio; frames that start later are left out.
            hot_words: made likelier; the beam search has passed them.
            part: what of it to read.
        """

        def find(piece: Piece, log_posteriors: FloatArray) -> Labels:
            return self._labels(log_posteriors, frames[slice(*piece)], hot_words)

        yield from read_pieces(
            logits,
            self._vocabulary,
            find,
            Scale(frame_s, duration_s),
            longest_s=LONGEST_PIECE_S,
            part=part,
        )

    def _labels(
        self, log_posteriors: FloatArray, frames: FloatArray, hot_words: Sequence[str]
    ) -> Labels:
        written = self._written(log_posteriors, frames)
        if self._beam_search is None:
            return log_posteriors.argmax(axis=1) if written is None else written
        if written is not None and not hot_words:
            return written
        heard = self._beam_search.labels(log_posteriors, hot_words)
        if written is None:
            return heard
        own, other = (self._words(labels, log_posteriors) for labels in (written, heard))
        text = " ".join(with_hot_words(own, other, hot_words))
        alignment = align(log_posteriors, text, self._vocabulary)
        return heard if alignment is None else alignment.labels

    def _written(self, log_posteriors: FloatArray, frames: FloatArray) -> Labels | None:
        """Where the decoder's text is said; None if there is none, or it is not believed."""
        text = self._writer.write(frames) if frames.size else None
        alignment = align(log_posteriors, text, self._vocabulary) if text else None
        if alignment is None or alignment.agreement < self._least_agreement:
            return None
        return alignment.labels

    def _words(self, labels: Labels, log_posteriors: FloatArray) -> list[Word]:
        """Words of a piece, their times in frames."""
        path = TokenPath(labels, log_posteriors)
        return list(read_path(path, self._vocabulary, frame_s=1.0, duration_s=math.inf))
