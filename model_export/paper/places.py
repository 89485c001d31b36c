"""Where things lie that experiments need, and what follows from that."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from model_export.bases.files import digest_of_base
from model_export.checkpoint import ModelSpec
from model_export.encoders.families import layer_count_of
from model_export.mixing.surgery import select_layers
from model_export.paper.experiments import Experiment
from model_export.paper.frames import frames_path
from model_export.paper.sets import manifest_of, rules_of
from service.bundle import Vocabulary


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        base: folder of the encoder.
        base_name: of the encoder, for the record.
        sets: folder of the sets.
        cache: folder of hidden frames.
    """

    base: Path
    base_name: str
    sets: Path
    cache: Path

    @cached_property
    def base_digest(self) -> str:
        """Of the encoder; it takes a while, and goes along to the workers."""
        return digest_of_base(self.base)

    @cached_property
    def layer_count(self) -> int:
        """Of the encoder."""
        return layer_count_of(self.base)

    def first_layer(self, experiment: Experiment) -> int:
        """The lowest layer that learns."""
        return self.layer_count - experiment.depth

    def frames_of(self, experiment: Experiment) -> Path:
        """File of the hidden frames that an experiment learns from."""
        manifest = manifest_of(self.sets, experiment.language)
        return frames_path(self.cache, self.base_digest, manifest, self.first_layer(experiment))

    def spec_of(self, experiment: Experiment, vocabulary: Vocabulary) -> ModelSpec:
        """The model of an experiment."""
        return ModelSpec(
            base=str(self.base),
            base_digest=self.base_digest,
            languages=(experiment.language,),
            layers=select_layers(f"last:{experiment.depth}", self.layer_count),
            mixer=experiment.mixer,
            window_frames=experiment.window_frames,
            window_weights=experiment.window_weights,
            also_train=(),
            vocabulary=vocabulary,
            text_normalisation=rules_of(experiment.language),
            data=(experiment.language,),
        )
