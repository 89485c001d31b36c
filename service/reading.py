"""Logits to words, in the way that is asked for."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Literal, Self

import numpy as np

from service.arrays import FloatArray
from service.attention_decoding import AttentionSearch, open_attention_search
from service.beam_search import BeamSearch, GrowingWords
from service.bundle import Bundle, Manifest, TextNormalisation, Vocabulary
from service.ctc import Part, Passage, Word, greedy_passage
from service.errors import InvalidBundle, InvalidRequest
from service.options import MAX_HOT_WORD_CHARACTERS, MAX_HOT_WORDS, Decoding, Options

NEEDED: dict[Decoding, str] = {
    "beam": "language model",
    "attention": "attention decoder",
}


@dataclass(frozen=True)
class Output:
    """What the logits of a model mean.

    Attributes:
        name: of the model, for messages.
        vocabulary: of the columns.
        text_normalisation: of the text that it writes.
        frame_s: seconds from one frame to the next.
        columns: of the logits; more than the vocabulary's, if an attention decoder's frames follow.
    """

    name: str
    vocabulary: Vocabulary
    text_normalisation: TextNormalisation
    frame_s: float
    columns: int

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Of a bundle's model."""
        return cls(
            manifest.name,
            manifest.vocabulary,
            manifest.text_normalisation,
            manifest.samples_per_frame / manifest.sample_rate_hz,
            manifest.output_columns,
        )


class Reader:
    """Reads logits greedily or, where the bundle has what it takes, by a search.

    Attributes:
        default: the decoding of requests that name none.

    Args:
        output: how the logits are to be read.
        beam_search: with its language model, if it has one.
        attention: with its decoder, if it has one.
        default: "auto" takes the best that there is: attention, beam search, greedy decoding.

    Raises:
        InvalidBundle: what shall be the default cannot be had.
    """

    def __init__(
        self,
        output: Output,
        beam_search: BeamSearch | None = None,
        default: Literal["auto"] | Decoding = "auto",
        attention: AttentionSearch | None = None,
    ) -> None:
        self._output = output
        self._beam_search = beam_search
        self._attention = attention
        if default != "auto" and default not in self.decodings:
            raise InvalidBundle(
                f"{output.name} has no {NEEDED[default]}, so its decoding cannot be {default}",
                found=default,
                limit=["auto", *self.decodings],
            )
        self.default: Decoding = self.decodings[-1] if default == "auto" else default

    @property
    def decodings(self) -> tuple[Decoding, ...]:
        """What a request may ask for, the best last."""
        offered: list[Decoding] = ["greedy"]
        if self._beam_search is not None:
            offered.append("beam")
        if self._attention is not None:
            offered.append("attention")
        return tuple(offered)

    def check(self, options: Options) -> None:
        """Refuse what `read` cannot do.

        Raises:
            InvalidRequest: beam search without a language model; hot words without beam search, or
                with characters outside the vocabulary.
        """
        self._choose(options)

    def read(self, logits: FloatArray, duration_s: float, options: Options) -> Iterator[list[Word]]:
        """Words of one stretch after the other, so that long audio can be left half-way.

        Args:
            logits: `[frames, vocab]`, unnormalised.
            duration_s: length of the audio.
            options: which `check` has passed.
        """
        return self.open(duration_s, options).read(logits)

    def open(self, duration_s: float, options: Options) -> "Reading":
        """Begin to read a file whose logits come little by little; see `read`."""
        search: BeamSearch | AttentionSearch | None = None
        match self._choose(options):
            case "beam":
                search = self._beam_search
            case "attention":
                search = self._attention
        return Reading(self._output, search, self._written(options.hot_words), duration_s)

    def growing(self, options: Options) -> GrowingWords | None:
        """Begin to read an utterance that is still being said; None where it is read greedily."""
        if self._choose(options) == "greedy" or self._beam_search is None:
            return None
        hot_words = self._written(options.hot_words)
        return self._beam_search.growing(frame_s=self._output.frame_s, hot_words=hot_words)

    def hasty(self, options: Options) -> Options:
        """The options for words that are shown for a moment: without a second pass."""
        if self._choose(options) != "attention":
            return options
        return replace(options, decoding="greedy" if self._beam_search is None else "beam")

    def hinted(self, options: Options, hints: Sequence[str]) -> Options:
        """The options with hints as more hot words, as far as these can be had.

        Where words are found greedily there are none; what the vocabulary cannot write, or is
        longer or more than a request may have, is left out.
        """
        search = self._beam_search
        if search is None or (options.decoding or self.default) == "greedy":
            return options
        usable = (
            hint
            for hint in hints
            if len(hint) <= MAX_HOT_WORD_CHARACTERS and search.can_spell(*self._written([hint]))
        )
        all_of_them = chain(options.hot_words, usable)
        hot_words = tuple(dict.fromkeys(islice(all_of_them, MAX_HOT_WORDS)))
        return replace(options, hot_words=hot_words)

    def _choose(self, options: Options) -> Decoding:
        """How words are found; see `check`."""
        asked = options.decoding or self.default
        if options.hot_words:
            if options.decoding == "greedy":
                raise _refused("hot words need beam search, not greedy decoding")
            if self._beam_search is None:
                raise _refused(f"{self._output.name} has no language model for beam search")
            self._beam_search.check_hot_words(self._written(options.hot_words))
            asked = "beam" if asked == "greedy" else asked
        if asked not in self.decodings:
            raise InvalidRequest(
                f"{self._output.name} has no {NEEDED[asked]}",
                found=asked,
                limit=list(self.decodings),
                param="decoding",
            )
        return asked

    def _written(self, hot_words: Sequence[str]) -> tuple[str, ...]:
        """Hot words in the form and case of the model's texts, without repeats."""
        rules = self._output.text_normalisation
        return tuple(dict.fromkeys(_write(word, rules) for word in hot_words))


class Reading:
    """Reads the logits of one file, all at once or as they come; the words are the same.

    Args:
        output: how the logits are to be read.
        search: what finds the words; None for greedy decoding.
        hot_words: for the search.
        duration_s: length of the audio.
    """

    def __init__(
        self,
        output: Output,
        search: BeamSearch | AttentionSearch | None,
        hot_words: tuple[str, ...],
        duration_s: float,
    ) -> None:
        self._output = output
        self._search = search
        self._hot_words = hot_words
        self._duration_s = duration_s
        self._first_frame = 0

    def read(self, logits: FloatArray, is_last: bool = True) -> Iterator[list[Word]]:
        """Words of one stretch after the other, from where the last call ended.

        Args:
            logits: `[frames, columns]`, unnormalised, from the beginning of the audio; behind the
                vocabulary's columns may be those of an attention decoder.
            is_last: whether that is all of it; if not, the words that what follows could change
                are not told yet.
        """
        for passage in self._passages(logits, Part(self._first_frame, is_last)):
            self._first_frame = passage.end
            yield passage.words

    def _passages(self, outputs: FloatArray, part: Part) -> Iterator[Passage]:
        vocabulary = self._output.vocabulary
        logits, frames = np.split(outputs, [len(vocabulary.tokens)], axis=1)
        logits = np.ascontiguousarray(logits)
        times = {"frame_s": self._output.frame_s, "duration_s": self._duration_s}
        match self._search:
            case None:
                yield greedy_passage(logits, vocabulary, **times, part=part)
            case BeamSearch():
                yield from self._search.passages(
                    logits, **times, hot_words=self._hot_words, part=part
                )
            case AttentionSearch():
                yield from self._search.passages(
                    logits, frames, **times, hot_words=self._hot_words, part=part
                )


def open_reader(bundle: Bundle, default: Literal["auto"] | Decoding = "auto") -> Reader:
    """Load what a bundle has for reading.

    Raises:
        InvalidBundle: see `BeamSearch` and `Reader`.
    """
    manifest, beam_search, attention = bundle.manifest, None, None
    if manifest.language_model is not None:
        path = bundle.path_of(manifest.language_model.file)
        beam_search = BeamSearch(manifest.vocabulary, manifest.language_model, path)
    if manifest.attention_decoder is not None:
        attention = open_attention_search(bundle, manifest.attention_decoder, beam_search)
    return Reader(Output.of(manifest), beam_search, default, attention)


def _write(word: str, rules: TextNormalisation) -> str:
    word = unicodedata.normalize(rules.unicode_form, word)
    return word.lower() if rules.lowercase else word


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(why, param="hot_words")
