"""The words that beam search may find: a trie of their spellings.

A spelling ends with the word delimiter, so that a word is known to be over when it is said. Nodes
of the trie carry the best log10 probability below them, so that a hypothesis is judged by what it
can still become, before its word is over.
"""

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from flashlight.lib.text.decoder import SmearingMode, Trie, TrieNode

from service.bundle import Vocabulary


class Entry(NamedTuple):
    """What a trie holds.

    Attributes:
        spelling: ids of tokens, the last of them the word delimiter.
        label: what the language model knows it by.
        score: log10 probability that the search looks forward to.
    """

    spelling: tuple[int, ...]
    label: int
    score: float


class Speller:
    """Spells words by the tokens of a vocabulary, the longest first.

    Attributes:
        tokens: how many the vocabulary has.
        delimiter_id: what every spelling ends with.
        letters: all tokens that words are made of.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._ids = {token: place for place, token in enumerate(vocabulary.tokens)}
        self.tokens = len(vocabulary.tokens)
        self.delimiter_id = self._ids[vocabulary.word_delimiter]
        silent = {vocabulary.tokens[vocabulary.blank_id], vocabulary.word_delimiter}
        letters = sorted(self._ids.keys() - silent, key=lambda token: (-len(token), token))
        self.letters = "".join(sorted(letters))
        self._letter = re.compile("|".join(map(re.escape, filter(None, letters))) or "(?!)")
        self._letter_ids = {letter: self._ids[letter] for letter in letters}
        self._are_characters = all(len(letter) == 1 for letter in letters)

    def spell(self, phrase: str) -> tuple[int, ...] | None:
        """Ids of a word's tokens, or of several words with single spaces; None if it has others."""
        spelling: list[int] = []
        for word in phrase.split(" "):
            # Of a large lexicon's time to load, this is most: no search where none is needed.
            tokens = word if self._are_characters else self._letter.findall(word)
            try:
                spelling += [self._letter_ids[token] for token in tokens]
            except KeyError:
                return None
            if not word or "".join(tokens) != word:
                return None
            spelling.append(self.delimiter_id)
        return tuple(spelling)

    def unknown_characters(self, phrase: str) -> list[str]:
        """Characters that begin no token, in the phrase's order."""
        known = {token[0] for token in self._ids if self._letter.fullmatch(token)}
        return [one for one in dict.fromkeys(phrase) if one not in known and one != " "]


class Lexicon:
    """The words of a language model that a vocabulary can spell.

    Attributes:
        trie: of all of them, by their labels.
        labels: by word; labels count from 0.
        scores: log10 probability by label.
        rarest: log10 probability of the least likely word.
    """

    def __init__(self, unigrams: Mapping[str, float], speller: Speller) -> None:
        self.labels: dict[str, int] = {}
        self.scores: list[float] = []
        self.trie = Trie(speller.tokens, speller.delimiter_id)
        for word, score in unigrams.items():
            if (spelling := speller.spell(word)) is not None:
                self.trie.insert(spelling, len(self.labels), score)
                self.labels[word] = len(self.labels)
                self.scores.append(score)
        self.rarest = min(self.scores, default=0.0)
        self.trie.smear(SmearingMode.MAX)
        self._speller = speller

    def trie_with(self, entries: Iterable[Entry]) -> Trie:
        """A trie that holds more, or looks forward to more.

        The nodes on the way to an entry are copies, so this lexicon's own trie does not change; all
        others are shared.
        """
        # search([]) and not get_root(), whose node Python would free together with the trie's own.
        old = self.trie.search([])
        grown = Trie(self._speller.tokens, self._speller.delimiter_id)
        root = grown.search([])
        root.children, root.max_score = old.children, old.max_score
        for entry in entries:
            _add(root, entry)
        return grown


def _add(root: TrieNode, entry: Entry) -> None:
    """Hang copied or new nodes below the root, the last of them first."""
    nodes = [root]
    for token in entry.spelling:
        below = nodes[-1].children.get(token)
        nodes.append(_new(token) if below is None else _copy(below))
    end = nodes[-1]
    if entry.label not in end.labels:
        end.labels, end.scores = [*end.labels, entry.label], [*end.scores, entry.score]
    end.max_score = max(end.max_score, entry.score)
    for above, below in reversed(list(pairwise(nodes))):
        above.children = above.children | {below.idx: below}
        above.max_score = max(above.max_score, below.max_score)


def _new(token: int) -> TrieNode:
    node = TrieNode(token)
    node.max_score = -math.inf
    return node


def _copy(node: TrieNode) -> TrieNode:
    copy = TrieNode(node.idx)
    copy.children, copy.labels, copy.scores = node.children, node.labels, node.scores
    copy.max_score = node.max_score
    return copy
