"""What `wsm-export export` does, given its parsed options."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from model_export.attention_decoder.checkpoint import load_decoder
from model_export.checkpoint import ModelSpec, load_checkpoint
from model_export.data import read_corpus
from model_export.data.recordings import load_waveform
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError, ManifestInvalid
from model_export.export.attention import AddedAttention
from model_export.export.bundle import BundleFacts, created_with, write_bundle
from model_export.export.exporters import round_weights
from model_export.export.language_model import AddedLanguageModel, file_name
from model_export.export.variants import INT8, Recordings, choose_variants
from model_export.mixing.chunking import obstacles, refuse_if
from service.arrays import FloatArray
from service.bundle import LanguageModel, Measurement, Provenance, Runtime
from service.signatures import UnusableKey, signer

RANGE_CLIPS = 64


def export(options: argparse.Namespace) -> None:
    """Write a bundle from a checkpoint."""
    spec, model = load_checkpoint(options.checkpoint, base=options.base)
    if options.weights == "float16":
        round_weights(model)
    facts = BundleFacts(
        name=options.name or options.out.name,
        summary=options.summary,
        notes=_read_notes(options.notes) if options.notes else "",
        provenance=Provenance(
            base=options.base_name or spec.base,
            base_licence=options.base_licence,
            data=tuple(options.data or spec.data),
            weights_licence=options.licence,
            created_with=created_with(),
        ),
        chunk_frames=_chunk_frames_asked(options, spec, model),
        longest_pass_s=options.longest_pass,
        measurements=tuple(_read_measurement(path) for path in options.measured),
        language_model=_language_model_asked(options),
        attention=_attention_asked(options),
    )
    variants = choose_variants(
        options.runtime or get_args(Runtime), options.precision or ["float32"]
    )
    recordings = Recordings(
        parity=[load_waveform(path) for path in options.clip],
        ranges=_read_ranges(options.ranges, spec) if INT8 in variants else (),
    )
    sign = _signer(options.sign) if options.sign else None
    parities = write_bundle(
        options.out, spec, model, facts, variants=variants, recordings=recordings
    )
    if sign is not None:
        sign(options.out)
    for file, parity in parities.items():
        print(
            f"{file}: {parity.logit_difference:.1e} off eager, {parity.batch_difference:.1e} "
            f"between batch and alone, {parity.flipped_frames} of {parity.frames} labels differ"
        )
    print(f"wrote {options.out}")


def _signer(private_key: Path) -> Callable[[Path], None]:
    """Before the work, since its end would be late to find out that the key is no good."""
    try:
        return signer(private_key)
    except UnusableKey as error:
        raise ExportError(str(error)) from error


def _chunk_frames_asked(
    options: argparse.Namespace, spec: ModelSpec, model: CtcModel
) -> int | None:
    if not (options.streaming or spec.chunk_frames or options.chunk):
        return None
    refuse_if(obstacles(model))
    frames: int | None = options.chunk or spec.chunk_frames
    return frames


def _read_ranges(reference: str | None, spec: ModelSpec) -> list[FloatArray]:
    if reference is None:
        raise ExportError("int8 needs speech that sets its ranges: --ranges DATA[#SPLIT]")
    clips = read_corpus(reference, spec.text_normalisation).clips
    return [load_waveform(clip.audio) for clip in clips[:: len(clips) // RANGE_CLIPS + 1]]


def _language_model_asked(options: argparse.Namespace) -> AddedLanguageModel | None:
    if options.language_model is None:
        return None
    facts = LanguageModel(
        file=file_name(options.language_model),
        weight=options.lm_weight,
        word_score=options.word_score,
        beam=options.beam,
        texts=tuple(options.lm_text),
    )
    return AddedLanguageModel(options.language_model, facts)


def _attention_asked(options: argparse.Namespace) -> AddedAttention | None:
    if options.attention_decoder is None:
        return None
    spec, decoder = load_decoder(options.attention_decoder)
    return AddedAttention(spec, decoder, options.least_agreement)


def _read_notes(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error


def _read_measurement(path: Path) -> Measurement:
    try:
        return Measurement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ManifestInvalid(f"{path} is no record of evaluate --json: {error}") from error
