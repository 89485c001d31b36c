"""How `evaluate` reads logits: as a bundle says, or with another language model or weights."""

from dataclasses import dataclass
from pathlib import Path

from service.beam_search import BeamSearch
from service.bundle import Bundle, LanguageModel, Vocabulary
from service.errors import InvalidBundle
from service.options import Decoding

FIRST_WEIGHT, FIRST_WORD_SCORE, FIRST_BEAM = 2.0, 0.0, 50  # of a model that is yet to be tuned


@dataclass(frozen=True)
class DecodingChoice:
    """What is asked for; None leaves it to the bundle.

    Attributes:
        decoding: None takes beam search where there is a language model.
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
        beam_search: None for greedy decoding.
        record: in words.
    """

    decoding: Decoding
    beam_search: BeamSearch | None
    record: str


def open_search(
    choice: DecodingChoice, vocabulary: Vocabulary, bundle: Bundle | None = None
) -> Search:
    """Load the language model that is asked for.

    Args:
        choice: what is asked for.
        vocabulary: of the model.
        bundle: None for a checkpoint, which has no language model of its own.

    Raises:
        InvalidBundle: there is none for beam search, or it is damaged.
    """
    own = bundle.manifest.language_model if bundle else None
    path = choice.language_model
    if path is None and bundle is not None and own is not None:
        path = bundle.path_of(own.file)
    if choice.decoding == "greedy" or (choice.decoding is None and path is None):
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
