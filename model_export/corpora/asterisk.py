"""Make a test set of telephone prompts from two Debian packages.

    apt-get download asterisk-core-sounds-en asterisk-core-sounds-en-g722
    for package in asterisk-core-sounds-en*.deb; do dpkg -x "$package" prompts; done
    python -m model_export.corpora.asterisk prompts data/asterisk-en --language en

One reader, 16 kHz, CC-BY-SA-3.0 (it and ru CC-BY-3.0): for measuring. Prompts whose text is not
what is said are left out: digits, brackets, abbreviations, and fewer than three characters a
second. Most accents of the Spanish texts are missing.
"""

import argparse
import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

from model_export.corpora.rows import Row, summarise, write_manifest

UNSPOKEN = re.compile(r"[\d\[\]()<>]|^.?$|^[A-Z]\.[A-Z]\.$")
SLOWEST_CHARACTERS_PER_S = 3.0
SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True)
class Prompts:
    """Where the prompts of a language lie in its packages.

    Attributes:
        transcripts: file.
        sounds: folder.
        reader: who speaks.
    """

    transcripts: Path
    sounds: Path
    reader: str


DOCUMENTS, RECORDINGS = Path("usr/share/doc"), Path("usr/share/asterisk/sounds")
VOICES = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
PROMPTS = {
    language: Prompts(
        DOCUMENTS / f"asterisk-core-sounds-{language}" / f"core-sounds-{language}.txt.gz",
        RECORDINGS / voice,
        voice.rpartition("_")[2],
    )
    for language, voice in VOICES.items()
}


def main(arguments: list[str] | None = None) -> None:
    """Write WAV files and `manifest.jsonl` into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, help="folder of the unpacked packages")
    parser.add_argument("out", type=Path)
    parser.add_argument("--language", default="en", choices=sorted(PROMPTS))
    options = parser.parse_args(arguments)
    prompts = PROMPTS[options.language]
    rows = []
    for name, text in transcripts(options.packages / prompts.transcripts).items():
        recording = options.packages / prompts.sounds / f"{name}.g722"
        if not recording.is_file() or UNSPOKEN.search(text):
            continue
        waveform = decode_g722(recording)
        seconds = round(len(waveform) / SAMPLE_RATE_HZ, 3)
        if len(text) / seconds >= SLOWEST_CHARACTERS_PER_S:
            wav = options.out / f"{name}.wav"
            wav.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(wav, waveform, SAMPLE_RATE_HZ)
            rows.append(Row(f"{name}.wav", text, seconds, prompts.reader, "test"))
    manifest = options.out / "manifest.jsonl"
    write_manifest(manifest, rows)
    long_enough = sum(row.seconds >= 1 for row in rows)
    print(f"{manifest}: {summarise(rows)}; {long_enough} rows of at least 1 s")


def transcripts(path: Path) -> dict[str, str]:
    """Text of each prompt, by name."""
    texts = {}
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, separator, text = line.partition(":")
            if separator and not line.startswith(";"):
                texts[name.strip()] = " ".join(text.split())
    return texts


def decode_g722(path: Path) -> npt.NDArray[np.int16]:
    """Decode headerless G.722, which no decoder can recognise by itself."""
    with av.open(str(path), format="g722") as container:
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(blocks)


if __name__ == "__main__":
    main()
