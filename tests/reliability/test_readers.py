"""What reads audio and bundles, led by atheris to what it has not seen yet."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mutations import seeds
from tiny_bundle import make_bundle

from service.bundle import GOLDEN_FILE, MANIFEST_FILE
from tests.reliability.amounts import READS, SEED

SECONDS = 3600
RSS_MB = 4096

pytest.importorskip("atheris", reason="there is no atheris for this Python")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Files to begin with, for each reader."""
    bundle = make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    arrays = io.BytesIO()
    np.savez(arrays, waveform=np.zeros(10), logits=np.zeros((2, 3)))
    begun = {
        "audio": {name: content[:8000] for name, content in seeds().items()},
        "manifest": {"tiny": (bundle / MANIFEST_FILE).read_bytes()},
        "golden": {"tiny": (bundle / GOLDEN_FILE).read_bytes(), "small": arrays.getvalue()},
    }
    folders = {}
    for reader, files in begun.items():
        folders[reader] = tmp_path_factory.mktemp(reader)
        for name, content in files.items():
            (folders[reader] / name).write_bytes(content)
    return folders


@pytest.mark.parametrize("reader", ["audio", "manifest", "golden"])
def test_whatever_it_reads_it_gives_a_result_or_an_error_of_ours(corpora, reader, tmp_path):
    script = str(Path(__file__).with_name("readers.py"))
    options = [f"-runs={READS}", f"-seed={SEED}", "-max_len=16384", f"-rss_limit_mb={RSS_MB}"]
    done = subprocess.run(
        [sys.executable, script, reader, *options, "-timeout=60", str(corpora[reader])],
        cwd=tmp_path,  # where it leaves what breaks a reader
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    print(f"\n{reader}: {[line for line in done.stderr.splitlines() if 'Done' in line]}")
    assert done.returncode == 0, done.stderr[-5000:]
