"""The report's whole path in miniature on CPU; its figures need a GPU."""

import pytest

torch = pytest.importorskip("torch")

from tests.benchmarks import gpu_report  # noqa: E402


def test_every_row_is_measured_in_miniature(capsys, monkeypatch):
    monkeypatch.setattr(gpu_report, "SPEECH_CLIPS", 2)
    assert gpu_report.main(["--device", "cpu", "--quick"]) == 0
    report = capsys.readouterr().out
    rows = [line for line in report.splitlines() if line.startswith("| ")]
    assert "failed" not in report
    assert "out of memory" not in report
    assert [row for row in rows if row.startswith("| shipped | ONNX Runtime | float32 | 0 | 2 of")]
    assert len(rows) == 4 + 4 + 2 + 5 + 2
    assert "| TorchScript | - | - | - | - | - |" in rows


def test_without_a_gpu_it_says_so_and_fails(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert gpu_report.main([]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "no CUDA device" in captured.err


@pytest.mark.parametrize(
    ("error", "cell"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
            "out of memory",
        ),
        (MemoryError(), "out of memory"),
        (ValueError(""), "failed: ValueError: "),
    ],
)
def test_a_failed_row_is_told_and_is_not_the_end(error, cell):
    def fail():
        raise error

    assert gpu_report.guarded(("long",), fail) == ("long", cell)
