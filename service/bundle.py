"""The bundle: the contract between `model_export`, which writes it, and `service`, which reads it.

A bundle is a folder with a `bundle.json`, one or more model files and a `golden.npz`. Its
manifest names every file with its SHA-256; nothing else in the folder is ever opened.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.attention_form import AttentionDecoder
from service.errors import InvalidBundle
from service.golden import Golden, read_golden
from service.streaming_form import Streaming

SCHEMA_VERSION = 1
MANIFEST_FILE = "bundle.json"
GOLDEN_FILE = "golden.npz"

Mixer = Literal["attention", "random-attention", "sm", "wsm"]
Runtime = Literal["onnxruntime", "torchscript"]
Precision = Literal["float32", "float16", "bfloat16", "int8"]
Digits = Literal["refuse", "keep", "spell"]
WindowWeights = Literal["mean", "learned"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Vocabulary(_Frozen):
    """Output labels, by id.

    Attributes:
        tokens: one string per output of the CTC head.
        blank_id: the CTC blank.
        word_delimiter: the token that stands between words.
    """

    tokens: tuple[str, ...]
    blank_id: Annotated[int, Field(ge=0)]
    word_delimiter: str

    @model_validator(mode="after")
    def _ids_exist(self) -> Self:
        if self.blank_id >= len(self.tokens):
            raise ValueError(f"blank_id {self.blank_id} is not below {len(self.tokens)} tokens")
        if len(set(self.tokens)) != len(self.tokens):
            raise ValueError("tokens repeat")
        if self.word_delimiter not in self.tokens:
            raise ValueError(f"word delimiter {self.word_delimiter!r} is not a token")
        return self


class TextNormalisation(_Frozen):
    """What was done to the training text, so that references can be treated alike.

    Attributes:
        unicode_form: Unicode normal form.
        lowercase: case was folded.
        keep: characters kept beside letters; all others became spaces.
        keep_inside: characters kept between two letters.
        digits: texts with digits were refused, kept them, or had their numbers spelled.
        language: code of the language whose rules of case and number words were followed.
    """

    unicode_form: Literal["NFC", "NFKC"] = "NFC"
    lowercase: bool = True
    keep: str = "'"
    keep_inside: str = ""
    digits: Digits = "keep"
    language: str | None = None


class LayerMixing(_Frozen):
    """How one encoder layer mixes frames.

    Attributes:
        mixer: the kind of mixing.
        window_frames: half window w of WSM; None for other mixers.
        window_weights: how WSM weighs the frames of its window.
    """

    mixer: Mixer
    window_frames: int | None = None
    window_weights: WindowWeights = "mean"


class Variant(_Frozen):
    """One model file.

    Attributes:
        file: name inside the bundle.
        runtime: what runs it.
        precision: arithmetic of the graph (not of the stored weights).
        batch_invariant: logits do not depend on batch mates; otherwise run it at batch 1.
    """

    file: str
    runtime: Runtime
    precision: Precision
    batch_invariant: bool


class LanguageModel(_Frozen):
    """An n-gram language model over words.

    Attributes:
        file: ARPA text; its unigrams that the vocabulary's tokens can spell are the lexicon.
        weight: factor of its log10 probabilities against the acoustic natural-log ones.
        word_score: added for every word.
        beam: hypotheses kept.
        texts: what it was estimated from, with licences.
    """

    file: str
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    word_score: Annotated[float, Field(allow_inf_nan=False)]
    beam: Annotated[int, Field(ge=1)]
    texts: tuple[str, ...]


class Provenance(_Frozen):
    """Where the weights come from."""

    base: str
    base_licence: str
    data: tuple[str, ...]
    weights_licence: str
    created_with: str


class Measurement(_Frozen):
    """Error rates measured on a test set; the interval is a 95 % bootstrap over clips."""

    test_set: str
    clips: int
    audio_s: float
    wer_percent: float
    cer_percent: float
    wer_interval_percent: tuple[float, float] | None = None
    decoding: str
    note: str = ""


class Manifest(_Frozen):
    """The content of `bundle.json`.

    Attributes:
        samples_per_frame: hop of the logits, in input samples.
        receptive_field_samples: input samples that one frame's front end sees; shorter audio
            is refused.
        longest_single_pass_s: longer audio is cut into overlapping segments; None means no limit.
        layers: mixing of every encoder layer, lowest first.
        input_convention: how the waveform was prepared in training, for the reader.
        streaming: the chunked form, if the bundle has one.
        language_model: for beam search, if the bundle has one.
        attention_decoder: for a second pass over the frames, if the bundle has one.
        files: SHA-256 by file name, for every file but the manifest.
    """

    schema_version: Literal[1]
    name: str
    languages: tuple[str, ...]
    sample_rate_hz: Annotated[int, Field(gt=0)]
    samples_per_frame: Annotated[int, Field(gt=0)]
    receptive_field_samples: Annotated[int, Field(gt=0)]
    longest_single_pass_s: Annotated[float, Field(gt=0)] | None
    vocabulary: Vocabulary
    text_normalisation: TextNormalisation
    input_convention: str
    layers: tuple[LayerMixing, ...]
    streaming: Streaming | None = None
    language_model: LanguageModel | None = None
    attention_decoder: AttentionDecoder | None = None
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    files: dict[str, str]
    provenance: Provenance
    measurements: tuple[Measurement, ...] = ()

    @model_validator(mode="after")
    def _files_are_listed(self) -> Self:
        for name in self.files:
            if PurePosixPath(name).name != name or "\\" in name or name in {"", ".", ".."}:
                raise ValueError(f"file name {name!r} is not a plain name")
        needed = {variant.file for variant in self.variants} | {GOLDEN_FILE}
        if self.streaming is not None:
            needed |= {variant.file for variant in self.streaming.variants}
        if self.language_model is not None:
            needed.add(self.language_model.file)
        if self.attention_decoder is not None:
            needed |= set(self.attention_decoder.files)
        if missing := sorted(needed - self.files.keys()):
            raise ValueError(f"no digest for {', '.join(missing)}")
        return self

    @property
    def output_columns(self) -> int:
        """Columns of the acoustic model's logits: labels, and frames for an attention decoder."""
        frames = 0 if self.attention_decoder is None else self.attention_decoder.width
        return len(self.vocabulary.tokens) + frames


@dataclass(frozen=True)
class Bundle:
    """A bundle whose digests were verified.

    Attributes:
        folder: where it lies.
        manifest: the parsed `bundle.json`.
    """

    folder: Path
    manifest: Manifest

    def path_of(self, file: str) -> Path:
        """Path of a file that the manifest lists."""
        if file not in self.manifest.files:
            raise InvalidBundle(f"{file!r} is not listed in {self.folder / MANIFEST_FILE}")
        return self.folder / file

    def variants_for(self, runtime: Runtime) -> tuple[Variant, ...]:
        """Variants that the runtime can load, in the manifest's order."""
        return tuple(v for v in self.manifest.variants if v.runtime == runtime)

    def golden(self, precision: Precision) -> Golden:
        """Read the self-test; int8, which rounds by more, has logits of its own.

        Raises:
            InvalidBundle: the file is not a golden file of this vocabulary.
        """
        labels = len(self.manifest.vocabulary.tokens)
        return read_golden(self.path_of(GOLDEN_FILE), precision, labels)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read `bundle.json` without touching the other files.

    Raises:
        InvalidBundle: there is none, or it is not a manifest of this schema version.
    """
    path = folder / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidBundle(f"{folder} is not a bundle: {error}") from error
    except ValidationError as error:
        raise InvalidBundle(f"{path} is not a valid manifest: {_first_fault(error)}") from error


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify the digest of every file.

    Raises:
        InvalidBundle: the manifest is invalid, or a file is missing or damaged.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise InvalidBundle(f"{path} is missing", found=None, limit=expected)
        if (found := sha256_of(path)) != expected:
            raise InvalidBundle(
                f"{path} is damaged: SHA-256 is {found}, the manifest says {expected}",
                found=found,
                limit=expected,
            )
    return Bundle(folder, manifest)


def _first_fault(error: ValidationError) -> str:
    fault: dict[str, Any] = dict(error.errors()[0])
    place = ".".join(str(part) for part in fault["loc"]) or "document"
    return f"{place}: {fault['msg']} ({error.error_count()} faults in all)"
