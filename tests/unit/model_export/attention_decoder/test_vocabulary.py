from pathlib import Path

import pytest
from tokenizers import Tokenizer

from model_export.attention_decoder.vocabulary import small_tokenizer
from model_export.errors import BaseUnavailable

EVERYTHING = 10_000


def written(tokens: tuple[str, ...], ids: list[int]) -> str:
    return "".join(tokens[number] for number in ids).encode("latin-1").decode()


def test_it_writes_what_it_reads(whole_whisper: Path) -> None:
    small = small_tokenizer(whole_whisper / "tokenizer.json", "abcé", EVERYTHING)
    for text in ("ab cab", "é", "c é bbb"):
        assert written(small.tokens, small.encode(text)) == f" {text}"


def test_tokens_are_those_of_the_whole_tokenizer(whole_whisper: Path) -> None:
    path = whole_whisper / "tokenizer.json"
    whole, small = Tokenizer.from_file(str(path)), small_tokenizer(path, "abcé", EVERYTHING)
    for text in ("ab cab", "abc bac", "cab abc é"):
        ids = [small.pretrained_ids[number] for number in small.encode(text)]
        assert ids == whole.encode(f" {text}").ids


def test_only_what_is_asked_for_is_left(whole_whisper: Path) -> None:
    path = whole_whisper / "tokenizer.json"
    small = small_tokenizer(path, "ab", EVERYTHING)
    assert set("".join(small.tokens)) == set(" ab")
    assert len(small_tokenizer(path, "ab", 260).tokens) < len(small.tokens)


@pytest.mark.parametrize("content", [None, "", "{}", '{"model": {"vocab": 3, "merges": [1]}}'])
def test_what_is_no_tokenizer_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BaseUnavailable, match="no byte-pair tokenizer"):
        small_tokenizer(path, "ab", EVERYTHING)
