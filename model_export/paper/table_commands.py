"""What `wsm-export paper sets` and `paper tables` do, given their parsed options."""

import argparse
import sys
from pathlib import Path

from model_export.paper.experiments import Experiment, Setting, plan


def sets(options: argparse.Namespace) -> None:
    """Make sets, and tell what they hold and what differs from a list."""
    from model_export.paper.set_making import differences, make_set, summary_of
    from model_export.paper.sets import manifest_of

    for language in options.languages:
        make_set(language, options.packages, options.sets, options.audio)
        print(f"{manifest_of(options.sets, language)}: {summary_of(options.sets, language)}")
        if options.list is not None:
            found = list(differences(options.sets, language, options.list))
            print("\n".join([f"  differences from the list: {len(found)}", *found]))


def tables(options: argparse.Namespace) -> None:
    """Do the experiments of tables, or write the page about them."""
    if options.render:
        from model_export.paper.tables_page import write_page

        print(write_page(options.out, setting_of(options), options.page))
        return
    _train(options)


def setting_of(options: argparse.Namespace) -> Setting:
    """What all experiments share."""
    return Setting(
        learning_rate=options.learning_rate,
        steps=options.steps,
        batch_s=options.batch_s,
        window_frames=options.window,
        languages=options.languages,
        seeds=tuple(range(options.seeds)),
    )


def _train(options: argparse.Namespace) -> None:
    # Imported here: rendering needs no torch.
    from transformers.utils import logging

    from model_export.bases.loading import resolve_base
    from model_export.paper.measure import Deadline
    from model_export.paper.places import Places
    from model_export.paper.workers import Workshop

    deadline = Deadline(options.limit_s)
    logging.disable_progress_bar()
    setting = setting_of(options)
    experiments = plan(options.only, setting)
    _make_missing_sets(options, experiments)
    places = Places(
        resolve_base(options.base), Path(options.base).name, options.sets, options.cache
    )
    workshop = Workshop(
        places=places,
        results=options.out,
        jobs=options.jobs,
        deadline=deadline,
    )
    costly = [each for each in plan(["table1"], setting) if each.seed == setting.seeds[0]]
    left = workshop.run(experiments, costly if "table1" in options.only else [])
    if left:
        print(f"{left} experiments are left; the same command goes on", file=sys.stderr)


def _make_missing_sets(options: argparse.Namespace, experiments: list[Experiment]) -> None:
    from model_export.paper.sets import manifest_of

    languages = dict.fromkeys(each.language for each in experiments)
    missing = [each for each in languages if not manifest_of(options.sets, each).exists()]
    if missing:  # what makes sets needs more than what reads them
        from model_export.paper.set_making import make_set

        for language in missing:
            make_set(language, options.packages, options.sets, options.audio)
