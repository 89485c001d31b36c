"""Teaching a pretrained decoder one encoder's frames, and the texts of one model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from model_export.attention_decoder.checkpoint import (
    DecoderSpec,
    frames_digest,
    save_decoder,
)
from model_export.attention_decoder.decoder import AttentionDecoder
from model_export.attention_decoder.objective import AttentionObjective
from model_export.attention_decoder.pretrained import load_pretrained, read_config
from model_export.attention_decoder.vocabulary import SmallTokenizer, small_tokenizer
from model_export.bases.files import TOKENIZER_FILE
from model_export.checkpoint import ModelSpec
from model_export.data import Clip, Corpus, Reason
from model_export.data.corpus import usable
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import BaseUnavailable
from model_export.training.example_source import ExampleSource
from model_export.training.ranks import this_process
from model_export.training.resuming import claim_run, sole_user
from model_export.training.running import Stage
from model_export.training.schedule import Schedule, decoder_arguments
from model_export.training.trainer import nothing_more
from model_export.training.training_data import Examples, keep_fitting


@dataclass(frozen=True)
class DecoderTuning:
    """One run.

    Attributes:
        spec: of the CTC checkpoint.
        model: of the same; nothing of it learns.
        whisper: folder of a whole Whisper with its `tokenizer.json`.
        out: receives the decoder, and the trainer's checkpoints in subfolders.
        schedule: how long and how fast.
        most_tokens: of the tokenizer's first, those that the model's labels can write are kept.
        cache_dir: keep frames here; None computes them each time.
    """

    spec: ModelSpec
    model: CtcModel
    whisper: Path
    out: Path
    schedule: Schedule
    most_tokens: int
    cache_dir: Path | None = None

    def run(self, train: Corpus, dev: Corpus) -> float:
        """Learn, or go on where an earlier run with the same `out` was stopped.

        Args:
            train: clips to learn from.
            dev: clips that choose the best checkpoint.

        Returns:
            Loss per token of the best checkpoint on `dev`, in natural logarithms.

        Raises:
            BaseUnavailable: the folder holds no whole Whisper, or one of another encoder's size.
            CheckpointInvalid: `out` holds a run with other options, or another process uses it.
            TrainingStopped: a signal ended it; a run with the same `out` goes on.
        """
        torch.manual_seed(self.schedule.seed)
        train, dev = self._fitting(train, self.schedule.batch_s), self._fitting(dev)
        small, decoder_spec, decoder = self._pretrained()
        train, dev = (_short(corpus, small, decoder_spec) for corpus in (train, dev))
        with sole_user(self.out):
            claim_run(self.out, self._options(decoder_spec, train, dev))
            self.model.to(this_process().device)
            stage = self._stage(train, dev, small, decoder_spec)
            objective = AttentionObjective(
                decoder,
                self.model,
                after_layers=decoder_spec.after_layers,
                cached=self.cache_dir is not None,
            )
            arguments = decoder_arguments(self.schedule, self.out)
            loss = stage.run(objective, arguments, nothing_more).evaluate()["eval_loss"]
            save_decoder(self.out, decoder_spec, decoder.cpu())
        return loss

    def _pretrained(self) -> tuple[SmallTokenizer, DecoderSpec, AttentionDecoder]:
        vocabulary = self.spec.vocabulary
        written = [
            token
            for token in vocabulary.tokens
            if len(token) == 1 and token != vocabulary.word_delimiter
        ]
        small = small_tokenizer(self.whisper / TOKENIZER_FILE, written, self.most_tokens)
        digest = frames_digest(self.spec, self.model, self._encoder_layers())
        return small, *load_pretrained(self.whisper, small, digest)

    def _stage(
        self, train: Corpus, dev: Corpus, small: SmallTokenizer, decoder: DecoderSpec
    ) -> Stage:
        source = ExampleSource(
            self.model,
            decoder.frames_digest,
            decoder.after_layers,
            self.schedule.precision,
            self.cache_dir,
        )
        return Stage(
            self.schedule,
            source.unit_hz,
            self.model.front_end.longest_pass_s,
            train=_examples(source, train.clips, small, self.schedule.copies),
            dev=_examples(source, dev.clips, small, 1),
        )

    def _fitting(self, corpus: Corpus, batch_s: float | None = None) -> Corpus:
        return keep_fitting(corpus, self.model.front_end, self.spec.vocabulary, batch_s)

    def _encoder_layers(self) -> int:
        config = read_config(self.whisper)
        layers = int(config.encoder_layers)
        if config.d_model != self.model.width or layers > len(self.model.layers):
            raise BaseUnavailable(
                f"{self.whisper} has {layers} encoder layers of width {config.d_model}, the "
                f"checkpoint {len(self.model.layers)} of width {self.model.width}"
            )
        return layers

    def _options(self, decoder: DecoderSpec, train: Corpus, dev: Corpus) -> dict[str, object]:
        return {
            **decoder.model_dump(mode="json", exclude={"tokens"}),
            **asdict(self.schedule),
            "tokens": len(decoder.tokens),
            "cached": self.cache_dir is not None,
            "train_clips": len(train.clips),
            "dev_clips": len(dev.clips),
        }


def _short(corpus: Corpus, small: SmallTokenizer, decoder: DecoderSpec) -> Corpus:
    """Skip texts of more tokens than the decoder has positions for."""
    most, kept, skipped = decoder.longest_tokens, [], []
    for clip in corpus.clips:
        if (tokens := len(small.encode(clip.text))) <= most:
            kept.append(clip)
        else:
            why = f"has {tokens} tokens; the decoder takes {most}"
            skipped.append(clip.skipped(Reason.TEXT_TOO_LONG, why))
    shorter = replace(corpus, clips=tuple(kept), skipped=(*corpus.skipped, *skipped))
    return usable(shorter, "no text fits the decoder")


def _examples(
    source: ExampleSource, clips: Sequence[Clip], small: SmallTokenizer, copies: int
) -> Examples:
    return source.examples(clips, [small.encode(clip.text) for clip in clips], copies)
