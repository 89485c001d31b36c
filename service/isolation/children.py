"""The service's side: starts the nursery, has it fork, and learns how children end."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from service.config import loader_environment
from service.errors import Overloaded, UnsupportedAudio
from service.isolation.wire import END, FORK, NUMBER, Bounds

RETRY_AFTER_S = 5.0
MAX_FILES = 1000  # of one child, so that nothing grows in it for ever
KEPT_AFTER_S = 120.0  # longer files leave a heap behind

logger = logging.getLogger(__name__)


class Death(StrEnum):
    """Why a child ended before its file."""

    CRASH = "crash"
    TIMEOUT = "timeout"


@dataclass(eq=False)
class Child:
    """A process that waits for a task at the other end of the connection."""

    pid: int
    connection: socket.socket
    files: int = 0
    """That it has decoded."""


class Children:
    """Makes children; may be used from any thread.

    Args:
        bounds: of each.
        on_death: told of each that ended before its file.
        on_refusal: told each time that the system gives no process.
    """

    def __init__(
        self,
        bounds: Bounds,
        on_death: Callable[[Death], None],
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self.bounds = bounds
        self._on_death = on_death
        self._on_refusal = on_refusal
        self._lock = Lock()
        self._idle: list[Child] = []
        self._nursery, self._commands = _start()

    def borrow(self) -> Child:
        """A child that has nothing to do, perhaps a new one; see `fork`."""
        with suppress(IndexError):
            return self._idle.pop()
        return self.fork()

    def give_back(self, child: Child, duration_s: float) -> None:
        """Let a child that decoded a file of so many seconds take another, unless it has grown."""
        child.files += 1
        if child.files < MAX_FILES and duration_s < KEPT_AFTER_S:
            self._idle.append(child)
        else:
            self.end(child)

    def fork(self) -> Child:
        """A new child.

        Raises:
            Overloaded: the system gives no process now.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                return Child(self._fork(theirs), ours)
            except BaseException:
                ours.close()
                raise

    def end(self, child: Child) -> int:
        """Make sure that a child is gone.

        Returns:
            Its exit code, negative for a signal; 0 if nobody knows any more.
        """
        child.connection.close()
        try:
            with self._lock:
                self._commands.sendall(END + NUMBER.pack(child.pid))
                return os.waitstatus_to_exitcode(self._number())
        except OSError:  # with the nursery, everyone is gone
            return 0

    def autopsy(self, child: Child) -> tuple[Death, UnsupportedAudio]:
        """Why a child ended before its file, counted, and what its client is told."""
        code = self.end(child)
        death = Death.TIMEOUT if code == -signal.SIGALRM else Death.CRASH
        self._on_death(death)
        if death is Death.TIMEOUT:
            limit_s = self.bounds.timeout_s
            text = f"it was not decoded within {limit_s:g} s"
            return death, UnsupportedAudio(text, limit=limit_s)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        logger.error("a process that decoded audio ended by %s", how)
        return death, UnsupportedAudio("the decoder breaks on it", found=how)

    def close(self) -> None:
        """Let everyone go."""
        for child in self._idle:
            child.connection.close()
        self._idle.clear()
        with self._lock:
            self._commands.close()
        self._nursery.wait()

    def _fork(self, theirs: socket.socket) -> int:
        with self._lock:
            try:
                pid = self._ask_to_fork(theirs)
            except OSError:
                logger.error("the process that starts decoders ended; another is started")
                self._commands.close()
                self._nursery.wait()
                self._nursery, self._commands = _start()
                pid = self._ask_to_fork(theirs)
        if pid < 0:
            self._on_refusal()
            text = f"no process for decoding can be started: {os.strerror(-pid)}"
            raise Overloaded(text, retry_after_s=RETRY_AFTER_S)
        return pid

    def _ask_to_fork(self, theirs: socket.socket) -> int:
        socket.send_fds(self._commands, [FORK], [theirs.fileno()])
        return self._number()

    def _number(self) -> int:
        packed = self._commands.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(packed) < NUMBER.size:
            raise ConnectionError("the nursery is gone")
        number: int = NUMBER.unpack(packed)[0]
        return number


def _start() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A nursery, which imports for half a second before it hears its first command."""
    ours, theirs = socket.socketpair()
    with theirs:
        nursery = subprocess.Popen(
            [sys.executable, "-m", "service.isolation.nursery", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=loader_environment(),
            start_new_session=True,  # Ctrl-C is for the service, which drains first
        )
    return nursery, ours
