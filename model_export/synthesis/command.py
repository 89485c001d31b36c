"""What `wsm-export synthesise` takes and does."""

import argparse
import hashlib
import os
from collections.abc import Sequence

from model_export.errors import SynthesisRefused
from model_export.language_model.texts import read_held_out
from model_export.synthesis.engines import PROGRAMS, Engine
from model_export.synthesis.kokoro import Kokoro
from model_export.synthesis.plan import Casting, Utterance, make_plan
from model_export.synthesis.run import FAILED_FILE, MANIFEST_FILE, claim_folder, speak
from model_export.synthesis.sentences import read_sources
from service.bundle import TextNormalisation

KOKORO = "kokoro"


def synthesise(options: argparse.Namespace) -> None:
    """Speak a corpus, or go on with one."""
    casting = Casting(
        tuple(options.voices),
        tuple(options.dev_voices),
        options.speeds,
        options.blends,
        options.sentences,
    )
    held_out = read_held_out(options.held_out, TextNormalisation())
    sentences = read_sources(options.texts, held_out, options.words)
    plan = make_plan(
        sentences,
        casting,
        train_s=options.hours * 3600,
        dev_clips=options.dev_clips if casting.dev else 0,
        seed=options.seed,
    )
    engines = _engines(plan, options)
    claim_folder(options.out, _asked(options, plan))
    spoken = speak(plan, engines, options.out, options.jobs or os.cpu_count() or 1)
    hours = ", ".join(f"{name} {seconds / 3600:.2f} h" for name, seconds in spoken.seconds.items())
    print(f"{options.out / MANIFEST_FILE}: {hours}")
    if spoken.failed:
        print(f"{spoken.failed} clips could not be spoken: {options.out / FAILED_FILE}")


def _engines(plan: Sequence[Utterance], options: argparse.Namespace) -> dict[str, Engine]:
    """Every engine of a plan, checked before the first of many hours."""
    engines: dict[str, Engine] = {}
    for name in sorted({utterance.engine for utterance in plan}):
        if name in PROGRAMS:
            PROGRAMS[name].require()
            engines[name] = PROGRAMS[name]
        elif name == KOKORO:
            engines[name] = _kokoro(plan, options)
        else:
            known = ", ".join([*PROGRAMS, KOKORO])
            raise SynthesisRefused(f"no engine is called {name!r}; there are: {known}")
    return engines


def _kokoro(plan: Sequence[Utterance], options: argparse.Namespace) -> Kokoro:
    if options.kokoro_model is None or options.kokoro_voices is None:
        raise SynthesisRefused("Kokoro needs --kokoro-model and --kokoro-voices")
    kokoro = Kokoro(options.kokoro_model, options.kokoro_voices, options.kokoro_language)
    for voice in {utterance.voice for utterance in plan if utterance.engine == KOKORO}:
        kokoro.require(voice)
    return kokoro


def _asked(options: argparse.Namespace, plan: Sequence[Utterance]) -> dict[str, object]:
    """What a resumed run must ask for again; where things lie and how fast it goes may change."""
    return {
        "texts": [path.name for path in options.texts],
        "voices": [str(voices) for voices in options.voices],
        "dev_voices": [str(voices) for voices in options.dev_voices],
        "dev_clips": options.dev_clips,
        "hours": options.hours,
        "words": list(options.words),
        "sentences": list(options.sentences),
        "speeds": list(options.speeds),
        "blends": options.blends,
        "kokoro_language": options.kokoro_language,
        "seed": options.seed,
        "plan": hashlib.sha256(repr(plan).encode()).hexdigest()[:16],  # follows the texts too
    }
