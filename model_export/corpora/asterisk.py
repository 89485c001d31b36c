"""Make the English test set of telephone prompts from two Debian packages.

    apt-get download asterisk-core-sounds-en asterisk-core-sounds-en-g722
    for package in asterisk-core-sounds-en*.deb; do dpkg -x "$package" prompts; done
    python -m model_export.corpora.asterisk prompts data/asterisk-en

One reader, 16 kHz, CC-BY-SA-3.0: for measuring. Prompts whose text is not what is said are left
out: digits, brackets, abbreviations, and fewer than three characters a second.
"""

import argparse
import gzip
import re
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

from model_export.corpora.rows import Row, summarise, write_manifest

TRANSCRIPTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
READER = "Allison"
UNSPOKEN = re.compile(r"[\d\[\]()<>]|^.?$|^[A-Z]\.[A-Z]\.$")
SLOWEST_CHARACTERS_PER_S = 3.0
SAMPLE_RATE_HZ = 16000


def main(arguments: list[str] | None = None) -> None:
    """Write WAV files and `manifest.jsonl` into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, help="folder of the unpacked packages")
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    rows = []
    for name, text in transcripts(options.packages / TRANSCRIPTS).items():
        recording = options.packages / SOUNDS / f"{name}.g722"
        if not recording.is_file() or UNSPOKEN.search(text):
            continue
        waveform = decode_g722(recording)
        seconds = round(len(waveform) / SAMPLE_RATE_HZ, 3)
        if len(text) / seconds >= SLOWEST_CHARACTERS_PER_S:
            wav = options.out / f"{name}.wav"
            wav.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(wav, waveform, SAMPLE_RATE_HZ)
            rows.append(Row(f"{name}.wav", text, seconds, READER, "test"))
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
