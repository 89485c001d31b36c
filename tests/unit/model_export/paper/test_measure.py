"""Measuring in miniature on a CPU: what is kept, skipped, told, and left for another time."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model_export.cli import main
from model_export.errors import MeasuringRefused
from model_export.paper import devices, measure
from model_export.paper.devices import CpuMeter, choose_device, hardware_of
from model_export.paper.measure import Deadline, Survey, guarded
from model_export.paper.results import ResultsFile, read_results
from model_export.paper.shapes import TINY, Plan
from model_export.paper.subjects import ATTENTION_LAST_2, SUBJECTS, WSM_LAST_2

ROOT = Path(__file__).resolve().parents[4]
PLAN = Plan(shapes=TINY, training_lengths_s=(1.0,), inference_lengths_s=(1.0,), training_batch=1)
# What the machine that lends its GPU does not have.
ABSENT = "av audiomentations datasets jiwer librosa onnxruntime pydantic_settings soundfile soxr"
WITHOUT = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        is_absent = name.partition(".")[0] in {ABSENT.split()}
        return None if is_absent else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


@pytest.fixture(autouse=True)
def _little(monkeypatch):
    monkeypatch.setattr(devices, "REPEATS", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def two_subjects(monkeypatch):
    names = (ATTENTION_LAST_2, WSM_LAST_2)
    chosen = tuple(subject for subject in SUBJECTS if subject.name in names)
    monkeypatch.setattr(measure, "SUBJECTS", chosen)


def survey(folder, plan=PLAN, limit_s=1e6):
    results = ResultsFile(folder, hardware_of("cpu"))
    return Survey(plan, "cpu", results, Deadline(limit_s)), results.path


def test_every_subject_is_measured_and_kept(tmp_path):
    one, path = survey(tmp_path)

    assert one.run()
    found = read_results(path).measurements
    trained = [each for each in found if each.task == "training"]
    assert [each.subject for each in trained] == [subject.name for subject in SUBJECTS]
    assert [each.subject for each in found if each.task == "inference"] == [
        subject.inference for subject in SUBJECTS if subject.inference
    ]
    assert all(each.failure is None for each in found)
    assert all(each.figures.peak_bytes > each.figures.resting_bytes > 0 for each in found)
    assert trained[0].learning > trained[1].learning > trained[-1].learning
    # No T x T tensor: attention runs in a fused kernel.
    assert {each.kernels for each in found if "WSM in all" not in each.subject} == {
        ("flash_attention_for_cpu",)
    }
    assert {each.kernels for each in found if "WSM in all" in each.subject} == {()}


@pytest.mark.usefixtures("two_subjects")
def test_a_second_run_measures_only_what_is_missing(tmp_path, capsys):
    survey(tmp_path)[0].run()
    capsys.readouterr()
    longer = Plan(TINY, training_lengths_s=(1.0, 2.0), inference_lengths_s=(1.0,), training_batch=1)

    assert survey(tmp_path, longer)[0].run()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "tiny, training, attention, last 2, 1 x 2 s",
        "tiny, training, WSM, last 2, 1 x 2 s",
    ]


@pytest.mark.usefixtures("two_subjects")
def test_out_of_memory_is_told_once_and_other_failures_are_tried_again(tmp_path, monkeypatch):
    errors = iter([torch.OutOfMemoryError("CUDA out of memory. Tried"), ValueError("odd")])
    monkeypatch.setattr(CpuMeter, "measure", lambda *_: _raise(next(errors)))
    training = Plan(TINY, training_lengths_s=(1.0,), inference_lengths_s=(), training_batch=1)
    one, path = survey(tmp_path, training)

    assert not one.run()
    found = [each.failure for each in read_results(path).measurements]
    assert found == ["out of memory", "ValueError: odd"]
    again = ResultsFile(tmp_path, hardware_of("cpu"))
    assert [again.has(each.key) for each in read_results(path).measurements] == [True, False]


def test_nothing_begins_after_the_limit(tmp_path):
    one, path = survey(tmp_path, limit_s=0.0)

    assert not one.run()
    assert not path.exists()


def test_a_deadline_counts_what_is_still_needed():
    times = iter([100.0, 104.0, 104.0])
    deadline = Deadline(10.0, clock=lambda: next(times))

    assert deadline.allows(5.0)
    assert not deadline.allows(7.0)


@pytest.mark.usefixtures("two_subjects")
def test_results_of_other_software_are_not_mixed(tmp_path):
    survey(tmp_path)[0].run()
    other = hardware_of("cpu").model_copy(update={"software": {"torch": "0.1"}})

    with pytest.raises(MeasuringRefused, match="give another --out"):
        ResultsFile(tmp_path, other)


def test_a_device_that_is_not_there_is_one_line(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert choose_device("auto") == "cpu"
    assert main(["paper", "memory", "--device", "cuda", "--out", str(tmp_path)]) == 2
    assert "no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), "out of memory"),
        (MemoryError(), "out of memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when"), "out of memory"),
        (ValueError("what\nelse"), "ValueError: what else"),
    ],
)
def test_failures_are_told(error, told):
    assert guarded(lambda: _raise(error)) == told


def test_measuring_needs_torch_transformers_and_pydantic_alone():
    modules = "model_export.cli, model_export.paper.command, model_export.paper.measure"
    outcome = subprocess.run(
        [sys.executable, "-c", f"{WITHOUT}\nimport {modules}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert outcome.returncode == 0, outcome.stderr


def _raise(error):
    raise error
