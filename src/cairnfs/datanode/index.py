"""The block index: which replicas this node has, and their checksums, apart from the data.

Two LMDB environments in ``meta.home``:

- ``base`` is synced at every commit, so no power cut can tear it. It is written by one
  thread, in batches, after the data files of a batch were synced (:meth:`Index.settle`).
- ``fresh`` holds what is not in ``base`` yet and is never synced: one commit costs 12 us
  (100 KB block; 60 us for 128 MiB, measured), which a synced one takes a hundred times over.
  It outlives the death of the process, as the kernel has its pages. It does not outlive a
  power cut, where it may be torn: after a change of the kernel's boot id it is thrown away.

So a replica that was finalized is found again after ``kill -9`` in ``fresh``; after a power
cut ``base`` names all replicas whose data was safe, and a walk over the volumes (names and
sizes only) finds the few that came after the last settling; only their checksums must be
computed again. Losing all of ``meta.home`` is the same with an empty ``base``.

An empty value in ``fresh`` says "deleted", whatever ``base`` holds. Readers look at
``fresh`` first and open its snapshot first: an entry leaves it only after it is in ``base``.

Thread safe: LMDB has one writer at a time per environment, readers never wait; ``_lock``
guards the counters.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairnfs.datanode import index_records as records
from cairnfs.datanode.index_lmdb import (
    between,
    copy_replica,
    count_change,
    delete_range,
    lmdb_errors,
    move_aside,
    open_environment,
    put_sums,
    scan_table,
)
from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.volume import write_synced
from cairnfs.errors import StartupError, StorageError, StoreDamaged
from cairnfs.wire.checksum import CRC_BYTES

_LAYOUT = b"1"
_STATE_LAYOUT = records.STATE + b"layout"
_STATE_CLEAN = records.STATE + b"clean"
_STATE_WALK = records.STATE + b"walk"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def kernel_boot_id() -> str:
    """Changes with every boot of the machine: what was not synced before it is gone."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


@dataclass(frozen=True, slots=True)
class Opening:
    """What was found. ``complete``: the index names every replica, no walk is needed."""

    complete: bool
    rebuilt: bool
    reason: str


class Index:
    """See the module. Open with :meth:`open`."""

    def __init__(self, directory: Path, base: Any, fresh: Any, opening: Opening) -> None:
        self.directory = directory
        self.opening = opening
        self._base = base
        self._fresh = fresh
        self._lock = threading.Lock()
        # One settling at a time: a later one must not be overtaken by an older view.
        self._settling = threading.Lock()
        self._pools: dict[str, int] = {}
        self._volumes: dict[str, int] = {}
        # (volume, pool) -> [bytes, replicas]: in force, and as base alone has it.
        self._used: dict[tuple[int, int], list[int]] = {}
        self._base_used: dict[tuple[int, int], list[int]] = {}
        self._load()

    # --- opening and closing -----------------------------------------------------------------

    @classmethod
    def open(cls, directory: Path, bytes_max: int, boot_id: str) -> Index:
        """Open or make the index in ``directory`` (which the caller has locked).

        A damaged ``base`` is moved aside and begun anew: :attr:`opening` says so. Raises
        ``StorageError``; ``StartupError`` for a directory that holds something else."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_own(directory)
        boot_file = directory / "fresh.boot"
        same_boot = boot_file.exists() and boot_file.read_text(encoding="ascii") == boot_id
        if not same_boot:
            shutil.rmtree(directory / "fresh", ignore_errors=True)
            write_synced(boot_file, boot_id)
        existed = (directory / "base" / "data.mdb").exists()
        try:
            base = open_environment(directory / "base", bytes_max, synced=True)
            layout, clean = _read_state(base, directory)
        except StoreDamaged:
            move_aside(directory / "base")
            shutil.rmtree(directory / "fresh", ignore_errors=True)
            base = open_environment(directory / "base", bytes_max, synced=True)
            layout, clean = None, False
            existed = False
        if layout not in (None, _LAYOUT):
            base.close()
            raise StorageError(
                f"block index {directory} has layout {layout!r}, this program knows "
                f"{_LAYOUT!r}; use the program that wrote it"
            )
        existed = existed and layout is not None
        if not existed:
            shutil.rmtree(directory / "fresh", ignore_errors=True)
        with lmdb_errors("opening", directory), base.begin(write=True) as txn:
            unfinished = txn.get(_STATE_WALK) is not None
            if not existed:
                opening = Opening(False, True, "there was no index")
            elif unfinished:
                opening = Opening(False, False, "the last walk over the volumes was not finished")
            elif clean or same_boot:
                opening = Opening(True, False, "")
            else:
                opening = Opening(False, False, "the machine went down without a clean stop")
            txn.put(_STATE_LAYOUT, _LAYOUT)
            txn.delete(_STATE_CLEAN)
            if not opening.complete:
                # Whatever becomes of this process: the next one must not trust the index
                # before a walk was finished.
                txn.put(_STATE_WALK, b"1")
        fresh = open_environment(directory / "fresh", bytes_max, synced=False)
        return cls(directory, base, fresh, opening)

    def walked(self) -> None:
        """The volumes were walked to the end: the index is complete from now on."""
        self.set_flag("walk", False)

    def close(self) -> None:
        """Settle what is left and leave the mark of a clean stop.

        The caller must have synced all data files. Raises ``StorageError``."""
        self.settle(self.unsettled())
        with lmdb_errors("closing", self.directory):
            with self._base.begin(write=True) as txn:
                txn.put(_STATE_CLEAN, b"1")
            self.abandon()

    def abandon(self) -> None:
        """Close without settling, as a killed process would."""
        self._fresh.close()
        self._base.close()

    def _load(self) -> None:
        with self._base.begin() as base:
            for key, value in scan_table(base, records.POOL):
                self._pools[key[1:].decode()] = records.decode_number(value)
            for key, value in scan_table(base, records.VOLUME):
                self._volumes[key[1:].decode()] = records.decode_number(value)
            for key, value in scan_table(base, records.USED):
                self._base_used[records.parse_used_key(key)] = list(records.decode_used(value))
            self._used = {where: list(used) for where, used in self._base_used.items()}
            with self._fresh.begin() as fresh:
                for key, value in scan_table(fresh, records.REPLICA):
                    count_change(self._used, key, base.get(key), value)

    # --- flags -------------------------------------------------------------------------------

    def flag(self, name: str) -> bool:
        """A durable flag of the dataset's own."""
        with lmdb_errors("reading", self.directory), self._base.begin() as txn:
            return txn.get(records.STATE + name.encode()) is not None

    def set_flag(self, name: str, on: bool) -> None:
        with lmdb_errors("writing", self.directory), self._base.begin(write=True) as txn:
            if on:
                txn.put(records.STATE + name.encode(), b"1")
            else:
                txn.delete(records.STATE + name.encode())

    # --- names and numbers -------------------------------------------------------------------

    def pool_number(self, pool_id: str) -> int:
        """The number of a pool, given at first sight (durable)."""
        return self._number(self._pools, records.POOL, pool_id)

    def volume_number(self, volume_uuid: str) -> int:
        """The number of a volume, given at first sight (durable)."""
        return self._number(self._volumes, records.VOLUME, volume_uuid)

    def pools(self) -> dict[str, int]:
        """All pools that were ever seen, with their numbers."""
        with self._lock:
            return dict(self._pools)

    def knows_volume(self, volume_uuid: str) -> bool:
        return volume_uuid in self._volumes

    def _number(self, known: dict[str, int], table: bytes, name: str) -> int:
        with self._lock:
            number = known.get(name)
            if number is None:
                number = max(known.values(), default=0) + 1
                with lmdb_errors("naming", self.directory), self._base.begin(write=True) as txn:
                    txn.put(table + name.encode(), records.encode_number(number))
                known[name] = number
            return number

    # --- reading -----------------------------------------------------------------------------

    def find(self, pool: int, block_id: int) -> ReplicaRecord | None:
        """The newest generation of a block; replicas that are being deleted count too."""
        first, last = records.replica_bounds(pool, block_id)
        with lmdb_errors("reading", self.directory):
            with self._fresh.begin() as txn:
                fresh = list(between(txn, first, last))
            with self._base.begin() as txn:
                found = dict(between(txn, first, last))
        found.update(fresh)
        newest = max((key for key, value in found.items() if value), default=None)
        return None if newest is None else records.decode_record(newest, found[newest])

    def checksums(self, pool: int, record: ReplicaRecord, first: int, count: int) -> bytes:
        """The CRCs of ``count`` chunks from chunk ``first`` on. Raises ``StoreDamaged``."""
        key = records.replica_key(pool, record.block_id, record.generation_stamp)
        parts: list[bytes] = []
        wanted_first, wanted_stop = first * CRC_BYTES, (first + count) * CRC_BYTES
        with lmdb_errors("reading", self.directory), contextlib.ExitStack() as stack:
            fresh = stack.enter_context(self._fresh.begin(buffers=True))
            base = stack.enter_context(self._base.begin(buffers=True))
            source = fresh if fresh.get(key) else base
            for number in range(first // records.RANGE_CRCS, records.ranges(first + count)):
                value = source.get(records.sums_key(key, number), b"")
                start = number * records.RANGE_CRCS * CRC_BYTES
                parts.append(bytes(value[max(0, wanted_first - start) : wanted_stop - start]))
        sums = b"".join(parts)
        if len(sums) != count * CRC_BYTES:
            raise StoreDamaged(
                f"block index {self.directory}: blk_{record.block_id}_{record.generation_stamp} "
                f"has {len(sums)} bytes of checksums at chunk {first} instead of "
                f"{count * CRC_BYTES}"
            )
        return sums

    def scan(self, pool: int) -> Iterator[ReplicaRecord]:
        """All replicas of a pool in order of their ids, those being deleted included.

        One pass over ``m``. Keep the loop short: it holds a snapshot."""
        first, last = records.pool_bounds(pool)
        with lmdb_errors("scanning", self.directory), contextlib.ExitStack() as stack:
            fresh_txn = stack.enter_context(self._fresh.begin())
            fresh = dict(between(fresh_txn, first, last))
            base_txn = stack.enter_context(self._base.begin())
            for key, value in between(base_txn, first, last):
                newer = fresh.pop(key, None)
                if newer is not None:
                    value = newer
                if value:
                    yield records.decode_record(key, value)
            for key, value in fresh.items():
                if value:
                    yield records.decode_record(key, value)

    def used(self, volume: int, pool: int | None = None) -> tuple[int, int]:
        """Bytes and replicas on a volume, of one pool or of all."""
        with self._lock:
            counts = [
                used for (at, of), used in self._used.items() if at == volume and pool in (None, of)
            ]
        return sum(used[0] for used in counts), sum(used[1] for used in counts)

    # --- changing ----------------------------------------------------------------------------

    def put(
        self, pool: int, record: ReplicaRecord, sums: bytes | None, replaces: int | None = None
    ) -> None:
        """Write a record, and its CRCs unless ``sums`` is None (then they stay as they are).

        ``replaces``: the generation of the same block that goes in the same moment. Visible
        at once and safe against the death of this process. Raises ``StorageError``."""
        key = records.replica_key(pool, record.block_id, record.generation_stamp)
        with lmdb_errors("writing", self.directory), self._fresh.begin(write=True) as txn:
            if sums is None and not txn.get(key):
                sums = self._base_sums(key, record)
            if replaces is not None and replaces != record.generation_stamp:
                self._erase(txn, records.replica_key(pool, record.block_id, replaces))
            self._write(txn, key, record.encode())
            if sums is not None:
                put_sums(txn, key, sums)

    def remove(self, pool: int, blocks: Iterable[tuple[int, int]]) -> None:
        """Forget replicas, given as (block id, generation), in one transaction."""
        with lmdb_errors("deleting", self.directory), self._fresh.begin(write=True) as txn:
            for block_id, stamp in blocks:
                self._erase(txn, records.replica_key(pool, block_id, stamp))

    def mark_deleting(self, pool: int, found: Iterable[ReplicaRecord]) -> None:
        """Flag replicas as being deleted, in one transaction; their CRCs are dropped."""
        with lmdb_errors("deleting", self.directory), self._fresh.begin(write=True) as txn:
            for record in found:
                key = records.replica_key(pool, record.block_id, record.generation_stamp)
                flagged = ReplicaRecord(
                    record.block_id,
                    record.generation_stamp,
                    record.length,
                    record.state,
                    record.volume,
                    record.checksum,
                    record.writer_bytes_per_checksum,
                    record.flags | records.FLAG_DELETING,
                )
                self._write(txn, key, flagged.encode())

    def _write(self, txn: Any, key: bytes, value: bytes) -> None:
        old = txn.get(key)
        if old is None:
            with self._base.begin() as base:
                old = base.get(key)
        txn.put(key, value)
        with self._lock:
            count_change(self._used, key, old, value)

    def _erase(self, txn: Any, key: bytes) -> None:
        self._write(txn, key, b"")
        delete_range(txn, records.sums_key(key, 0), records.sums_key(key, 0xFFFFFFFF))

    def _base_sums(self, key: bytes, record: ReplicaRecord) -> bytes:
        with self._base.begin() as base:
            count = records.ranges(record.checksum.chunks(record.length))
            return b"".join(base.get(records.sums_key(key, n), b"") for n in range(count))

    # --- from fresh to base ------------------------------------------------------------------

    def unsettled(self) -> list[bytes]:
        """The keys of all replicas that ``base`` does not have as they are."""
        with lmdb_errors("reading", self.directory), self._fresh.begin() as fresh:
            return [key for key, _ in scan_table(fresh, records.REPLICA)]

    def settle(self, keys: Iterable[bytes]) -> int:
        """Make the records of ``keys`` durable: one synced commit; how many there were.

        Only for replicas whose data is on disk (a record must never outlive its data)."""
        moved: dict[bytes, bytes] = {}
        with self._settling:
            used = {where: list(counts) for where, counts in self._base_used.items()}
            with lmdb_errors("settling", self.directory), contextlib.ExitStack() as stack:
                fresh = stack.enter_context(self._fresh.begin())
                base = stack.enter_context(self._base.begin(write=True))
                touched: set[tuple[int, int]] = set()
                for key in keys:
                    value = fresh.get(key)
                    if value is None:
                        continue
                    moved[key] = value
                    touched |= count_change(used, key, base.get(key), value)
                    copy_replica(fresh, base, key, value)
                for volume, pool in touched:
                    base.put(
                        records.used_key(volume, pool),
                        records.encode_used(*used[volume, pool]),
                    )
            self._base_used = used
            if moved:
                self._forget_fresh(moved)
        return len(moved)

    def _forget_fresh(self, moved: dict[bytes, bytes]) -> None:
        with lmdb_errors("settling", self.directory), self._fresh.begin(write=True) as txn:
            for key, value in moved.items():
                # Changed since: then it is settled another time.
                if txn.get(key) == value:
                    txn.delete(key)
                    delete_range(txn, records.sums_key(key, 0), records.sums_key(key, 0xFFFFFFFF))


def _read_state(base: Any, directory: Path) -> tuple[bytes | None, bool]:
    with lmdb_errors("opening", directory), base.begin() as txn:
        return txn.get(_STATE_LAYOUT), txn.get(_STATE_CLEAN) is not None


def _check_own(directory: Path) -> None:
    present = set(os.listdir(directory)) - {"in_use.lock", "lost+found"}
    if present and not any(name.startswith(("base", "fresh")) for name in present):
        raise StartupError(
            f"{directory} holds {min(present)!r} and no block index; point "
            f"cairn.datanode.meta.home at an empty directory or at this DataNode's own"
        )
