"""From a bundle to a search that is ready."""

import json
from pathlib import Path

from service.attention_decoding.search import AttentionSearch
from service.attention_decoding.writer import Writer
from service.attention_form import AttentionDecoder
from service.backends.attention import open_attention
from service.beam_search import BeamSearch
from service.bundle import Bundle
from service.errors import InvalidBundle


def open_attention_search(
    bundle: Bundle, form: AttentionDecoder, beam_search: BeamSearch | None
) -> AttentionSearch:
    """Load a bundle's attention decoder.

    Raises:
        InvalidBundle: its files are not what they should be.
    """
    tokens = read_tokens(bundle.path_of(form.tokens_file))
    writer = Writer(open_attention(bundle, form), tokens, form.longest_tokens)
    return AttentionSearch(bundle.manifest.vocabulary, writer, form.least_agreement, beam_search)


def read_tokens(path: Path) -> list[str]:
    """The bytes that each token writes, as characters.

    Raises:
        InvalidBundle: the file is no list of such texts.
    """
    try:
        tokens = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidBundle(f"{path} cannot be read: {error}") from error
    if not isinstance(tokens, list) or not all(map(_is_bytes, tokens)):
        raise InvalidBundle(f"{path} is not a list of the bytes that tokens write")
    return tokens


def _is_bytes(token: object) -> bool:
    return isinstance(token, str) and all(ord(character) < 256 for character in token)
