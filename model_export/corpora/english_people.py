"""Make a corpus of people who speak English, nine hours or more, for `make english`.

    apt-get download flight-of-the-amazon-queen && dpkg -x flight-of-the-amazon-queen*.deb queen
    git clone https://github.com/jimbozhang/speechocean762
    python -m model_export.corpora.english_people queen speechocean762 data/english-people

writes FLAC files and `manifest.jsonl` with the splits train, dev and test. Game dialogue by some
thirty actors, from the first; sentences read by 250 learners, from the second. Left out: what is
written as a noise or in signs, and recordings whose length does not fit their text. Each of

    --librispeech LibriSpeech   --an4 SIDCo/data/an4
    --common-voice transcription-generator/asr/data

adds a corpus, after the others and without changing them; its module tells how to get it. What is
recorded at more than 16 kHz is written at 16 kHz.
"""

import argparse
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from model_export.corpora import an4, common_voice, librispeech, speechocean
from model_export.corpora.amazon_queen import spoken_lines
from model_export.corpora.real_speech import fits
from model_export.corpora.rows import Row, Sentence, lot_of, summarise, write_manifest
from service.audio import SAMPLE_RATE_HZ

# Letters and the signs of sentences, no letter three times in a row, and two letters at least.
SPOKEN = re.compile(r"(?!.*([a-z])\1\1)(?=.*[a-z].*[a-z])[a-z '\",.!?:;()-]+", re.IGNORECASE)
READERS: dict[str, Callable[[Path], Iterator[Sentence]]] = {
    "speechocean": speechocean.read_sentences,
    "librispeech": librispeech.read_sentences,
    "an4": an4.read_sentences,
    "common_voice": common_voice.read_sentences,
}
DEV_SHARE = 20  # one game line in so many, by its words


def main(arguments: list[str] | None = None) -> None:
    """Write FLAC files and the manifest into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("queen", type=Path, help="folder of the unpacked package")
    parser.add_argument("speechocean", type=Path, help="clone of speechocean762")
    parser.add_argument("out", type=Path)
    parser.add_argument("--librispeech", type=Path, help="folder LibriSpeech, with dev-clean")
    parser.add_argument("--an4", type=Path, help="folder an4, with etc and wav")
    parser.add_argument("--common-voice", type=Path, help="folder with cv-valid-dev.csv")
    options = parser.parse_args(arguments)
    folders = {name: folder for name in READERS if (folder := getattr(options, name))}
    rows = [*_queen(options.queen, options.out), *_readings(folders, options.out)]
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


def _readings(folders: dict[str, Path], out: Path) -> Iterator[Row]:
    for corpus, folder in folders.items():
        for sentence in READERS[corpus](folder):
            layout = an4.LAYOUT if sentence.recording.suffix == ".raw" else {}
            waveform, rate_hz = soundfile.read(sentence.recording, dtype="int16", **layout)
            audio = Path(corpus) / f"{sentence.recording.stem}.flac"
            seconds = _write(out / audio, waveform, rate_hz)
            speaker = f"{corpus}-{sentence.speaker}"
            yield Row(audio.as_posix(), sentence.text, seconds, speaker, sentence.split)


def _write(path: Path, waveform: npt.NDArray[np.int16], rate_hz: int) -> float:
    path.parent.mkdir(parents=True, exist_ok=True)
    if rate_hz > SAMPLE_RATE_HZ:
        waveform, rate_hz = soxr.resample(waveform, rate_hz, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ
    soundfile.write(path, waveform, rate_hz)
    return round(len(waveform) / rate_hz, 3)


def _share(text: str) -> int:
    return lot_of(text) % DEV_SHARE


if __name__ == "__main__":
    main()
