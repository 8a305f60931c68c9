"""Opening a durable store: which files to believe, what to restore, what to apply again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import lmdb

from cairnfs.errors import StoreDamaged
from cairnfs.store.applied_mark import MARK_KEY, pack_mark, read_mark
from cairnfs.store.boot_state import BootState, load_state, save_state
from cairnfs.store.checkpoint import DATA, Checkpoints
from cairnfs.store.disk import Disk, storage_error
from cairnfs.store.journal import LocalJournal
from cairnfs.store.journal_scan import JournalMark
from cairnfs.store.lmdb_store import LmdbStore, translated
from cairnfs.store.store_directory import CHECKPOINTS, JOURNAL, STATE, TREE

logger = logging.getLogger(__name__)

# Changes applied in one LMDB transaction while the journal is replayed.
_REPLAY_CHANGES = 20_000


@dataclass(frozen=True, slots=True)
class Recovered:
    """The parts of an open store. ``rebuilt``: LMDB was made anew."""

    tree: LmdbStore
    journal: LocalJournal
    checkpoints: Checkpoints
    rebuilt: bool


@dataclass(frozen=True, slots=True)
class Recovery:
    """Opens the parts of one directory, which the caller has locked."""

    directory: Path
    store_id: bytes
    boot_id: str
    disk: Disk
    map_bytes: int
    segment_bytes: int

    def run(self) -> Recovered:
        """Raises ``StoreDamaged`` where records that were durable cannot be had any more."""
        checkpoints = Checkpoints(self.directory / CHECKPOINTS, self.disk)
        checkpoints.clear_unfinished()
        state = load_state(self.directory / STATE)
        tree = self._believed_tree(state)
        rebuilt = tree is None
        if tree is None:
            # Until it is whole again no crash may make anybody believe it.
            self._save(BootState("", False, state.sequence))
            tree = self._restored_tree(checkpoints)
        try:
            return self._open_journal(tree, checkpoints, rebuilt, state.sequence)
        except BaseException:
            tree.close()
            raise

    def _save(self, state: BootState) -> None:
        save_state(self.disk, self.directory / STATE, state)

    def _believed_tree(self, state: BootState) -> LmdbStore | None:
        path = self.directory / TREE
        if not state.trusts(self.boot_id) or not (path / DATA).exists():
            return None
        if state.clean:
            # From the first commit on only this boot vouches for it.
            self._save(BootState(self.boot_id, False, state.sequence))
        tree: LmdbStore | None = None
        try:
            tree = LmdbStore(path, map_bytes=self.map_bytes)
            if state.boot_id == self.boot_id or _applied(tree).sequence == state.sequence:
                return tree
            problem = "is not the one that was stopped"
        except StoreDamaged as error:
            problem = f"is damaged: {error}"
        if tree is not None:
            tree.close()
        logger.warning("%s %s; it is made anew from checkpoint and journal", path, problem)
        return None

    def _restored_tree(self, checkpoints: Checkpoints) -> LmdbStore:
        path = self.directory / TREE
        newest = checkpoints.newest_whole()
        if newest is not None:
            logger.info("%s: restoring it from checkpoint %d and the journal", path, newest)
            checkpoints.restore(newest, path)
        else:
            try:
                self.disk.remove_tree(path)
            except OSError as error:
                raise storage_error(error, path, "cannot be made anew") from error
        return LmdbStore(path, map_bytes=self.map_bytes)

    def _open_journal(
        self, tree: LmdbStore, checkpoints: Checkpoints, rebuilt: bool, floor: int
    ) -> Recovered:
        mark = _applied(tree)
        sequences = checkpoints.sequences()
        journal = LocalJournal(
            self.directory / JOURNAL,
            self.store_id,
            mark,
            disk=self.disk,
            segment_bytes=self.segment_bytes,
            floor=max([floor, *sequences]),
        )
        try:
            if journal.last_sequence < mark.sequence:
                self._mend_journal(tree, journal, checkpoints, rebuilt, mark)
            else:
                replay(tree, journal, mark.sequence)
            if rebuilt:
                self._save(BootState(self.boot_id, False, journal.last_sequence))
        except BaseException:
            journal.close()
            raise
        return Recovered(tree, journal, checkpoints, rebuilt)

    def _mend_journal(
        self,
        tree: LmdbStore,
        journal: LocalJournal,
        checkpoints: Checkpoints,
        rebuilt: bool,
        mark: JournalMark,
    ) -> None:
        """The journal ends before what LMDB holds: the disk lost some of it."""
        path = self.directory / JOURNAL
        if rebuilt:
            raise StoreDamaged(
                f"{path} lacks record {mark.sequence}, which was durable; "
                "restore the directory from a backup or take over from another NameNode"
            )
        logger.warning(
            "%s ends at record %d, the store holds %d: the disk lost what was written to it. "
            "Nothing is missing; a checkpoint is made and the journal begun anew",
            path,
            journal.last_sequence,
            mark.sequence,
        )
        checkpoints.publish(checkpoints.make(tree))
        journal.restart(mark.sequence)


def _applied(tree: LmdbStore) -> JournalMark:
    snapshot = tree.snapshot()
    try:
        return read_mark(snapshot)
    finally:
        snapshot.close()


def replay(tree: LmdbStore, journal: LocalJournal, after: int) -> None:
    """Apply the records above ``after``. Raises ``StorageError``."""
    if after == journal.last_sequence:
        return
    txn: lmdb.Transaction[bytes] | None = None
    pending = 0
    for sequence, changes in journal.read(after):
        if txn is None:
            txn = tree.begin_write()
        try:
            for key, value in changes:
                if value is None:
                    txn.delete(key)
                else:
                    txn.put(key, value)
            pending += len(changes)
            last = sequence == journal.last_sequence
            if last or pending >= _REPLAY_CHANGES:
                mark = journal.mark if last else JournalMark(sequence, 0, 0)
                txn.put(MARK_KEY, pack_mark(mark))
        except lmdb.Error as error:
            tree.end(txn, commit=False)
            raise translated(error, tree.path) from error
        if last or pending >= _REPLAY_CHANGES:
            tree.end(txn, commit=True)
            txn, pending = None, 0
    logger.info("%s: records %d to %d applied", tree.path, after + 1, journal.last_sequence)
