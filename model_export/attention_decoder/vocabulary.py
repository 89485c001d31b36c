"""The part of a pretrained tokenizer that a model's texts need.

Byte-pair tokenizers number their tokens in the order in which they were merged. What is left of
the first so many, where only characters that the model writes are kept, is a tokenizer again, and
each of its tokens has a pretrained vector.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from model_export.errors import BaseUnavailable


def _symbols() -> dict[int, str]:
    """How byte-level tokenizers write each byte: by itself, where that can be seen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {
        byte: chr(256 + place) for place, byte in enumerate(hidden)
    }


SYMBOLS = _symbols()
BYTES = {symbol: byte for byte, symbol in SYMBOLS.items()}


@dataclass(frozen=True)
class SmallTokenizer:
    """A tokenizer for one language's plain text.

    Attributes:
        tokenizer: of text that begins with a space.
        pretrained_ids: of each token, in the tokenizer that it comes from.
        tokens: the bytes that each writes, as characters U+0000 to U+00FF.
    """

    tokenizer: Tokenizer
    pretrained_ids: tuple[int, ...]
    tokens: tuple[str, ...]

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, its words joined by single spaces."""
        ids: list[int] = self.tokenizer.encode(f" {text}").ids
        return ids


def small_tokenizer(path: Path, characters: Sequence[str], most: int) -> SmallTokenizer:
    """Keep what writes some characters.

    Args:
        path: `tokenizer.json` of a byte-pair tokenizer.
        characters: that texts consist of, beside spaces.
        most: how many of its first tokens to look at.

    Raises:
        BaseUnavailable: there is no such file, or it is no byte-pair tokenizer.
    """
    try:
        whole = json.loads(path.read_bytes())
        ids, merges = whole["model"]["vocab"], [_pair(one) for one in whole["model"]["merges"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaseUnavailable(f"{path} is no byte-pair tokenizer: {error}") from error
    alphabet = {symbol for character in (" ", *characters) for symbol in _in_bytes(character)}
    kept = {token for token, number in ids.items() if number < most and alphabet.issuperset(token)}
    merges = [pair for pair in merges if kept.issuperset((*pair, "".join(pair)))]
    made = {"".join(pair) for pair in merges} | {token for token in kept if len(token) == 1}
    ordered = sorted(made, key=lambda token: ids[token])
    model = {
        **whole["model"],
        "vocab": {token: place for place, token in enumerate(ordered)},
        "merges": merges,
    }
    small = {**whole, "model": model, "added_tokens": [], "post_processor": None}
    tokenizer = Tokenizer.from_str(json.dumps(small))
    return SmallTokenizer(
        tokenizer,
        tuple(ids[token] for token in ordered),
        tuple("".join(chr(BYTES[symbol]) for symbol in token) for token in ordered),
    )


def _pair(merge: str | list[str]) -> tuple[str, ...]:
    return tuple(merge.split(" ") if isinstance(merge, str) else merge)


def _in_bytes(character: str) -> str:
    return "".join(SYMBOLS[byte] for byte in character.encode())
