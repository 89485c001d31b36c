"""How well a language model foretells text, as the decoder's own reader of ARPA files sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

from model_export.language_model.arpa import read_words
from model_export.language_model.counts import UNKNOWN


@dataclass(frozen=True)
class Perplexity:
    """What a model makes of sentences.

    Attributes:
        perplexity: of known words and sentence ends, after all that stands before them.
        unknown_percent: words that the model does not know.
    """

    perplexity: float
    unknown_percent: float


def measure(arpa: Path, sentences: Sequence[str]) -> Perplexity:
    """Score sentences.

    Args:
        arpa: the model.
        sentences: normalised, at least one, none empty.
    """
    listed = read_words(arpa)
    known = frozenset(listed)
    words = Dictionary()
    for word in (*listed, UNKNOWN):
        words.add_entry(word)
    words.set_default_index(words.get_index(UNKNOWN))
    model = KenLM(str(arpa), words)
    log10 = 0.0
    for sentence in sentences:
        state = model.start(False)  # not with an empty context, but at a sentence's begin
        for word in sentence.split():
            state, score = model.score(state, words.get_index(word))
            log10 += score if word in known else 0
        log10 += model.finish(state)[1]
    spoken = [word for sentence in sentences for word in sentence.split()]
    unknown = sum(word not in known for word in spoken)
    events = len(spoken) - unknown + len(sentences)
    return Perplexity(10 ** (-log10 / events), 100 * unknown / len(spoken))
