import torch

from model_export.training.memory import peak_memory, peak_memory_bytes


def test_the_peak_covers_what_was_held():
    held = torch.ones(32 * 2**20)
    assert peak_memory_bytes() >= held.nbytes
    assert peak_memory()["host_gib"] >= held.nbytes / 2**30


def test_a_gpu_adds_its_own_peaks(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**30)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 2**31)
    readings = peak_memory()
    assert (readings["cuda_gib"], readings["cuda_reserved_gib"]) == (1.0, 2.0)
