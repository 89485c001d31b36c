"""Texts of several sources as files, a sentence or paragraph a line."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path


def parse_folders(description: str | None, arguments: list[str] | None) -> tuple[Path, Path]:
    """The folder of the unpacked packages and the one to write, as a command line names them."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, help="folder of the unpacked packages")
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    return options.packages, options.out


def write_texts(
    out: Path, texts: Mapping[str, Iterable[str]], held_out: Mapping[str, Iterable[str]]
) -> None:
    """Write `NAME.txt` for each text, and into `held-out` what test sets say."""
    for folder, sources in ((out, texts), (out / "held-out", held_out)):
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in sources.items():
            _write_lines(folder / f"{name}.txt", lines)


def _write_lines(path: Path, texts: Iterable[str]) -> None:
    lines = [" ".join(text.split()) for text in texts]
    path.write_text("".join(f"{line}\n" for line in lines if line), encoding="utf-8")
    print(f"{path}: {len(lines):,} lines, {sum(len(line.split()) for line in lines):,} words")
