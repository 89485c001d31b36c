"""Logits to words, in the way that is asked for."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from service.arrays import FloatArray
from service.beam_search import BeamSearch
from service.bundle import Bundle, Manifest, TextNormalisation, Vocabulary
from service.ctc import Word, greedy_decode
from service.errors import InvalidBundle, InvalidRequest
from service.options import Decoding, Options

Param = Literal["decoding", "hot_words"]


@dataclass(frozen=True)
class Output:
    """What the logits of a model mean.

    Attributes:
        name: of the model, for messages.
        vocabulary: of the columns.
        text_normalisation: of the text that it writes.
        frame_s: seconds from one frame to the next.
    """

    name: str
    vocabulary: Vocabulary
    text_normalisation: TextNormalisation
    frame_s: float

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Of a bundle's model."""
        return cls(
            manifest.name,
            manifest.vocabulary,
            manifest.text_normalisation,
            manifest.samples_per_frame / manifest.sample_rate_hz,
        )


class Reader:
    """Reads logits greedily or, where there is a language model, by beam search.

    Attributes:
        default: the decoding of requests that name none.

    Args:
        output: how the logits are to be read.
        beam_search: with its language model, if it has one.
        default: "auto" takes beam search where there is one.

    Raises:
        InvalidBundle: beam search shall be the default, but there is no language model.
    """

    def __init__(
        self,
        output: Output,
        beam_search: BeamSearch | None = None,
        default: Literal["auto"] | Decoding = "auto",
    ) -> None:
        self._output = output
        self._beam_search = beam_search
        if default == "beam" and beam_search is None:
            raise InvalidBundle(
                f"{output.name} has no language model, so its decoding cannot be beam",
                found=default,
                limit=["auto", "greedy"],
            )
        best: Decoding = "greedy" if beam_search is None else "beam"
        self.default: Decoding = best if default == "auto" else default

    @property
    def decodings(self) -> tuple[Decoding, ...]:
        """What a request may ask for."""
        return ("greedy",) if self._beam_search is None else ("greedy", "beam")

    def check(self, options: Options) -> None:
        """Refuse what `read` cannot do.

        Raises:
            InvalidRequest: beam search without a language model; hot words without beam search, or
                with characters outside the vocabulary.
        """
        self._search(options)

    def read(self, logits: FloatArray, duration_s: float, options: Options) -> Iterator[list[Word]]:
        """Words of one stretch after the other, so that long audio can be left half-way.

        Args:
            logits: `[frames, vocab]`, unnormalised.
            duration_s: length of the audio.
            options: which `check` has passed.
        """
        search = self._search(options)
        if search is None:
            transcript = greedy_decode(
                logits,
                self._output.vocabulary,
                frame_s=self._output.frame_s,
                duration_s=duration_s,
            )
            return iter([list(transcript.words)])
        return search.words(
            logits,
            frame_s=self._output.frame_s,
            duration_s=duration_s,
            hot_words=self._written(options.hot_words),
        )

    def _search(self, options: Options) -> BeamSearch | None:
        """What finds the words; None for greedy decoding."""
        asked: Decoding = options.decoding or ("beam" if options.hot_words else self.default)
        if asked == "greedy":
            if options.hot_words:
                raise _refused("hot_words", "hot words need beam search, not greedy decoding")
            return None
        if self._beam_search is None:
            param: Param = "decoding" if options.decoding else "hot_words"
            raise _refused(param, f"{self._output.name} has no language model for beam search")
        self._beam_search.check_hot_words(self._written(options.hot_words))
        return self._beam_search

    def _written(self, hot_words: Sequence[str]) -> tuple[str, ...]:
        """Hot words in the form and case of the model's texts, without repeats."""
        rules = self._output.text_normalisation
        return tuple(dict.fromkeys(_write(word, rules) for word in hot_words))


def open_reader(bundle: Bundle, default: Literal["auto"] | Decoding = "auto") -> Reader:
    """Load what a bundle has for reading.

    Raises:
        InvalidBundle: see `BeamSearch` and `Reader`.
    """
    manifest, search = bundle.manifest, None
    if manifest.language_model is not None:
        path = bundle.path_of(manifest.language_model.file)
        search = BeamSearch(manifest.vocabulary, manifest.language_model, path)
    return Reader(Output.of(manifest), search, default)


def _write(word: str, rules: TextNormalisation) -> str:
    word = unicodedata.normalize(rules.unicode_form, word)
    return word.lower() if rules.lowercase else word


def _refused(param: Param, why: str) -> InvalidRequest:
    return InvalidRequest(why, found="beam" if param == "decoding" else None, param=param)
