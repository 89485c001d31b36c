"""The process that forks children: it has imported all that they need, and has a single thread.

A child starts in two milliseconds and shares the nursery's memory. Commands come over a socket:
`FORK`, answered by a process id or minus the number of an error, and `END`, answered by a status of
`waitpid`. When the socket ends, everyone does.
"""

import gc
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress

# PyAV 19 imports it with the first file, for which the bounds of a child may be too narrow.
import av.subtitles.stream  # noqa: F401

from service.isolation.child import serve
from service.isolation.wire import END, FORK, NUMBER

REMEMBERED = 256  # ends that nobody has asked about yet


class Nursery:
    """Forks and reaps.

    Args:
        commands: of the service.
    """

    def __init__(self, commands: socket.socket) -> None:
        self._commands = commands
        self._alive: set[int] = set()
        self._ended: dict[int, int] = {}

    def run(self) -> None:
        """Until the service is gone."""
        while True:
            command, files, _, _ = socket.recv_fds(self._commands, 1, 1)
            self._reap()
            if command == FORK:
                self._answer(self._fork(files[0]))
            elif command == END:
                (pid,) = NUMBER.unpack(self._commands.recv(NUMBER.size, socket.MSG_WAITALL))
                self._answer(self._end(pid))
            else:
                return

    def _answer(self, number: int) -> None:
        self._commands.sendall(NUMBER.pack(number))

    def _fork(self, file: int) -> int:
        with socket.socket(fileno=file) as connection:
            try:
                pid = os.fork()
            except OSError as error:
                return -(error.errno or 1)
            if not pid:
                _live(self._commands, connection)
            self._alive.add(pid)
            return pid

    def _end(self, pid: int) -> int:
        """Make sure of the end of a child that is ours, and tell how it came."""
        if pid in self._alive:
            os.kill(pid, signal.SIGKILL)
            self._note(*os.waitpid(pid, 0))
        return self._ended.pop(pid, 0)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._note(*ended)

    def _note(self, pid: int, status: int) -> None:
        self._alive.discard(pid)
        if status:
            self._ended[pid] = status
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]


def _live(commands: socket.socket, connection: socket.socket) -> None:
    """The whole life of a child; does not return."""
    status = 1
    try:
        commands.close()
        serve(connection)
    except OSError:
        status = 0  # the parent does not want it any more
    except BaseException:  # noqa: BLE001  the end of a process
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    """Serve the socket whose number is the argument, and take everyone along at its end."""
    for number in (signal.SIGINT, signal.SIGTERM):  # for the service, which drains first
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # so that children share what is there
    with socket.socket(fileno=int(sys.argv[1])) as commands, suppress(OSError):
        Nursery(commands).run()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
