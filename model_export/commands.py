"""What each subcommand of `wsm-export` does, given its parsed options."""

import argparse
import json
import sys
from pathlib import Path
from typing import get_args

import transformers
from pydantic import ValidationError

from model_export.base_files import digest_of_base
from model_export.bases import resolve_base
from model_export.bundle import BundleFacts, created_with, write_bundle
from model_export.checkpoint import ModelSpec, load_checkpoint, load_spec
from model_export.data import Clip, Corpus, keep_spellable, read_corpus
from model_export.errors import ManifestInvalid
from model_export.evaluate import open_recogniser, score
from model_export.exporters import round_weights
from model_export.families import layer_count_of
from model_export.finetune import FineTuning, Schedule
from model_export.hub import commit_of
from model_export.model_card import describe_mixing
from model_export.recordings import load_waveform
from model_export.resuming import newest_checkpoint
from model_export.surgery import count_parameters, select_layers
from model_export.text import make_vocabulary, read_vocabulary
from model_export.training_data import duration_s
from service.bundle import (
    Measurement,
    Provenance,
    Runtime,
    TextNormalisation,
    Vocabulary,
    load_bundle,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def finetune(options: argparse.Namespace) -> None:
    """Fine-tune, or go on with an earlier run."""
    rules = TextNormalisation(lowercase=not options.cased, keep=options.keep)
    train = read_corpus(options.train, rules)
    if options.start:
        vocabulary = load_spec(options.start).vocabulary
    elif options.vocabulary:
        vocabulary = read_vocabulary(options.vocabulary)
    else:
        vocabulary = make_vocabulary(clip.text for clip in train.clips)
    train = keep_spellable(train, vocabulary)
    dev = keep_spellable(read_corpus(options.dev, rules), vocabulary)
    schedule = Schedule(
        epochs=options.epochs,
        match_epochs=options.match_epochs if options.init == "match" else 0,
        learning_rate=options.learning_rate,
        batch_s=options.batch_seconds,
        copies=options.copies,
        seed=options.seed,
    )
    run = FineTuning(
        _spec(options, vocabulary, rules),
        out=options.out,
        schedule=schedule,
        cache_dir=options.cache_features,
        start=options.start,
    )
    train, dev = run.fitting(train), run.fitting(dev)
    _report_skipped(train, dev)
    learning = count_parameters(run.model, trainable_only=True)
    print(f"{learning:,} of {count_parameters(run.model):,} parameters learn")
    if resumed := newest_checkpoint(options.out):
        print(f"going on from {resumed}")
    rates = run.run(train, dev)
    print(f"{options.out}: WER {rates['eval_wer']:.1f} %, CER {rates['eval_cer']:.1f} % on dev")


def _spec(
    options: argparse.Namespace, vocabulary: Vocabulary, rules: TextNormalisation
) -> ModelSpec:
    folder = resolve_base(options.base, options.revision)
    return ModelSpec(
        base=options.base,
        base_revision=options.revision,
        base_commit=commit_of(folder),
        base_digest=digest_of_base(folder),
        languages=tuple(options.language),
        layers=select_layers(options.replace, layer_count_of(folder)),
        mixer=options.mixer,
        window_frames=options.window if options.mixer == "wsm" else None,
        also_train=tuple(options.also_train),
        vocabulary=vocabulary,
        text_normalisation=rules,
        data=(Path(options.train.partition("#")[0]).name,),
    )


def evaluate(options: argparse.Namespace) -> None:
    """Score a checkpoint or a bundle on a manifest."""
    recogniser = open_recogniser(options.model, base=options.base)
    corpus = read_corpus(options.manifest, recogniser.text_normalisation)
    _report_skipped(corpus)
    clips = [clip for clip in corpus.clips if _is_long_enough(clip, options.min_seconds)]
    if not clips:
        raise ManifestInvalid(
            f"{options.manifest} has no clip of {options.min_seconds:g} s or more"
        )
    result = score(recogniser, clips)
    low, high = result.wer_interval
    print(
        f"{options.name or options.manifest}: {len(clips)} clips, {result.audio_s / 60:.1f} min, "
        f"WER {result.rates.wer_percent:.1f} % [{low:.1f}, {high:.1f}], "
        f"CER {result.rates.cer_percent:.1f} %"
    )
    if options.hypotheses:
        lines = zip(clips, result.hypotheses, strict=True)
        rows = ({"audio": str(c.audio), "text": c.text, "hypothesis": h} for c, h in lines)
        options.hypotheses.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if options.json:
        measurement = result.measurement(options.name or Path(options.manifest).name, options.note)
        options.json.write_text(measurement.model_dump_json(indent=2) + "\n")


def _is_long_enough(clip: Clip, min_seconds: float) -> bool:
    # A duration may cost a decoding, so it is not asked for in vain.
    return not min_seconds or duration_s(clip) >= min_seconds


def export(options: argparse.Namespace) -> None:
    """Write a bundle from a checkpoint."""
    spec, model = load_checkpoint(options.checkpoint, base=options.base)
    if options.weights == "float16":
        round_weights(model)
    facts = BundleFacts(
        name=options.name or options.out.name,
        summary=options.summary,
        provenance=Provenance(
            base=options.base_name or spec.base,
            base_licence=options.base_licence,
            data=tuple(options.data or spec.data),
            weights_licence=options.licence,
            created_with=created_with(),
        ),
        longest_pass_s=options.longest_pass,
        measurements=tuple(_read_measurement(path) for path in options.measured),
    )
    clips = [load_waveform(path) for path in options.clip]
    runtimes = options.runtime or list(get_args(Runtime))
    parities = write_bundle(options.out, spec, model, facts, runtimes=runtimes, clips=clips)
    for runtime, parity in parities.items():
        print(
            f"{runtime}: {parity.logit_difference:.1e} off eager, {parity.batch_difference:.1e} "
            f"between batch and alone, {parity.flipped_frames} labels differ"
        )
    print(f"wrote {options.out}")


def _read_measurement(path: Path) -> Measurement:
    try:
        return Measurement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ManifestInvalid(f"{path} is no record of evaluate --json: {error}") from error


def inspect(options: argparse.Namespace) -> None:
    """Verify a bundle and print what it is."""
    manifest = load_bundle(options.bundle).manifest
    print(f"{options.bundle}: {manifest.name}, every digest holds")
    print(f"  languages   {', '.join(manifest.languages) or 'not stated'}")
    print(f"  mixing      {describe_mixing(manifest.layers)}")
    print(f"  input       {manifest.input_convention}")
    print(f"  labels      {' '.join(manifest.vocabulary.tokens)}")
    for variant in manifest.variants:
        size_mb = (options.bundle / variant.file).stat().st_size / 1e6
        kind = f"{variant.runtime}, {variant.precision}, {size_mb:.1f} MB"
        print(f"  variant     {variant.file}: {kind}")
    for row in manifest.measurements:
        rates = f"WER {row.wer_percent:.1f} %, CER {row.cer_percent:.1f} %"
        print(f"  measured    {row.test_set}: {rates}")
    print(f"  base        {manifest.provenance.base}")
    print(f"  licence     {manifest.provenance.weights_licence}")


def _report_skipped(*corpora: Corpus) -> None:
    for line in (line for corpus in corpora for line in corpus.skipped):
        print(f"skipped {line}", file=sys.stderr)
