"""LibriSpeech's dev-clean: audiobooks of LibriVox, read by 40 people, five hours; CC BY 4.0.

    curl -O https://www.openslr.org/resources/12/dev-clean.tar.gz && tar xf dev-clean.tar.gz

(Panayotov et al., ICASSP 2015.) Sentences and parts of them, 16 kHz, in capitals without signs.
Sentences whose recordings are not there are skipped, so that a part of the corpus will do: half of
it, as MP3, is in github.com/felixbastian/Speaker_partition_module (data/LibriSpeech). One man and
one woman are kept for measuring, one and one for choosing; the others are learned from.
"""

from collections.abc import Iterator
from pathlib import Path

from model_export.corpora.rows import Sentence

SUBSET = "dev-clean"
SUFFIXES = (".flac", ".wav")
HELD_OUT = {"1919": "test", "2086": "test", "251": "dev", "2035": "dev"}  # by speaker


def read_sentences(corpus: Path) -> Iterator[Sentence]:
    """Every sentence that is recorded, speaker by speaker.

    Args:
        corpus: the folder LibriSpeech, as its archives unpack.

    Raises:
        FileNotFoundError: it holds no transcripts of dev-clean.
    """
    transcripts = sorted((corpus / SUBSET).glob("*/*/*.trans.txt"))
    if not transcripts:
        raise FileNotFoundError(f"{corpus / SUBSET} holds no SPEAKER/CHAPTER/*.trans.txt")
    for path in transcripts:
        yield from _chapter(path)


def _chapter(transcripts: Path) -> Iterator[Sentence]:
    for line in transcripts.read_text("utf-8").splitlines():
        name, text = line.split(maxsplit=1)
        speaker = name.split("-")[0]
        recordings = (transcripts.with_name(f"{name}{suffix}") for suffix in SUFFIXES)
        if recording := next(filter(Path.is_file, recordings), None):
            yield Sentence(recording, text.lower(), speaker, HELD_OUT.get(speaker, "train"))
