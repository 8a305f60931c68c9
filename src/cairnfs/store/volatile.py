"""A store of facts that others can tell again: as good as it was unless the kernel died.

Never synced and without a journal. Its content outlives any death of the process, and is
thrown away when the machine was restarted since, or when it cannot be read.
"""

from __future__ import annotations

import logging
from pathlib import Path

from cairnfs.errors import StoreDamaged
from cairnfs.limits import STORE_MAP_BYTES
from cairnfs.store.boot_state import BootState, kernel_boot_id, load_state, save_state
from cairnfs.store.directory_lock import DirectoryLock
from cairnfs.store.disk import Disk, SystemDisk, storage_error
from cairnfs.store.lmdb_store import LmdbStore

logger = logging.getLogger(__name__)
_STATE = "state"
_TREE = "tree"


class VolatileStore(LmdbStore):
    """An :class:`LmdbStore` in a directory that it makes if need be.

    ``survived`` tells whether it holds what the last process left. With ``discard`` it
    never does: for when what it refers to was restored itself (``DurableStore.rebuilt``).

    Raises ``StoreLocked``, ``StorageError``."""

    def __init__(
        self,
        directory: Path,
        *,
        discard: bool = False,
        disk: Disk | None = None,
        boot_id: str | None = None,
        map_bytes: int = STORE_MAP_BYTES,
    ) -> None:
        disk = disk or SystemDisk()
        boot_id = boot_id or kernel_boot_id()
        directory = Path(directory)
        tree = directory / _TREE
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise storage_error(error, directory, "cannot be made") from error
        self._lock = DirectoryLock(directory)
        try:
            state = load_state(directory / _STATE)
            self.survived = state.trusts(boot_id) and not discard and tree.is_dir()
            if self.survived:
                try:
                    super().__init__(tree, map_bytes=map_bytes)
                    return
                except StoreDamaged as error:
                    logger.warning("%s; it is begun anew", error)
                    self.survived = False
            _remove(disk, tree)
            super().__init__(tree, map_bytes=map_bytes)
            save_state(disk, directory / _STATE, BootState(boot_id, False, 0))
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        super().close()
        self._lock.release()


def _remove(disk: Disk, tree: Path) -> None:
    try:
        disk.remove_tree(tree)
    except OSError as error:
        raise storage_error(error, tree, "cannot be begun anew") from error
