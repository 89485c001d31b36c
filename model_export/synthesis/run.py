"""Speaking a plan into a folder: clips, and the manifest that training reads.

plan.json        what was asked for; a run goes on only with the very same
clips/*.flac     16 kHz, each written whole or not at all
manifest.jsonl   the clips with their texts, once all were tried
failed.jsonl     what could not be spoken
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from model_export.errors import SynthesisFailed, SynthesisRefused
from model_export.synthesis.engines import Engine
from model_export.synthesis.plan import Utterance
from service.audio import SAMPLE_RATE_HZ

PLAN_FILE, MANIFEST_FILE, FAILED_FILE = "plan.json", "manifest.jsonl", "failed.jsonl"
CLIPS = "clips"
LOUDEST = 0.95  # peaks beyond are turned down, since resampling can overshoot


@dataclass(frozen=True)
class Spoken:
    """What a run left.

    Attributes:
        seconds: of speech, by split.
        failed: utterances that could not be spoken.
    """

    seconds: Counter[str]
    failed: int


def claim_folder(out: Path, asked: Mapping[str, Any]) -> None:
    """Take a folder for a plan, or go on with the same one.

    Raises:
        SynthesisRefused: another plan was begun there.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / PLAN_FILE
    text = json.dumps(asked, indent=2) + "\n"
    if not path.exists():
        path.write_text(text)
        return
    before = json.loads(path.read_text())
    changed = [name for name in asked if before.get(name) != json.loads(text)[name]]
    if changed:
        name = changed[0]
        raise SynthesisRefused(
            f"{out} was begun with {name} = {before.get(name)!r}, not {asked[name]!r}; "
            "take the same, or another folder"
        )


def speak(plan: Sequence[Utterance], engines: Mapping[str, Engine], out: Path, jobs: int) -> Spoken:
    """Speak what is not spoken yet, then write the manifest.

    Args:
        plan: every utterance; its place is its clip's name.
        engines: by name.
        out: folder that was claimed.
        jobs: sentences spoken at once.
    """
    (out / CLIPS).mkdir(exist_ok=True)

    def one(index: int) -> dict[str, Any]:
        return _row(plan[index], engines, out, f"{CLIPS}/{index:06d}.flac")

    with ThreadPoolExecutor(jobs) as pool:
        try:
            spoken = pool.map(one, range(len(plan)))
            rows = list(tqdm(spoken, "speak", len(plan), unit=" clips", disable=None))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    failed = [row for row in rows if "error" in row]
    _write(out / MANIFEST_FILE, (row for row in rows if "error" not in row))
    _write(out / FAILED_FILE, failed)
    seconds: Counter[str] = Counter()
    for row in rows:
        seconds[row["split"]] += row.get("seconds", 0.0)
    return Spoken(seconds, len(failed))


def _row(
    utterance: Utterance, engines: Mapping[str, Engine], out: Path, name: str
) -> dict[str, Any]:
    facts = asdict(utterance)
    passage, engine, voice = (facts.pop(key) for key in ("passage", "engine", "voice"))
    row = {"audio": name, **passage, "speaker": f"{engine}:{voice}", **facts}
    if not (out / name).exists():
        try:
            _speak_one(utterance, engines[engine], out / name)
        except SynthesisFailed as error:
            return {**row, "error": str(error)}
    return {**row, "seconds": round(soundfile.info(out / name).duration, 3)}


def _speak_one(utterance: Utterance, engine: Engine, path: Path) -> None:
    waveform, rate_hz = engine(utterance.passage.text, utterance.voice, utterance.speed)
    if not len(waveform) or not np.isfinite(waveform).all() or not waveform.any():
        raise SynthesisFailed(f"{utterance.engine} with voice {utterance.voice} gave no sound")
    resampled = soxr.resample(waveform, rate_hz, SAMPLE_RATE_HZ)
    resampled *= min(1.0, LOUDEST / float(np.abs(resampled).max()))
    unfinished = path.with_suffix(".part")
    soundfile.write(unfinished, resampled, SAMPLE_RATE_HZ, format="FLAC")
    os.replace(unfinished, path)


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
