"""Writing a bundle: export, check every variant, then record what it is.

A bundle is made in a temporary folder beside its place and moved there whole, so that a bundle
that exists is a bundle that passed.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from model_export.checkpoint import ModelSpec
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError
from model_export.export.attention import AddedAttention
from model_export.export.language_model import AddedLanguageModel, require_usable
from model_export.export.model_card import model_card
from model_export.export.parity import Parity
from model_export.export.streaming_graph import check_streaming, form_of, write_streaming
from model_export.export.variants import (
    Recordings,
    check_variant,
    golden_arrays,
    of_streaming_graph,
    open_int8,
    write_variant,
)
from model_export.mixing.streaming import StreamingModel
from service.audio import SAMPLE_RATE_HZ
from service.backends import Tuning, load_model
from service.bundle import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    Manifest,
    Measurement,
    Provenance,
    Variant,
    load_bundle,
    sha256_of,
)
from service.streaming_form import Streaming

MODEL_CARD_FILE = "MODEL_CARD.md"


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle records that the checkpoint does not know.

    Attributes:
        name: of the bundle.
        summary: a sentence for the model card.
        provenance: where the weights come from.
        notes: Markdown for the model card.
        measurements: error rates, measured.
        language_model: to go along, if any.
        attention: a decoder to go along, if any.
        chunk_frames: of a streaming graph, which then is the ONNX variant too; None makes none.
        longest_pass_s: cut longer audio although the encoder could take it, since training seldom
            reached it; None takes the encoder's own limit.
    """

    name: str
    summary: str
    provenance: Provenance
    notes: str = ""
    measurements: tuple[Measurement, ...] = ()
    language_model: AddedLanguageModel | None = None
    attention: AddedAttention | None = None
    chunk_frames: int | None = None
    longest_pass_s: float | None = None


def write_bundle(
    out: Path,
    spec: ModelSpec,
    model: CtcModel,
    facts: BundleFacts,
    *,
    variants: Sequence[Variant],
    recordings: Recordings = Recordings(),  # noqa: B008  frozen
) -> dict[str, Parity]:
    """Write a bundle, or nothing.

    Args:
        out: folder that must not exist yet.
        spec: of the checkpoint.
        model: the checkpoint's model.
        facts: the rest of the manifest.
        variants: what to write, the preferred one first.
        recordings: real speech to check them on.

    Returns:
        How far each variant's file is from the eager model.

    Raises:
        ExportError: `out` exists, torch cannot export the model, or an attention decoder is not
            made for it.
        LanguageModelRefused: no word of the language model can be spelled.
        ParityFailed: a variant leaves its tolerance.
        StreamingRefused: a streaming graph was asked for, and something forbids it.
    """
    if out.exists():
        raise ExportError(f"{out} exists; a bundle is written whole or not at all")
    if facts.language_model:
        require_usable(facts.language_model.source, spec.vocabulary)
    if facts.attention:
        facts.attention.show_frames(model, spec, in_chunks=facts.chunk_frames is not None)
    stream = None if facts.chunk_frames is None else StreamingModel(model, facts.chunk_frames)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        form = None
        if stream is not None:
            form = form_of(stream, list(dict.fromkeys(one.precision for one in variants)))
            write_streaming(stream, form, folder, recordings.ranges)
            variants = [of_streaming_graph(variant, form) for variant in variants]
        for variant in variants:
            if not (folder / variant.file).exists():
                write_variant(variant, model, folder, recordings)
        _write_golden(folder, model, variants, form, recordings)
        _write_manifest(folder, spec, model, facts, variants, form)
        parities = _check(folder, model, variants, recordings)
        if form is not None:
            clips = [*recordings.parity, *recordings.ranges]
            streamed = check_streaming(model, form, folder, clips)
            parities |= {f"{file}, in chunks": parity for file, parity in streamed.items()}
        folder.chmod(0o755)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return parities


def _write_golden(
    folder: Path,
    model: CtcModel,
    variants: Sequence[Variant],
    form: Streaming | None,
    recordings: Recordings,
) -> None:
    rounded = (variant for variant in variants if variant.precision == "int8")
    int8 = next((open_int8(variant, form, model, folder) for variant in rounded), None)
    golden = golden_arrays(model, int8, recordings)
    np.savez_compressed(folder / GOLDEN_FILE, allow_pickle=False, **golden)


def _check(
    folder: Path, model: CtcModel, variants: Sequence[Variant], recordings: Recordings
) -> dict[str, Parity]:
    """Load each variant as the service would, and hold it against the eager model."""
    bundle = load_bundle(folder)
    parities = {}
    for variant in variants:
        tuning = Tuning(precision=variant.precision)
        loaded = load_model(
            bundle, device="cpu", sessions=1, runtime=variant.runtime, tuning=tuning
        )
        parities[variant.file] = check_variant(variant, model, loaded.model, recordings)
    return parities


def _write_manifest(
    folder: Path,
    spec: ModelSpec,
    model: CtcModel,
    facts: BundleFacts,
    variants: Sequence[Variant],
    form: Streaming | None,
) -> None:
    front_end = model.front_end
    names = [GOLDEN_FILE, *(variant.file for variant in variants)]
    language_model = facts.language_model
    if language_model:
        shutil.copyfile(language_model.source, folder / language_model.facts.file)
        names.append(language_model.facts.file)
    attention = facts.attention.form if facts.attention else None
    if facts.attention and attention:
        facts.attention.write(folder)
        names += attention.files
    manifest = Manifest(
        schema_version=1,
        name=facts.name,
        languages=spec.languages,
        sample_rate_hz=SAMPLE_RATE_HZ,
        samples_per_frame=front_end.samples_per_frame,
        receptive_field_samples=front_end.receptive_field_samples,
        longest_single_pass_s=facts.longest_pass_s or front_end.longest_pass_s,
        vocabulary=spec.vocabulary,
        text_normalisation=spec.text_normalisation,
        input_convention=front_end.convention,
        layers=tuple(model.mixing),
        streaming=form,
        language_model=language_model.facts if language_model else None,
        attention_decoder=attention,
        variants=tuple(variants),
        files={name: sha256_of(folder / name) for name in names},
        provenance=facts.provenance,
        measurements=facts.measurements,
    )
    card = folder / MODEL_CARD_FILE
    card.write_text(model_card(manifest, facts.summary, facts.notes))
    files = {**manifest.files, MODEL_CARD_FILE: sha256_of(card)}
    complete = manifest.model_copy(update={"files": files})
    (folder / MANIFEST_FILE).write_text(complete.model_dump_json(indent=2) + "\n")


def created_with() -> str:
    """Names and versions of what wrote a bundle."""
    return f"wsm-stt {version('wsm-stt')}, torch {torch.__version__}"
