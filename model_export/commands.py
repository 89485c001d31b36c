"""What the subcommands of `wsm-export` that hold a model do, given their parsed options."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import transformers

from model_export.bases.files import digest_of_base
from model_export.bases.hub import commit_of
from model_export.bases.loading import resolve_base
from model_export.checkpoint import ModelSpec, load_spec
from model_export.data import (
    Clip,
    Corpus,
    keep_spellable,
    name_of,
    read_corpora,
    read_corpus,
    summary_of,
    verify_audio,
    write_skipped,
)
from model_export.data.report import SKIPPED_FILE
from model_export.data_check.check import ANY_FRONT_END, check
from model_export.data_check.rendering import render_overlap, render_report
from model_export.decoding import DecodingChoice
from model_export.encoders.families import build_model, layer_count_of
from model_export.errors import ManifestInvalid
from model_export.evaluate import Hearing, open_recogniser, score
from model_export.export.command import export
from model_export.mixing.chunking import mixing_obstacles, refuse_if
from model_export.mixing.surgery import count_parameters, select_layers
from model_export.training.finetune import FineTuning
from model_export.training.masking import SpecAugment
from model_export.training.precision import choose_precision
from model_export.training.ranks import this_process
from model_export.training.resuming import newest_checkpoint
from model_export.training.run_clips import verified_once
from model_export.training.schedule import Schedule
from model_export.training.training_data import duration_s
from model_export.transcripts.normalisation import (
    make_vocabulary,
    read_vocabulary,
    unknown_characters,
)
from model_export.transcripts.options import rules_asked, rules_continued
from service.bundle import Mixer, Vocabulary

__all__ = ["check_data", "evaluate", "export", "finetune"]

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def finetune(options: argparse.Namespace) -> None:
    """Fine-tune, or go on with an earlier run; under torchrun, as one of its processes."""
    model = _model_asked(options)
    start = load_spec(options.start) if options.start else None
    rules = rules_continued(options, start.text_normalisation) if start else rules_asked(options)
    train, dev = read_corpora(options.train, rules), read_corpora(options.dev, rules)
    if not options.trust_manifest:
        train = verified_once(train, "train", options.out)
        dev = verified_once(dev, "dev", options.out)
    vocabulary = start.vocabulary if start else _vocabulary(options, train)
    unknown = unknown_characters((clip.text for clip in dev.clips), vocabulary)
    train, dev = keep_spellable(train, vocabulary), keep_spellable(dev, vocabulary)
    spec = ModelSpec(
        **model,
        languages=tuple(options.language) or (start.languages if start else ()),
        vocabulary=vocabulary,
        text_normalisation=rules,
        data=tuple(map(name_of, options.train)),
    )
    run = FineTuning(
        spec,
        out=options.out,
        schedule=_schedule(options),
        cache_dir=options.cache_features,
        start=options.start,
    )
    train, dev = run.fitting_batches(train), run.fitting(dev)
    process = this_process()
    if process.is_main_process:
        _report_unknown(unknown)
        _report_skipped({"train": train, "dev": dev}, options.out / SKIPPED_FILE)
        learning = count_parameters(run.model, trainable_only=True)
        print(f"{learning:,} of {count_parameters(run.model):,} parameters learn")
        if resumed := newest_checkpoint(options.out):
            print(f"going on from {resumed}")
    rates = run.run(train, dev)
    if process.is_main_process:
        print(f"{options.out}: WER {rates['eval_wer']:.1f} %, CER {rates['eval_cer']:.1f} % on dev")
    process.destroy_process_group()


def _schedule(options: argparse.Namespace) -> Schedule:
    masking = SpecAugment(time_masks=options.time_masks, width_masks=options.width_masks)
    return Schedule(
        epochs=options.epochs,
        max_steps=options.max_steps,
        match_epochs=options.match_epochs if options.init != "random" else 0,
        distil_epochs=options.distil_epochs if options.init == "distil" else 0,
        learning_rate=options.learning_rate,
        batch_s=options.batch_seconds,
        accumulate=options.accumulate,
        clip_norm=options.clip_norm,
        evaluations=options.evaluations,
        patience=options.patience,
        copies=options.copies,
        augment_batches=options.augment_batches,
        masking=None if options.no_spec_augment else masking,
        precision=choose_precision(options.precision),
        seed=options.seed,
    )


def _vocabulary(options: argparse.Namespace, train: Corpus) -> Vocabulary:
    if options.vocabulary:
        return read_vocabulary(options.vocabulary)
    return make_vocabulary(clip.text for clip in train.clips)


def _model_asked(options: argparse.Namespace) -> dict[str, Any]:
    """The part of a spec that needs no data, so that a mistake in it costs no time."""
    folder = resolve_base(options.base, options.revision)
    layer_count = layer_count_of(folder) + options.add
    layers = select_layers(options.replace, layer_count)
    if options.streaming:
        mixers: list[Mixer] = ["attention"] * layer_count
        for index in layers:
            mixers[index] = options.mixer
        refuse_if(mixing_obstacles(mixers))
    return {
        "base": options.base,
        "base_revision": options.revision,
        "base_commit": commit_of(folder),
        "base_digest": digest_of_base(folder),
        "added_layers": options.add,
        "layers": layers,
        "mixer": options.mixer,
        "window_frames": options.window if options.mixer == "wsm" else None,
        "window_weights": options.window_weights,
        "chunk_frames": options.chunk if options.streaming else None,
        "also_train": tuple(options.also_train),
    }


def evaluate(options: argparse.Namespace) -> None:
    """Score a checkpoint or a bundle on a manifest."""
    choice = DecodingChoice(
        decoding=options.decoding,
        language_model=options.language_model,
        weight=options.lm_weight,
        word_score=options.word_score,
        beam=options.beam,
    )
    hearing = Hearing(options.streaming or options.chunk is not None, options.chunk)
    recogniser = open_recogniser(options.model, choice, base=options.base, hearing=hearing)
    corpus = read_corpus(options.manifest, recogniser.output.text_normalisation)
    corpus = verify_audio(corpus, "clips")
    _report_skipped({"evaluate": corpus}, options.skipped)
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
        f"CER {result.rates.cer_percent:.1f} %, {result.decoding}"
    )
    if options.hypotheses:
        lines = zip(clips, result.hypotheses, strict=True)
        rows = ({"audio": str(c.audio), "text": c.text, "hypothesis": h} for c, h in lines)
        options.hypotheses.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if options.json:
        measurement = result.measurement(options.name or name_of(options.manifest), options.note)
        options.json.write_text(measurement.model_dump_json(indent=2) + "\n")


def check_data(options: argparse.Namespace) -> None:
    """Say what a corpus is, and what several share."""
    rules = rules_asked(options)
    front_end = ANY_FRONT_END
    if options.base:
        base = resolve_base(options.base, options.revision)
        front_end = build_model(base, vocabulary_size=1).front_end
    findings = check(options.data, rules, front_end)
    reports = [render_report(report) for report in findings.corpora]
    print("\n\n".join([*reports, *map(render_overlap, findings.overlaps)]))
    if options.json:
        findings.write(options.json)


def _is_long_enough(clip: Clip, min_seconds: float) -> bool:
    # A duration may cost a decoding, so it is not asked for in vain.
    return not min_seconds or duration_s(clip) >= min_seconds


def _report_unknown(clips_by_character: Counter[str]) -> None:
    listed = ", ".join(f"{c!r} in {count}" for c, count in clips_by_character.most_common())
    if listed:
        print(f"dev has characters that training has not: {listed} clips", file=sys.stderr)


def _report_skipped(corpora: dict[str, Corpus], path: Path | None) -> None:
    """Tell what was skipped: a few rows of each kind on stderr, all in a file."""
    for name, corpus in corpora.items():
        for line in summary_of(corpus, name):
            print(line, file=sys.stderr)
    if path is not None:
        write_skipped(path, (row for corpus in corpora.values() for row in corpus.skipped))
