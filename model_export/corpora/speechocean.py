"""speechocean762: read English of 250 learners, half of them children; CC BY 4.0.

    git clone https://github.com/jimbozhang/speechocean762

Five thousand short sentences, 16 kHz, recorded on telephones; their mother tongue is Mandarin.
(Zhang et al., Interspeech 2021, arXiv 2104.01378.) The published halves share no speaker; of the
second half every fifth speaker is kept for measuring here, every fifth for choosing, and the
others are learned from.
"""

from collections.abc import Iterator
from pathlib import Path

from model_export.corpora.rows import Sentence

HALVES = ("train", "test")
PARTS = 5


def read_sentences(repository: Path) -> Iterator[Sentence]:
    """Every sentence, half by half.

    Args:
        repository: a clone, with its files.

    Raises:
        FileNotFoundError: it is no such clone.
    """
    for half in HALVES:
        recordings = _table(repository / half / "wav.scp")
        speakers = _table(repository / half / "utt2spk")
        for name, text in _table(repository / half / "text").items():
            speaker = speakers[name]
            yield Sentence(
                repository / recordings[name], text.lower(), speaker, _split(half, speaker)
            )


def _split(half: str, speaker: str) -> str:
    if half == "train":
        return "train"
    return {0: "test", 1: "dev"}.get(int(speaker) % PARTS, "train")


def _table(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in path.read_text("utf-8").splitlines())
