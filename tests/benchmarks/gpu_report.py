"""Everything that only a GPU can show, as Markdown tables under the hardware's name.

    make gpu-report                                             on a machine with a CUDA device
    python -m tests.benchmarks.gpu_report --device cpu --quick  the same path in miniature

A row that fails says so, and the others are measured all the same.
"""

import argparse
import functools
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from model_export.export.exporters import export_onnx, export_torchscript
from model_export.mixing.freezing import first_trained_layer, freeze_all_but, trainable_names
from model_export.mixing.surgery import select_layers
from model_export.training.masking import SpecAugment
from model_export.training.objective import CtcObjective
from service.audio import decode_audio
from service.backends import AcousticModel, Tuning, load_model
from service.backends.failures import kind_of
from service.backends.onnx import OnnxModel
from service.backends.torchscript import AUTOCAST, TorchScriptModel
from service.bundle import load_bundle
from service.config import PACKAGED_BUNDLE
from service.errors import OutOfMemory
from tests.benchmarks import gpu_subjects as subjects

SPEECH = Path(__file__).parents[1] / "assets" / "speech"
SPEECH_CLIPS = 14
PRECISIONS = ("float32", "float16", "bfloat16")
BATCH_S = 600
SHORT_BATCHES = Tuning(batch_samples=16_000)  # a longer one gives its memory back


@dataclass(frozen=True)
class Plan:
    """What to measure: lengths in seconds, model shapes, size of the matrix product."""

    device: str
    shapes: dict[str, dict[str, Any]]
    lengths_s: Sequence[int]
    long_s: int
    step_rows: int
    matrix_size: int


FULL = functools.partial(
    Plan, shapes=subjects.SHAPES, lengths_s=(5, 30, 120, 600, 1800, 3600), long_s=600,
    step_rows=12, matrix_size=16384,
)  # fmt: skip
QUICK = functools.partial(
    Plan, shapes=subjects.TINY, lengths_s=(1,), long_s=4, step_rows=2, matrix_size=256
)

Row = tuple[object, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 1 if the device is not there."""
    parser = argparse.ArgumentParser(description="Measure what only a GPU can show.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny models and lengths")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("gpu-report: torch sees no CUDA device here; nothing was measured", file=sys.stderr)
        return 1
    plan = (QUICK if options.quick else FULL)(options.device)
    print("\n".join(hardware(plan.device)))
    show("Parity with CPU float32", ("model", "runtime", "precision", "largest difference",
         "same text", "batch against alone"), parity(plan))  # fmt: skip
    show("Memory, GB", ("runtime", "allocated, peak", "reserved, peak", "device, before",
         f"device, peak in {plan.long_s} s", "device, after"), memory(plan))  # fmt: skip
    show("Throughput", ("shape", "mixer", "precision", "rows x s", "audio s/s",
         "of matrix peak", "allocated, GB", "reserved, GB"), throughput(plan))  # fmt: skip
    show("One fine-tuning step, last 2 layers", ("shape", "mixer", "rows x s", "s",
         "allocated, GB", "reserved, GB"), steps(plan))  # fmt: skip
    return 0


def hardware(device: str) -> list[str]:
    """Names and versions of what is measured."""
    name, driver = platform.processor() or platform.machine(), "-"
    if device == "cuda":
        name = torch.cuda.get_device_name()
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        outcome = subprocess.run(query, capture_output=True, text=True, check=False)
        driver = outcome.stdout.strip() or "unknown"
    providers = ", ".join(onnxruntime.get_available_providers())
    return [
        f"# {name}",
        f"driver {driver}, CUDA {torch.version.cuda or '-'}, torch {torch.__version__}, "
        f"ONNX Runtime {onnxruntime.__version__} with {providers}",
    ]


def show(title: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Print a table row by row, as they are measured."""
    print(f"\n## {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        cells = [*row, *[""] * (len(columns) - len(row))]
        print(f"| {' | '.join(map(_cell, cells))} |", flush=True)


def guarded(label: Row, measure: Callable[[], Row]) -> Row:
    """The label and what was measured, or what went wrong."""
    try:
        return (*label, *measure())
    except Exception as error:  # noqa: BLE001  a report says what failed and goes on
        if isinstance(error, MemoryError) or issubclass(kind_of(str(error)), OutOfMemory):
            return (*label, "out of memory")
        first_line = str(error).partition("\n")[0]
        return (*label, f"failed: {type(error).__name__}: {first_line[:80]}")


def parity(plan: Plan) -> Iterator[Row]:
    """Logits and texts on real speech against CPU float32, and in a batch against alone."""
    names = [
        json.loads(row)["audio"] for row in (SPEECH / "manifest.jsonl").read_text().splitlines()
    ]
    clips = [decode_audio(SPEECH / name) for name in names[:SPEECH_CLIPS]]
    bundle = load_bundle(PACKAGED_BUNDLE)
    reference = load_model(bundle, device="cpu").model
    yield guarded(
        ("shipped", "ONNX Runtime", "float32"),
        lambda: compare(reference, load_model(bundle, device=plan.device).model, clips),
    )
    shape_name, shape = next(iter(plan.shapes.items()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ts"
        export_torchscript(subjects.make_model(shape, "wsm"), path)
        reference = TorchScriptModel(path, device="cpu", threads=None)
        for precision in PRECISIONS:
            yield guarded(
                (f"{shape_name}, WSM, random", "TorchScript", precision),
                lambda: compare(reference, archive(path, plan, precision), clips),  # noqa: B023
            )


def compare(reference: AcousticModel, found: AcousticModel, clips: list[np.ndarray]) -> Row:
    """Largest difference of logits, clips whose best labels agree, difference within a batch."""
    expected = [reference.infer(*subjects.padded([clip]))[0][0] for clip in clips]
    alone = [found.infer(*subjects.padded([clip]))[0][0] for clip in clips]
    logits, frame_lengths = found.infer(*subjects.padded(clips))
    batched = [row[:frames] for row, frames in zip(logits, frame_lengths, strict=True)]
    same = sum(
        bool((a.argmax(1) == b.argmax(1)).all()) for a, b in zip(expected, alone, strict=True)
    )
    return distance(expected, alone), f"{same} of {len(clips)}", distance(alone, batched)


def distance(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Largest absolute difference over all clips."""
    return float(np.max([np.abs(a - b).max() for a, b in zip(one, other, strict=True)]))


def archive(path: Path, plan: Plan, precision: Any = "auto") -> TorchScriptModel:
    """The archive as the service runs it."""
    return TorchScriptModel(
        path,
        device=plan.device,
        threads=None,
        tuning=replace(SHORT_BATCHES, precision=precision),
    )


def memory(plan: Plan) -> Iterator[Row]:
    """What one long input takes, and what is left of it after it and a short one."""
    model = subjects.make_model(next(iter(plan.shapes.values())), "wsm")
    with tempfile.TemporaryDirectory() as folder:
        graph, script = Path(folder) / "model.onnx", Path(folder) / "model.ts"
        export_onnx(model, graph)
        export_torchscript(model, script)
        yield guarded(("TorchScript",), lambda: come_back(archive(script, plan), plan))
        yield guarded(("ONNX Runtime",), lambda: come_back(graph_model(graph, plan), plan))


def graph_model(path: Path, plan: Plan) -> OnnxModel:
    """The graph as the service runs it."""
    return OnnxModel(
        path, device=plan.device, threads=1, vocabulary_size=subjects.LABELS, tuning=SHORT_BATCHES
    )


def come_back(model: AcousticModel, plan: Plan) -> Row:
    """Memory around one long input."""
    short, long = ([part.numpy() for part in subjects.noise(1, s)] for s in (1, plan.long_s))
    model.infer(*short)
    before, counter = subjects.used_gb(plan.device), subjects.TorchMemory(plan.device)
    with subjects.sampled_peak(plan.device) as peak:
        model.infer(*long)
    model.infer(*short)
    after = subjects.used_gb(plan.device)
    return (*counter.peak_gb(), before, *(peak or [None]), after)


def throughput(plan: Plan) -> Iterator[Row]:
    """Audio seconds per second in full batches, by length, and the share of the card's peak."""
    peak = subjects.matrix_peak(plan.device, plan.matrix_size)
    yield ("matrix product", "", "bfloat16", plan.matrix_size, f"{peak / 1e12:.1f} TFLOP/s", 1.0)
    for shape_name, shape in plan.shapes.items():
        for mixer in ("wsm", "attention"):
            model = subjects.make_model(shape, mixer).to(plan.device)
            for precision in PRECISIONS[1:]:
                for seconds in plan.lengths_s:
                    rows = max(1, min(64, BATCH_S // seconds)) if plan.device == "cuda" else 1
                    label = (shape_name, mixer, precision, f"{rows} x {seconds}")
                    measure = functools.partial(forward_row, plan, model, precision, peak)
                    yield guarded(label, functools.partial(measure, rows, seconds))


def forward_row(
    plan: Plan, model: Any, precision: Any, peak: float, rows: int, seconds: int
) -> Row:
    """One model at one length."""
    counter = subjects.TorchMemory(plan.device)
    batch = [part.to(plan.device) for part in subjects.noise(rows, seconds)]

    def run() -> None:
        with torch.autocast(plan.device, AUTOCAST[precision]):
            model(*batch)

    operations = subjects.operations_of(run)
    with torch.inference_mode():
        time_s = subjects.seconds_of(run, plan.device)
    return rows * seconds / time_s, operations / time_s / peak, *counter.peak_gb()


def steps(plan: Plan) -> Iterator[Row]:
    """Time and memory of learning from one batch of 10-second clips."""
    seconds = min(10, plan.long_s)
    for shape_name, shape in plan.shapes.items():
        for mixer in ("wsm", "attention"):
            label = (shape_name, mixer, f"{plan.step_rows} x {seconds}")
            yield guarded(label, functools.partial(step_row, plan, shape, mixer, seconds))


def step_row(plan: Plan, shape: dict[str, Any], mixer: str, seconds: int) -> Row:
    """One optimiser step as fine-tuning does it: last two layers and the head."""
    model = subjects.make_model(shape, mixer, "last:2").to(plan.device)
    layers = select_layers("last:2", len(model.layers))
    freeze_all_but(model, trainable_names(model, layers))
    objective = CtcObjective(
        model, first_layer=first_trained_layer(model, layers), cached=False, blank_id=0,
        spec=SpecAugment(),
    ).train()  # fmt: skip
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=1e-4)
    counter = subjects.TorchMemory(plan.device)
    batch = [part.to(plan.device) for part in subjects.noise(plan.step_rows, seconds)]
    labels = torch.ones(plan.step_rows, 4, dtype=torch.long, device=plan.device)

    def step() -> None:
        with torch.autocast(plan.device, torch.bfloat16):
            loss = objective(*batch, labels)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return subjects.seconds_of(step, plan.device), *counter.peak_gb()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
