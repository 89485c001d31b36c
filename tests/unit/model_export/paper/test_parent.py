import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from patience import PATIENCE_S

# It makes a worker that would sleep for long, tells its number, and sleeps too.
PARENT = """
import multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
from model_export.paper.parent import leave_with_parent

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context, leave_with_parent) as pool:
        pool.submit(time.sleep, {patience_s})
        while not (workers := list(pool._processes)):
            time.sleep(0.01)
        print(*workers, flush=True)
        time.sleep({patience_s})
"""


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, but nobody asked for its exit code yet


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(patience_s=PATIENCE_S))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        os.kill(parent.pid, signal.SIGKILL)
    deadline_s = time.monotonic() + PATIENCE_S
    while is_running(worker):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
