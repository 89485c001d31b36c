"""Taking a language model into a bundle."""

from dataclasses import dataclass
from pathlib import Path

from model_export.errors import LanguageModelRefused
from model_export.language_model.arpa import COMPRESSED_SUFFIX, read_words
from service.bundle import LanguageModel, Vocabulary


@dataclass(frozen=True)
class AddedLanguageModel:
    """A language model for a bundle.

    Attributes:
        source: where it lies now.
        facts: what the bundle records of it.
    """

    source: Path
    facts: LanguageModel


def file_name(source: Path) -> str:
    """Name in the bundle: it tells whether the file is compressed, as KenLM sees for itself."""
    return "lm.arpa.gz" if source.suffix == COMPRESSED_SUFFIX else "lm.arpa"


def require_usable(source: Path, vocabulary: Vocabulary) -> None:
    """Check that a decoder could make use of a language model.

    Raises:
        LanguageModelRefused: it is no ARPA text, or the vocabulary can spell none of its words.
    """
    characters = set(vocabulary.tokens) - {vocabulary.word_delimiter}
    words = read_words(source)
    if not any(characters.issuperset(word) for word in words):
        raise LanguageModelRefused(
            f"{source}: of its {len(words):,} words the model's labels can spell none"
        )
