"""Sentences that can be spoken and written alike: no figures, no brackets, nothing held out."""

from collections.abc import Iterable
from pathlib import Path

import regex
from tqdm import tqdm

from model_export.data.tables import numbered_lines
from model_export.errors import SynthesisRefused
from model_export.language_model.held_out import HeldOut
from model_export.language_model.texts import LeftOut, TextFilter, split_sentences
from service.bundle import TextNormalisation

# Anything else is read aloud by every engine in its own way.
SPEAKABLE = regex.compile(r"[¿¡\p{Lu}\p{Ll}\p{Lo}][\p{L}\p{M}'\u2019,;:.?!¿¡ -]*")


def read_speakable(path: Path, held_out: HeldOut, words: tuple[int, int]) -> list[str]:
    """Different sentences of a plain text, a line holding one or several.

    Args:
        path: of the text; its stem names the source.
        held_out: what no sentence may repeat.
        words: fewest and most words.

    Raises:
        ManifestInvalid: it cannot be read.
        SynthesisRefused: no sentence of it can be taken.
    """
    text_filter = TextFilter(TextNormalisation(), held_out=held_out)
    lines = tqdm(numbered_lines(path), f"read {path.name}", unit=" lines", disable=None)
    parts = (part for _, line in lines for part in split_sentences(line.strip()))
    kept = list(dict.fromkeys(part for part in parts if _fits(part, text_filter, words)))
    if not kept:
        raise SynthesisRefused(
            f"{path} has no sentence of {words[0]} to {words[1]} words without figures and brackets"
        )
    return kept


def read_sources(
    paths: Iterable[Path], held_out: HeldOut, words: tuple[int, int]
) -> dict[str, list[str]]:
    """`read_speakable` for each text, by source."""
    return {path.stem: read_speakable(path, held_out, words) for path in paths}


def _fits(sentence: str, text_filter: TextFilter, words: tuple[int, int]) -> bool:
    return (
        words[0] <= len(sentence.split()) <= words[1]
        and SPEAKABLE.fullmatch(sentence) is not None
        and not isinstance(text_filter.apply(sentence), LeftOut)
    )
