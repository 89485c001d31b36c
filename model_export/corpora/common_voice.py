"""Common Voice's first release: short sentences that crowds read to their own devices; CC0 1.0.

    git clone https://github.com/leeyide96/transcription-generator  # asr/data

has its part "dev", five hours, 48 kHz, MP3. (Mozilla, 2017; Ardila et al., LREC 2020.) Left out:
clips that a listener rejected, and those whose length does not fit their text. Who speaks is not
told. So the sentences are divided, one in twenty to measure and one in twenty to choose, and the
same person may be heard in several splits. Later releases need no reader here: the commands take
their folders as they are.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from model_export.corpora.real_speech import duration_s, fits
from model_export.corpora.rows import Sentence, lot_of

PART = "cv-valid-dev"
SPEAKER = "?"
SHARES = 20


def read_sentences(corpus: Path) -> Iterator[Sentence]:
    """Every clip that nobody rejected.

    Args:
        corpus: folder with `cv-valid-dev.csv` and, perhaps deeper in `cv-valid-dev`, the clips.

    Raises:
        FileNotFoundError: it has no such table.
    """
    clips = {path.name: path for path in (corpus / PART).rglob("*.mp3")}
    with (corpus / f"{PART}.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            recording, text = clips.get(Path(row["filename"]).name), row["text"].strip()
            if recording and row["down_votes"] == "0" and fits(text, duration_s(recording)):
                yield Sentence(recording, text, SPEAKER, _split(text))


def _split(text: str) -> str:
    return {0: "test", 1: "dev"}.get(lot_of(text) % SHARES, "train")
