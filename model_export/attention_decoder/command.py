"""What `wsm-export attention-decoder` does, given its parsed options."""

import argparse

from model_export.attention_decoder.tuning import DecoderTuning
from model_export.bases.loading import resolve_base
from model_export.checkpoint import load_checkpoint
from model_export.data import keep_spellable, read_corpora
from model_export.training.precision import choose_precision
from model_export.training.run_clips import verified_once
from model_export.training.schedule import Schedule


def attention_decoder(options: argparse.Namespace) -> None:
    """Teach a pretrained decoder the frames of a checkpoint, or go on with an earlier run."""
    spec, model = load_checkpoint(options.checkpoint, base=options.base)
    rules = spec.text_normalisation
    train, dev = read_corpora(options.train, rules), read_corpora(options.dev, rules)
    train = keep_spellable(verified_once(train, "train", options.out), spec.vocabulary)
    dev = keep_spellable(verified_once(dev, "dev", options.out), spec.vocabulary)
    run = DecoderTuning(
        spec,
        model,
        whisper=resolve_base(options.whisper),
        out=options.out,
        schedule=Schedule(
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            batch_s=options.batch_seconds,
            evaluations=options.evaluations,
            copies=options.copies,
            augment_batches=options.augment_batches,
            precision=choose_precision(options.precision),
            seed=options.seed,
        ),
        most_tokens=options.most_tokens,
        cache_dir=options.cache_features,
    )
    loss = run.run(train, dev)
    print(f"{options.out}: loss {loss:.3f} for each token of dev")
