"""Making the sets of real speech from Debian's packages, and holding them against a list."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from model_export.corpora.asterisk import decode_g722
from model_export.corpora.real_speech import packages_of, read_real_speech
from model_export.paper.experiments import AudioForm
from model_export.paper.packages import unpack
from model_export.paper.sets import manifest_of
from service.arrays import SAMPLE_RATE_HZ, FloatArray
from service.audio import decode_audio

WRITTEN: dict[AudioForm, dict[str, Any]] = {
    "flac": {"format": "FLAC"},
    "opus": {"format": "OGG", "subtype": "OPUS", "compression_level": 0.864},  # 40 kbit/s
}
INT16_SCALE = np.float32(32768)
CLOSE_S = 0.002


def make_set(language: str, packages: Path, folder: Path, form: AudioForm = "flac") -> None:
    """Make a set, unless it is there.

    Args:
        language: code.
        packages: folder of the unpacked packages; those that it lacks are fetched.
        folder: of all sets.
        form: lossless, or Opus at some 40 kbit/s, a quarter of the size, which is slow to write.

    Raises:
        CorpusUnavailable: a package cannot be fetched or unpacked.
    """
    manifest = manifest_of(folder, language)
    if manifest.exists():
        return
    unpack(packages_of(language), packages)
    (folder / language).mkdir(parents=True, exist_ok=True)
    lines = []
    clips = read_real_speech(packages, language)
    for number, clip in enumerate(tqdm(clips, desc=language, unit="clip", disable=None)):
        audio = f"{language}/{clip.corpus}-{number:04}.{form}"
        _write(folder / audio, _waveform(packages / clip.path), form)
        lines.append(json.dumps({"audio": audio} | asdict(clip), ensure_ascii=False) + "\n")
    unfinished = manifest.with_suffix(".unfinished")
    unfinished.write_text("".join(lines), encoding="utf-8")
    unfinished.replace(manifest)


def differences(folder: Path, language: str, listed: Path) -> Iterator[str]:
    """What a set has otherwise than a list of the same clips, a line each.

    Args:
        folder: of all sets.
        language: code.
        listed: JSONL with path, lang, text, seconds, speaker and split.
    """
    made = {row["path"]: row for row in _read_lines(manifest_of(folder, language))}
    wanted = {row["path"]: row for row in _read_lines(listed) if row["lang"] == language}
    for path in sorted(made.keys() ^ wanted.keys()):
        yield f"{path} is only in the {'set' if path in made else 'list'}"
    for path in sorted(made.keys() & wanted.keys()):
        for name in ("text", "speaker", "split"):
            if made[path][name] != wanted[path][name]:
                yield f"{path}: {name} {made[path][name]!r}, not {wanted[path][name]!r}"
        if abs(made[path]["seconds"] - wanted[path]["seconds"]) > CLOSE_S:
            yield f"{path}: {made[path]['seconds']} s, not {wanted[path]['seconds']} s"


def summary_of(folder: Path, language: str) -> str:
    """Clips and minutes of each split."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for row in _read_lines(manifest_of(folder, language)):
        seconds[row["split"]].append(row["seconds"])
    return ", ".join(
        f"{split} {len(each)} clips, {sum(each) / 60:.1f} min" for split, each in seconds.items()
    )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _waveform(recording: Path) -> FloatArray:
    if recording.suffix == ".g722":  # without a header
        return decode_g722(recording).astype(np.float32) / INT16_SCALE
    return decode_audio(recording)


def _write(path: Path, waveform: FloatArray, form: AudioForm) -> None:
    soundfile.write(path, waveform, SAMPLE_RATE_HZ, **WRITTEN[form])
