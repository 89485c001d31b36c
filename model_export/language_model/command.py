"""What `wsm-export language-model` does, given its parsed options."""

import argparse

from model_export.data import name_of
from model_export.language_model.build import Limits, build
from model_export.language_model.perplexity import measure
from model_export.language_model.texts import (
    TextFilter,
    characters_of,
    read_held_out,
    read_sentences,
    read_word_lists,
)
from model_export.transcripts.options import rules_asked
from service.bundle import TextNormalisation, read_manifest


def language_model(options: argparse.Namespace) -> None:
    """Estimate a language model from texts, without what is held out."""
    rules, characters = _rules_of(options)
    known = read_word_lists(options.known_words, TextFilter(rules, characters))
    held_out = read_held_out(options.held_out, rules)
    text_filter = TextFilter(rules, characters, held_out)
    sentences: list[str] = []
    for reference in options.texts:
        texts = read_sentences(reference, text_filter)
        sentences.extend(texts.sentences)
        reasons = "".join(f"; {reason}: {n:,}" for reason, n in texts.left_out.most_common())
        print(f"{name_of(reference)}: {len(texts.sentences):,} sentences{reasons}")
    limits = Limits(options.order, options.words, options.min_count, options.max_bytes)
    ngrams = build(sentences, limits, options.out, known)
    listed = ", ".join(f"{count:,} {n}-grams" for n, count in enumerate(ngrams, start=1))
    print(f"wrote {options.out}: {listed}, {options.out.stat().st_size:,} bytes")
    if options.dev:
        dev = read_sentences(options.dev, TextFilter(rules, characters))
        measured = measure(options.out, dev.sentences)
        print(
            f"{name_of(options.dev)}: perplexity {measured.perplexity:.1f}, "
            f"{measured.unknown_percent:.1f} % of the words unknown"
        )


def _rules_of(options: argparse.Namespace) -> tuple[TextNormalisation, frozenset[str] | None]:
    """Text rules, and the characters that a speech model can spell, if one is named."""
    if options.like is None:
        return rules_asked(options), None
    from model_export.checkpoint import SPEC_FILE, load_spec  # here: it needs torch

    is_checkpoint = (options.like / SPEC_FILE).exists()
    like = load_spec(options.like) if is_checkpoint else read_manifest(options.like)
    return rules_asked(options, like.text_normalisation), characters_of(like.vocabulary)
