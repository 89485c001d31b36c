"""Which clips of a set an experiment learns from and is tested on, and what they spell."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_export.paper.experiments import Experiment
from model_export.paper.sets import SetClip, has_part
from model_export.transcripts.normalisation import encode, frames_needed, make_vocabulary
from service.bundle import Vocabulary


@dataclass(frozen=True)
class Parts:
    """Clips of a set, by their indices, and the labels of all.

    Attributes:
        train: learnt from.
        dev: choose the best step.
        tests: by part.
        left_out: clips that cannot be used.
        vocabulary: characters of what is learnt from.
        labels: label ids of each clip; none of those that are not learnt from.
    """

    train: list[int]
    dev: list[int]
    tests: dict[str, list[int]]
    left_out: int
    vocabulary: Vocabulary
    labels: list[list[int]]


def divide(clips: Sequence[SetClip], counts: Sequence[int], experiment: Experiment) -> Parts:
    """Divide a set.

    Args:
        clips: of the set.
        counts: hidden frames of each; 0 for one that is longer than the encoder takes.
        experiment: says what is learnt from and tested on.
    """
    here = [index for index, clip in enumerate(clips) if has_part(clip, experiment.learnt_from)]
    heard = [index for index in here if counts[index]]
    chosen = {
        split: [index for index in heard if clips[index].split == split]
        for split in ("train", "dev", "test")
    }
    vocabulary = make_vocabulary(clips[index].text for index in chosen["train"])
    labels: list[list[int]] = [[] for _ in clips]
    for index in chosen["train"]:
        labels[index] = encode(clips[index].text, vocabulary)
    train = [index for index in chosen["train"] if frames_needed(labels[index]) <= counts[index]]
    tests = {experiment.learnt_from: chosen["test"]}
    if experiment.tested_on != experiment.learnt_from:
        learnt = {clips[index].text for index in (*chosen["train"], *chosen["dev"])}
        tests[experiment.tested_on] = [
            index
            for index, clip in enumerate(clips)
            if has_part(clip, experiment.tested_on) and counts[index] and clip.text not in learnt
        ]
    left_out = len(here) - len(heard) + len(chosen["train"]) - len(train)
    return Parts(train, chosen["dev"], tests, left_out, vocabulary, labels)
