"""Ending with the process that one was made by."""

import multiprocessing
import os
from threading import Thread

EXIT_CODE = 1


def leave_with_parent() -> None:
    """End this process at once when the one that made it has ended, however that ended."""
    Thread(target=_wait_and_leave, daemon=True).start()


def _wait_and_leave() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(EXIT_CODE)  # the main thread may be deep in arithmetic
