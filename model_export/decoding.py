"""How `evaluate` reads logits: as a bundle says, or with another language model or weights."""

from dataclasses import dataclass
from pathlib import Path

from service.attention_decoding import AttentionSearch, open_attention_search
from service.beam_search import BeamSearch
from service.bundle import Bundle, LanguageModel, Vocabulary
from service.errors import InvalidBundle
from service.options import Decoding

FIRST_WEIGHT, FIRST_WORD_SCORE, FIRST_BEAM = 2.0, 0.0, 50  # of a model that is yet to be tuned


@dataclass(frozen=True)
class DecodingChoice:
    """What is asked for; None leaves it to the bundle.

    Attributes:
        decoding: None takes what the bundle is best read by.
        language_model: ARPA text that goes before the bundle's.
        weight: of its log10 probabilities.
        word_score: added for every word.
        beam: hypotheses kept.
    """

    decoding: Decoding | None = None
    language_model: Path | None = None
    weight: float | None = None
    word_score: float | None = None
    beam: int | None = None


@dataclass(frozen=True)
class Search:
    """What came of a choice.

    Attributes:
        decoding: how logits are read.
        beam_search: None for greedy decoding, or where there is no language model.
        record: in words.
        attention: None for all but attention.
    """

    decoding: Decoding
    beam_search: BeamSearch | None
    record: str
    attention: AttentionSearch | None = None


def open_search(
    choice: DecodingChoice, vocabulary: Vocabulary, bundle: Bundle | None = None
) -> Search:
    """Load the language model, and the attention decoder, that are asked for.

    Args:
        choice: what is asked for.
        vocabulary: of the model.
        bundle: None for a checkpoint, which has no language model of its own.

    Raises:
        InvalidBundle: there is none for what is asked for, or it is damaged.
    """
    form = bundle.manifest.attention_decoder if bundle else None
    if choice.decoding == "attention" and form is None:
        raise InvalidBundle("there is no attention decoder; export a bundle with one")
    first = _first_pass(choice, vocabulary, bundle)
    if choice.decoding not in (None, "attention") or bundle is None or form is None:
        return first
    record = f"attention; where it is not believed, {first.record}"
    attention = open_attention_search(bundle, form, first.beam_search)
    return Search("attention", first.beam_search, record, attention)


def _first_pass(choice: DecodingChoice, vocabulary: Vocabulary, bundle: Bundle | None) -> Search:
    own = bundle.manifest.language_model if bundle else None
    path = choice.language_model
    if path is None and bundle is not None and own is not None:
        path = bundle.path_of(own.file)
    if choice.decoding == "greedy" or (choice.decoding != "beam" and path is None):
        return Search("greedy", None, "greedy")
    if path is None:
        raise InvalidBundle("there is no language model for beam search; name --language-model")
    facts = _facts(choice, own, path)
    record = (
        f"beam {facts.beam}, {path.name}, weight {facts.weight:g}, word score {facts.word_score:g}"
    )
    return Search("beam", BeamSearch(vocabulary, facts, path), record)


def _facts(choice: DecodingChoice, own: LanguageModel | None, path: Path) -> LanguageModel:
    facts = own or LanguageModel(
        file=path.name,
        weight=FIRST_WEIGHT,
        word_score=FIRST_WORD_SCORE,
        beam=FIRST_BEAM,
        texts=(),
    )
    asked = {"weight": choice.weight, "word_score": choice.word_score, "beam": choice.beam}
    changes = {name: value for name, value in asked.items() if value is not None}
    return facts.model_copy(update=changes)
