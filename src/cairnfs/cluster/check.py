"""The proof that ``cairn up`` gives before it says that it is up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import cairnfs
from cairnfs.errors import CairnError, StartupError

CHECK_BYTES = 1 << 20
POLL_S = 0.01


def write_and_read_back(
    url: str, datanodes: int, timeout_s: float, check_alive: Callable[[], None] = lambda: None
) -> None:
    """Wait for ``datanodes`` live nodes at ``url``, then write, read, compare, delete a file.

    ``check_alive`` is called while it waits, to raise if that is in vain. Raises
    ``StartupError`` if it does not work within ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    with cairnfs.connect(url) as fs:
        while (live := len(fs.datanodes("LIVE"))) < datanodes:
            if time.monotonic() > deadline:
                raise StartupError(
                    f"only {live} of {datanodes} DataNodes registered within {timeout_s:.0f} s; "
                    "see the logs directory"
                )
            check_alive()
            time.sleep(POLL_S)
        path = f"/tmp/.cairn-check-{os.getpid()}"
        data = os.urandom(CHECK_BYTES)
        made_tmp = not fs.exists("/tmp")
        try:
            if made_tmp:
                fs.mkdirs("/tmp")
                fs.chmod("/tmp", 0o1777)
            with fs.open(path, "wb") as out:
                out.write(data)
            with fs.open(path, "rb") as back:
                if back.read() != data:
                    raise StartupError(f"{path} was read back with other bytes than written")
            fs.delete(path)
        except CairnError as error:
            raise StartupError(f"the first file could not be written and read: {error}") from None
