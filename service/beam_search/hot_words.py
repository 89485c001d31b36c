"""Words that a request expects: made likelier, and possible where the lexicon lacks them.

A hot word is one word or several with single spaces; several are made likelier only together.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flashlight.lib.text.decoder import LM, LMState, Trie
from flashlight.lib.text.decoder.kenlm import KenLM

from service.beam_search.lexicon import Entry, Lexicon, Speller
from service.errors import InvalidRequest

BOOST = 6.0  # natural logarithm of how much likelier each becomes
PARAM = "hot_words"


class HotWord(NamedTuple):
    """How a hot word is scored: what the model gives its words one after the other, and a bonus."""

    labels: tuple[int, ...]
    bonus: float


class BoostedModel(LM):  # type: ignore[misc]  # untyped
    """A language model that knows hot words; of use to one search at a time.

    Args:
        model: what is asked about all words.
        hot_words: by label.
    """

    def __init__(self, model: KenLM, hot_words: Mapping[int, HotWord]) -> None:
        super().__init__()
        self._model = model
        self._hot_words = hot_words

    def start(self, start_with_nothing: bool) -> LMState:
        """The state before the first word."""
        return self._model.start(start_with_nothing)

    def score(self, state: LMState, label: int) -> tuple[LMState, float]:
        """The state after a word, and its log10 probability with any bonus."""
        hot_word = self._hot_words.get(label)
        if hot_word is None:
            hot_word = HotWord((label,), 0.0)
        total = hot_word.bonus
        for one in hot_word.labels:
            state, score = self._model.score(state, one)
            total += score
        return state, total

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state after the last word, and the log10 probability of the end."""
        state, score = self._model.finish(state)
        return state, score


class HotWords:
    """Makes the tries and models of requests with hot words.

    Args:
        lexicon: all other words.
        speller: of the vocabulary.
        model: of the lexicon; its label for unknown words is the number of the lexicon's words.
        weight: of the model's log10 probabilities against natural-log ones.
    """

    def __init__(self, lexicon: Lexicon, speller: Speller, model: KenLM, weight: float) -> None:
        self._lexicon = lexicon
        self._speller = speller
        self._model = model
        self._boost = BOOST / weight
        self._unknown = len(lexicon.labels)
        # An unknown word counts as much as the rarest known one.
        _, unknown_score = model.score(model.start(True), self._unknown)
        self._known_bonus = lexicon.rarest - unknown_score

    def can_spell(self, phrase: str) -> bool:
        """Whether the vocabulary's tokens can write it."""
        return self._speller.spell(phrase) is not None

    def check(self, phrases: Sequence[str]) -> None:
        """Refuse what cannot be spelled.

        Raises:
            InvalidRequest: naming the hot word and its characters without a token.
        """
        for phrase in phrases:
            if self._speller.spell(phrase) is None:
                found = self._speller.unknown_characters(phrase)
                raise InvalidRequest(
                    f"the hot word {phrase!r} cannot be written with the model's labels; "
                    f"unknown: {' '.join(found) or phrase}",
                    found=phrase,
                    limit=self._speller.letters,
                    param=PARAM,
                )

    def prepare(self, phrases: Sequence[str]) -> tuple[Trie, BoostedModel]:
        """The lexicon's trie and model with these hot words, which `check` has passed."""
        hot_words: dict[int, HotWord] = {}
        entries = []
        for number, phrase in enumerate(phrases, start=self._unknown + 1):
            label = self._lexicon.labels.get(phrase, number)
            hot_words[label] = hot_word = self._score(phrase)
            known = [self._lexicon.scores[one] for one in hot_word.labels if one != self._unknown]
            unknown = len(hot_word.labels) - len(known)
            score = sum(known) + unknown * self._lexicon.rarest + self._boost
            entries.append(Entry(self._spell(phrase), label, score))
        return self._lexicon.trie_with(entries), BoostedModel(self._model, hot_words)

    def _score(self, phrase: str) -> HotWord:
        labels = tuple(self._lexicon.labels.get(word, self._unknown) for word in phrase.split())
        return HotWord(labels, self._boost + labels.count(self._unknown) * self._known_bonus)

    def _spell(self, phrase: str) -> tuple[int, ...]:
        spelling = self._speller.spell(phrase)
        assert spelling is not None, "hot words are checked before they are used"
        return spelling
