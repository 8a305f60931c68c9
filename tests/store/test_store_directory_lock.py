"""One process for each directory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cairnfs.errors import StorageError, StoreLocked
from cairnfs.store.directory_lock import LOCK_NAME, DirectoryLock

HOLD = """
import sys
from cairnfs.store.directory_lock import DirectoryLock
lock = DirectoryLock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.requirement("A04")
def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked, match=f"{tmp_path} is in use by process {holder.pid};"):
            DirectoryLock(tmp_path)
        holder.kill()
        holder.wait(10)
        # The kernel took the lock back; the file that stays means nothing.
        assert (tmp_path / LOCK_NAME).exists()
        DirectoryLock(tmp_path).release()


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o600
        with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
            DirectoryLock(tmp_path)
    lock = DirectoryLock(tmp_path)
    lock.release()
    lock.release()


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="none/in_use"):
        DirectoryLock(tmp_path / "none")
