"""What `wsm-export paper` does, given its parsed options.

Measuring memory needs torch, transformers and pydantic alone, so that it runs where a GPU is lent
without more; drawing needs matplotlib too.
"""

import argparse
import sys

from model_export.paper.shapes import (
    INFERENCE_LENGTHS_S,
    QUICK_BATCH,
    QUICK_INFERENCE_LENGTHS_S,
    QUICK_TRAINING_LENGTHS_S,
    SHAPES,
    TINY,
    TRAINING_BATCH,
    TRAINING_LENGTHS_S,
    DeviceKind,
    Plan,
)
from model_export.paper.table_commands import sets, tables


def paper(options: argparse.Namespace) -> None:
    """Make sets, train for the tables, measure memory, or render what came of it."""
    parts = {"sets": sets, "tables": tables, "memory": _memory}
    parts[options.part](options)


def _memory(options: argparse.Namespace) -> None:
    if options.render:
        _render(options)
    else:
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    # Imported here: rendering needs no torch.
    from transformers.utils import logging

    from model_export.paper.devices import choose_device, hardware_of, limit_memory
    from model_export.paper.measure import Deadline, Survey
    from model_export.paper.results import ResultsFile

    deadline = Deadline(options.limit_s)
    logging.disable_progress_bar()
    kind = choose_device(options.device)
    limit_memory(kind)
    results = ResultsFile(options.out, hardware_of(kind))
    is_complete = Survey(plan_of(options, kind), kind, results, deadline).run()
    print(results.path)
    if not is_complete:
        print("not all is measured; the same command goes on", file=sys.stderr)


def plan_of(options: argparse.Namespace, kind: DeviceKind) -> Plan:
    """What to measure."""
    training_s = QUICK_TRAINING_LENGTHS_S if options.quick else TRAINING_LENGTHS_S
    inference_s = QUICK_INFERENCE_LENGTHS_S if options.quick else INFERENCE_LENGTHS_S
    training_s = options.lengths or training_s
    inference_s = options.inference_lengths or inference_s
    return Plan(
        shapes=TINY if options.quick else {name: SHAPES[name] for name in options.shapes or SHAPES},
        training_lengths_s=() if options.only == "inference" else training_s,
        inference_lengths_s=() if options.only == "training" else inference_s,
        training_batch=options.batch or (QUICK_BATCH if options.quick else TRAINING_BATCH[kind]),
    )


def _render(options: argparse.Namespace) -> None:
    from model_export.paper.page import write_page
    from model_export.paper.plots import draw
    from model_export.paper.results import read_folder

    devices = read_folder(options.out)
    plots = draw(devices, options.page)
    print(write_page(devices, options.page))
    for path in plots:
        print(path)
