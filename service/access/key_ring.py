"""The keys that are valid now: those of the file, which may change while the service runs."""

import hmac
import logging
from pathlib import Path

from service.access.keys import InvalidKeys, Key, digest_of, read_keys

logger = logging.getLogger(__name__)

Stamp = tuple[int, ...]


class KeyRing:
    """Finds keys; reads the file again as soon as it is another one.

    A file that was damaged or taken away meanwhile leaves the keys as they were, and is told in the
    log: a slip of an editor must not lock everybody out.

    Args:
        path: of the file of keys.

    Raises:
        InvalidKeys: it cannot be read at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._keys = read_keys(path)

    def find(self, secret: str) -> Key | None:
        """The entry of a key; None if there is none.

        Every key is compared, each in constant time, so that time tells nothing of any.
        """
        self._refresh()
        digest, found = digest_of(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _refresh(self) -> None:
        if (stamp := _stamp(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except InvalidKeys as error:
            logger.error("the keys stay as they were: %s", error)
        else:
            logger.info("%d keys are valid from now on", len(self._keys))


def _stamp(path: Path) -> Stamp | None:
    """What changes with a file's content; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_ino
