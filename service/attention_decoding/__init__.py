"""A second pass over the encoder's frames: an attention decoder writes what CTC then places.

    frames of a piece -> tokens, one by one -> text                 (writer)
    text, CTC's logits -> the likeliest path that says it           (alignment)
    both -> words with times, or beam search where they disagree    (search)

Two passes of this kind: Zhang et al., 2020 (U2, arXiv 2012.05481), whose decoder only chooses among
CTC's texts.
"""

from service.attention_decoding.opening import open_attention_search
from service.attention_decoding.search import AttentionSearch

__all__ = ["AttentionSearch", "open_attention_search"]
