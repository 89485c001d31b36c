"""wav2vec2 in given shapes with random weights: attention for transformers, WSM for the service.

    python -m tests.benchmarks.shapes base FOLDER

writes FOLDER/attention (a Wav2Vec2ForCTC as a hub holds it), FOLDER/wsm (a bundle with WSM in all
layers), and FOLDER/front-end (a bundle of the same front end without any layer). The text is
noise; the arithmetic is that of a trained model.
"""

import argparse
import hashlib
import json
import shutil
import string
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import options

DIMENSIONS = {  # width, layers, heads, feed-forward width
    "tiny": (64, 2, 2, 128),  # for trying the benchmarks
    "small": (384, 8, 6, 1536),
    "base": (768, 12, 12, 3072),
}
WINDOW_FRAMES = 8
TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "|", *string.ascii_uppercase, "'")


@dataclass(frozen=True)
class Shape:
    """Where a shape lies."""

    name: str
    folder: Path

    @property
    def attention(self) -> Path:
        """For transformers."""
        return self.folder / "attention"

    @property
    def wsm(self) -> Path:
        """Bundle with WSM in all layers."""
        return self.folder / "wsm"

    @property
    def front_end(self) -> Path:
        """Bundle without layers."""
        return self.folder / "front-end"

    def __str__(self) -> str:
        width, layers, _, _ = DIMENSIONS[self.name]
        return f"{self.name} ({width} x {layers})"


def shape(name: str) -> Shape:
    """A shape from the cache; made, in a process of its own, if the exporter has changed since."""
    exporter = sorted((options.ROOT / "model_export").rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*exporter, Path(__file__)]))
    made = Shape(name, options.CACHE / "shapes" / f"{name}-{digest.hexdigest()[:12]}")
    if not made.wsm.is_dir():
        shutil.rmtree(made.folder, ignore_errors=True)  # of a run that was stopped
        command = [sys.executable, "-m", "tests.benchmarks.shapes", name, str(made.folder)]
        subprocess.run(command, cwd=options.ROOT, check=True)
    return made


def main() -> None:
    """Make one shape."""
    from transformers.utils import logging  # here and below: tests import this module without torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=DIMENSIONS)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    made = Shape(arguments.name, arguments.folder)
    logging.disable_progress_bar()
    _, layers, _, _ = DIMENSIONS[made.name]
    save_attention(made.attention, made.name, layers)
    bare = made.folder / "no-layers"
    save_attention(bare, made.name, 0)
    _write_bundle(bare, made.front_end)
    _write_bundle(made.attention, made.wsm)  # last, as it says that all is there


def save_attention(folder: Path, name: str, layers: int) -> None:
    """A model and its processor, as transformers' pipeline wants them."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
    )

    width, _, heads, feed_forward = DIMENSIONS[name]
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(TOKENS),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
    )
    Wav2Vec2ForCTC(config).eval().save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(TOKENS)}))
    Wav2Vec2CTCTokenizer(vocabulary).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)


def _write_bundle(base: Path, out: Path) -> None:
    """The same weights with WSM instead of attention, exported as users export."""
    import torch

    from model_export.bases.files import digest_of_base
    from model_export.checkpoint import ModelSpec, build_from_spec
    from model_export.encoders.families import layer_count_of
    from model_export.export.bundle import BundleFacts, write_bundle
    from model_export.export.variants import FLOAT32
    from service.bundle import Provenance, TextNormalisation, Vocabulary

    spec = ModelSpec(
        base=str(base),
        base_digest=digest_of_base(base),
        languages=("en",),
        layers=tuple(range(layer_count_of(base))),
        mixer="wsm",
        window_frames=WINDOW_FRAMES,
        also_train=(),
        vocabulary=Vocabulary(tokens=TOKENS, blank_id=0, word_delimiter="|"),
        text_normalisation=TextNormalisation(),
        data=(),
    )
    provenance = Provenance(
        base="none", base_licence="none", data=(), weights_licence="none", created_with="benchmark"
    )
    facts = BundleFacts(out.parent.name, "Random weights, for benchmarks.", provenance)
    torch.manual_seed(0)
    model = build_from_spec(spec).eval()
    write_bundle(out, spec, model, facts, variants=(FLOAT32,))


if __name__ == "__main__":
    main()
