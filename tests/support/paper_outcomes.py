"""Outcomes of experiments with errors that are made up."""

from model_export.paper.experiments import Experiment
from model_export.paper.outcomes import ClipErrors, Evaluation, Outcome, Test

WORDS = 10


def outcome_of(experiment: Experiment, errors: list[int], dev_percent: float = 50.0) -> Outcome:
    """Of one whose clips of ten words and a hundred characters have so many errors of each."""
    clips = ClipErrors(
        character_errors=tuple(errors),
        characters=(10 * WORDS,) * len(errors),
        word_errors=tuple(errors),
        words=(WORDS,) * len(errors),
    )
    return Outcome(
        experiment=experiment,
        base="test-base",
        learning=1_230_000,
        train_clips=100,
        train_s=600,
        dev_clips=10,
        left_out=1,
        evaluations=(Evaluation(step=1, cer_percent=dev_percent, wer_percent=99),),
        tests=tuple(
            Test(part=part, seconds=30, errors=clips)
            for part in dict.fromkeys([experiment.learnt_from, experiment.tested_on])
        ),
        learning_s=1.0,
        device="Test GPU",
        precision="bf16",
        audio="flac, 200 kbit/s",
        software={"torch": "2.13"},
    )
