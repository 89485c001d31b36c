"""What `wsm-export inspect` does, without torch."""

import argparse

from model_export.export.model_card import describe_mixing, describe_streaming
from service.bundle import load_bundle


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
    if form := manifest.streaming:
        files = ", ".join(variant.file for variant in form.variants)
        print(f"  streaming   {files}: {describe_streaming(form, manifest)}")
    if lm := manifest.language_model:
        settings = f"weight {lm.weight:g}, word score {lm.word_score:g}, beam {lm.beam}"
        print(f"  language    {', '.join(lm.texts) or 'texts not stated'}; {settings}")
    for row in manifest.measurements:
        rates = f"WER {row.wer_percent:.1f} %, CER {row.cer_percent:.1f} %"
        print(f"  measured    {row.test_set}: {rates}")
    print(f"  base        {manifest.provenance.base}")
    print(f"  licence     {manifest.provenance.weights_licence}")
