"""Logits to words by beam search."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from flashlight.lib.text.decoder import (
    CriterionType,
    LexiconDecoder,
    LexiconDecoderOptions,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

from service.arrays import FloatArray
from service.beam_search.arpa import read_unigrams
from service.beam_search.growing import BEAM, STEP_FRAMES, GrowingWords
from service.beam_search.hot_words import HotWords
from service.beam_search.lexicon import Lexicon, Speller
from service.bundle import LanguageModel, Vocabulary
from service.ctc import (
    IMPOSSIBLE,
    WHOLE,
    Part,
    Passage,
    Word,
)
from service.errors import InvalidBundle
from service.pieces import Labels, Piece, Scale, read_pieces

LONGEST_PIECE_S = 15.0  # with 30, joined sentences lost half a point to the model of sentences
BEAM_THRESHOLD = 14.0  # natural logarithm; twice as much halves the speed, for the same words
BEAM_TOKENS = 40  # best tokens of a frame that are tried
CACHED_HOT_WORDS = 16


class BeamSearch:
    """Finds the likeliest words, by the acoustic and the language model together.

    All threads may use one object: what a search changes is its own.

    Args:
        vocabulary: what the columns of logits mean.
        facts: how the language model counts.
        path: the model, ARPA text.

    Raises:
        InvalidBundle: it is no n-gram model, or has no word that the vocabulary spells.
    """

    def __init__(self, vocabulary: Vocabulary, facts: LanguageModel, path: Path) -> None:
        speller = Speller(vocabulary)
        lexicon = Lexicon(read_unigrams(path), speller)
        if not lexicon.labels:
            raise InvalidBundle(f"{path} has no word that the vocabulary's tokens can spell")
        self._vocabulary = vocabulary
        self._delimiter_id = speller.delimiter_id
        self._unknown = len(lexicon.labels)
        self._trie = lexicon.trie
        self._model = _load(path, lexicon)
        self._facts = facts
        self._hot_words = HotWords(lexicon, speller, self._model, facts.weight)
        self._prepared = lru_cache(CACHED_HOT_WORDS)(self._hot_words.prepare)

    def check_hot_words(self, hot_words: Sequence[str]) -> None:
        """Refuse what `words` cannot take.

        Raises:
            InvalidRequest: a hot word has characters outside the vocabulary.
        """
        self._hot_words.check(hot_words)

    def can_spell(self, hot_word: str) -> bool:
        """Whether `check_hot_words` would pass it."""
        return self._hot_words.can_spell(hot_word)

    def words(
        self,
        logits: FloatArray,
        *,
        frame_s: float,
        duration_s: float,
        hot_words: Sequence[str] = (),
    ) -> Iterator[list[Word]]:
        """Words of one piece after the other, so that long audio can be left half-way.

        Args:
            logits: `[frames, vocab]`, unnormalised.
            frame_s: seconds from one frame to the next.
            duration_s: length of the audio; frames that start later are left out.
            hot_words: made likelier; `check_hot_words` has passed them.
        """
        for passage in self.passages(
            logits, frame_s=frame_s, duration_s=duration_s, hot_words=hot_words
        ):
            yield passage.words

    def passages(
        self,
        logits: FloatArray,
        *,
        frame_s: float,
        duration_s: float,
        hot_words: Sequence[str] = (),
        part: Part = WHOLE,
    ) -> Iterator[Passage]:
        """As `words`, but of a part of the audio, and with the place where each piece ends."""

        def find(_: Piece, log_posteriors: FloatArray) -> Labels:
            return self.labels(log_posteriors, hot_words)

        yield from read_pieces(
            logits,
            self._vocabulary,
            find,
            Scale(frame_s, duration_s),
            longest_s=LONGEST_PIECE_S,
            part=part,
        )

    def growing(self, *, frame_s: float, hot_words: Sequence[str] = ()) -> GrowingWords:
        """Begin to find the words of an utterance that is still being said; see `words`."""
        decoder = self._decoder(hot_words, min(BEAM, self._facts.beam))
        return GrowingWords(decoder, self._vocabulary, frame_s)

    def labels(self, log_posteriors: FloatArray, hot_words: Sequence[str] = ()) -> Labels:
        """Of the best path, up to the end of the last word that was finished.

        Args:
            log_posteriors: `[frames, vocab]` of one piece, natural logarithms.
            hot_words: made likelier; `check_hot_words` has passed them.
        """
        decoder = self._decoder(hot_words, self._facts.beam)
        decoder.decode_begin()
        frames = _with_end(log_posteriors, self._delimiter_id)
        for first in range(0, len(frames), STEP_FRAMES):
            step = frames[first : first + STEP_FRAMES]
            decoder.decode_step(step.ctypes.data, *step.shape)
        decoder.decode_end()
        tokens = np.array(decoder.get_best_hypothesis().tokens[1:-1], dtype=np.intp)
        finished = np.flatnonzero(tokens == self._delimiter_id)
        return tokens[: finished[-1] if finished.size else 0]

    def _decoder(self, hot_words: Sequence[str], beam: int) -> LexiconDecoder:
        """A search of its own: it keeps hypotheses, but is made in microseconds."""
        trie, model = self._trie, self._model
        if hot_words:
            trie, model = self._prepared(tuple(sorted(hot_words)))
        return LexiconDecoder(
            _options(self._facts, beam),
            trie,
            model,
            self._delimiter_id,
            self._vocabulary.blank_id,
            self._unknown,
            [],
            False,
        )


def _load(path: Path, lexicon: Lexicon) -> KenLM:
    labels = Dictionary()
    for word, label in lexicon.labels.items():
        labels.add_entry(word, label)
    labels.add_entry("<unk>", len(lexicon.labels))
    try:
        return KenLM(str(path), labels)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InvalidBundle(f"{path} is no n-gram model that can be used: {reason}") from error


def _options(facts: LanguageModel, beam: int) -> LexiconDecoderOptions:
    return LexiconDecoderOptions(
        beam_size=beam,
        beam_size_token=BEAM_TOKENS,
        beam_threshold=BEAM_THRESHOLD,
        lm_weight=facts.weight,
        word_score=facts.word_score,
        unk_score=-math.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )


def _with_end(log_posteriors: FloatArray, delimiter_id: int) -> FloatArray:
    """Frames and one more that says the delimiter, since only a finished word counts."""
    end = np.full((1, log_posteriors.shape[1]), IMPOSSIBLE, np.float32)
    end[0, delimiter_id] = 0.0
    return np.ascontiguousarray(np.concatenate([log_posteriors, end]), dtype=np.float32)
