"""One process for each directory: ``in_use.lock``, held as long as the process lives.

The kernel drops the lock with the process, however that ends, so a lock file that was left
behind means nothing. The file names its holder for the message to the second process.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cairnfs.errors import StorageError, StoreLocked

LOCK_NAME = "in_use.lock"


class DirectoryLock:
    """Held from construction until :meth:`release`; the directory must exist.

    Raises ``StoreLocked`` if any process, this one included, holds it already, and
    ``StorageError`` if the lock file cannot be made."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        path = self.directory / LOCK_NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be opened ({error.strerror}); the directory must exist and "
                "belong to the user who runs this process"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Of one length always: to truncate the file would cost a disk access.
            os.pwrite(descriptor, b"%-20d\n" % os.getpid(), 0)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StoreLocked(
                f"{self.directory} is in use by process {holder or 'unknown'}; "
                "stop that process or name another directory"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StorageError(f"{path} cannot be locked ({error.strerror})") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others in; the file stays, as removing it would race with them."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
