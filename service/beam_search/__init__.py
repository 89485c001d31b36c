"""Beam search over token paths, with an n-gram language model over words.

    ARPA -> unigrams -> lexicon, a trie of spelled words            (arpa, lexicon)
    logits -> pieces, cut at pauses -> token paths -> words         (search)
    hot words -> branches of the trie, bonuses of the model         (hot_words)
    logits of an utterance that goes on -> words so far             (growing)

Search and language model are flashlight-text's (Kahn et al., 2022) and KenLM's (Heafield, 2011).
"""

from service.beam_search.growing import GrowingWords
from service.beam_search.search import BeamSearch

__all__ = ["BeamSearch", "GrowingWords"]
