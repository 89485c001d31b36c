"""Make a corpus of people who speak English, ten hours, for `make english`.

    apt-get download flight-of-the-amazon-queen && dpkg -x flight-of-the-amazon-queen*.deb queen
    git clone https://github.com/jimbozhang/speechocean762
    python -m model_export.corpora.english_people queen speechocean762 data/english-people

writes FLAC files and `manifest.jsonl` with the splits train, dev and test. Game dialogue by some
thirty actors, from the first; sentences read by 250 learners, from the second. Left out: what is
written as a noise or in signs, and recordings whose length does not fit their text.
"""

import argparse
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from model_export.corpora.amazon_queen import spoken_lines
from model_export.corpora.real_speech import fits
from model_export.corpora.rows import Row, lot_of, summarise, write_manifest
from model_export.corpora.speechocean import read_sentences

# Letters and the signs of sentences, no letter three times in a row, and two letters at least.
SPOKEN = re.compile(r"(?!.*([a-z])\1\1)(?=.*[a-z].*[a-z])[a-z '\",.!?:;()-]+", re.IGNORECASE)
DEV_SHARE = 20  # one game line in so many, by its words


def main(arguments: list[str] | None = None) -> None:
    """Write FLAC files and the manifest into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("queen", type=Path, help="folder of the unpacked package")
    parser.add_argument("speechocean", type=Path, help="clone of speechocean762")
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    rows = [*_queen(options.queen, options.out), *_learners(options.speechocean, options.out)]
    manifest = options.out / "manifest.jsonl"
    write_manifest(manifest, rows)
    print(f"{manifest}: {summarise(rows)}")


def _queen(packages: Path, out: Path) -> Iterator[Row]:
    for line in spoken_lines(packages):
        if SPOKEN.fullmatch(line.text):
            waveform, rate_hz = soundfile.read(io.BytesIO(line.mp3), dtype="int16")
            if fits(line.text, len(waveform) / rate_hz):
                audio = Path("queen") / f"{line.name}.flac"
                seconds = _write(out / audio, waveform, rate_hz)
                split = "dev" if _share(line.text) == 0 else "train"
                yield Row(audio.as_posix(), line.text, seconds, f"queen-{line.speaker}", split)


def _learners(repository: Path, out: Path) -> Iterator[Row]:
    for sentence in read_sentences(repository):
        waveform, rate_hz = soundfile.read(sentence.recording, dtype="int16")
        audio = Path("speechocean") / f"{sentence.recording.stem}.flac"
        seconds = _write(out / audio, waveform, rate_hz)
        speaker = f"speechocean-{sentence.speaker}"
        yield Row(audio.as_posix(), sentence.text, seconds, speaker, sentence.split)


def _write(path: Path, waveform: npt.NDArray[np.int16], rate_hz: int) -> float:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, rate_hz)
    return round(len(waveform) / rate_hz, 3)


def _share(text: str) -> int:
    return lot_of(text) % DEV_SHARE


if __name__ == "__main__":
    main()
