"""Tiny n-gram models in ARPA text, and bundles that have one."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from service.bundle import MANIFEST_FILE, sha256_of

FACTS = {"weight": 2.0, "word_score": 0.0, "beam": 50, "texts": []}


def write_arpa(
    path: Path, unigrams: Mapping[str, float], bigrams: Mapping[tuple[str, str], float]
) -> Path:
    """Write a bigram model of log10 probabilities; unknown words and ends get -2, backoffs -0.5."""
    markers = ["-2\t<unk>", "-99\t<s>\t-0.5", "-2\t</s>"]
    words = [f"{score}\t{word}\t-0.5" for word, score in unigrams.items()]
    pairs = [f"{score}\t{first} {second}" for (first, second), score in bigrams.items()]
    counts = f"ngram 1={len(markers + words)}\nngram 2={len(pairs)}"
    unigram_lines = ["\\1-grams:", *markers, *words]
    bigram_lines = ["\\2-grams:", *pairs]
    lines = ["\\data\\", counts, "", *unigram_lines, "", *bigram_lines, "", "\\end\\", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def even_arpa(path: Path, words: Iterable[str]) -> Path:
    """Write a model to which all words are equally likely."""
    return write_arpa(path, dict.fromkeys(words, -2.0), {("<s>", "</s>"): -1.0})


def add_language_model(bundle: Path, copy: Path, words: Iterable[str]) -> Path:
    """Copy a bundle and give it a model to which all words are equally likely."""
    shutil.copytree(bundle, copy)
    even_arpa(copy / "words.arpa", words)
    manifest = json.loads((copy / MANIFEST_FILE).read_text())
    manifest["language_model"] = {"file": "words.arpa", **FACTS}
    manifest["files"]["words.arpa"] = sha256_of(copy / "words.arpa")
    (copy / MANIFEST_FILE).write_text(json.dumps(manifest))
    return copy
