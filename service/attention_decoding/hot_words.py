"""Hot words that beam search hears, in the text of an attention decoder; pure."""

from collections.abc import Sequence
from itertools import chain

from service.ctc import Word

LEAST_OVERLAP = 0.5  # of a word's time, for what is heard there to stand in its place


def with_hot_words(
    written: Sequence[Word], heard: Sequence[Word], hot_words: Sequence[str]
) -> list[str]:
    """Let hot words stand where they were heard.

    Args:
        written: words of the text, with times.
        heard: words that beam search found in the same audio, with hot words made likelier.
        hot_words: each one word or several with single spaces.

    Returns:
        Words of the text; those that a hot word overlaps for the most part are gone.
    """
    spoken = _spoken(heard, hot_words)
    kept = [word for word in written if not any(_is_covered(word, hot) for hot in spoken)]
    words = [*kept, *chain.from_iterable(spoken)]
    return [word.word for word in sorted(words, key=lambda word: word.start_s)]


def _spoken(heard: Sequence[Word], hot_words: Sequence[str]) -> list[list[Word]]:
    """The words of each hot word that was heard; of those within each other, the longest."""
    found: list[list[Word]] = []
    free = [True] * len(heard)
    for phrase in sorted((hot_word.split(" ") for hot_word in hot_words), key=len, reverse=True):
        for start in range(len(heard) - len(phrase) + 1):
            place = slice(start, start + len(phrase))
            if all(free[place]) and [word.word for word in heard[place]] == phrase:
                found.append(list(heard[place]))
                free[place] = [False] * len(phrase)
    return found


def _is_covered(word: Word, hot: Sequence[Word]) -> bool:
    overlap_s = min(word.end_s, hot[-1].end_s) - max(word.start_s, hot[0].start_s)
    return overlap_s >= LEAST_OVERLAP * (word.end_s - word.start_s)
