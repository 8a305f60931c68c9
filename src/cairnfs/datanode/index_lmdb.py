"""What the block index does with LMDB itself: environments, ranges of keys, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb

from cairnfs.datanode import index_records as records
from cairnfs.errors import DiskFull, StorageError, StoreDamaged
from cairnfs.wire.checksum import CRC_BYTES

# One slot for each thread that reads; a transfer thread holds one only while it reads.
_READERS_MAX = 8192


class lmdb_errors:  # noqa: N801 (used like contextlib's own)
    """Turns LMDB's errors into ours."""

    __slots__ = ("_doing", "_path")

    def __init__(self, doing: str, path: Path) -> None:
        self._doing = doing
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, lmdb.Error):
            return
        what = f"block index {self._path}"
        if isinstance(error, lmdb.MapFullError | lmdb.DiskError):
            raise DiskFull(
                f"{what}: no room while {self._doing} ({error}); free space there or raise "
                f"cairn.datanode.index.bytes.max"
            ) from error
        if isinstance(error, lmdb.CorruptedError | lmdb.PageNotFoundError | lmdb.InvalidError):
            raise StoreDamaged(f"{what} is damaged ({self._doing}: {error})") from error
        raise StorageError(f"{what}: {self._doing}: {error}") from error


def open_environment(path: Path, bytes_max: int, synced: bool) -> Any:
    """Open or make one. ``synced``: every commit is durable before it returns."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lmdb_errors("opening", path):
        return lmdb.open(
            str(path),
            map_size=bytes_max,
            sync=synced,
            metasync=synced,
            max_readers=_READERS_MAX,
            mode=0o600,
            meminit=False,
        )


def move_aside(path: Path) -> None:
    """Keep what is damaged for whoever wants to look."""
    number = 0
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)


def between(txn: Any, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Pairs with ``first <= key <= last``."""
    cursor = txn.cursor()
    if not cursor.set_range(first):
        return
    for key, value in cursor:
        if key > last:
            return
        yield key, value


def scan_table(txn: Any, table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All pairs of one table."""
    return between(txn, table, table + b"\xff" * 255)


def delete_range(txn: Any, first: bytes, last: bytes) -> None:
    """Delete all with ``first <= key <= last``."""
    for key in [key for key, _ in between(txn, first, last)]:
        txn.delete(key)


def put_sums(txn: Any, key: bytes, sums: bytes) -> None:
    """Write all CRCs of the replica of ``key``, in ranges."""
    step = records.RANGE_CRCS * CRC_BYTES
    count = -(-len(sums) // step)
    for number in range(count):
        txn.put(records.sums_key(key, number), sums[number * step : (number + 1) * step])
    delete_range(txn, records.sums_key(key, count), records.sums_key(key, 0xFFFFFFFF))


def copy_replica(fresh: Any, base: Any, key: bytes, value: bytes) -> None:
    """Let ``base`` have of one replica what ``fresh`` has."""
    first, last = records.sums_key(key, 0), records.sums_key(key, 0xFFFFFFFF)
    delete_range(base, first, last)
    if not value:
        base.delete(key)
        return
    base.put(key, value)
    for name, sums in between(fresh, first, last):
        base.put(name, sums)


def count_change(
    used: dict[tuple[int, int], list[int]], key: bytes, old: bytes | None, new: bytes
) -> set[tuple[int, int]]:
    """Let ``used`` follow the change of one record; the (volume, pool) that it touched."""
    pool = records.pool_of(key)
    touched = set()
    for value, sign in ((old, -1), (new, 1)):
        if value:
            record = records.decode_record(key, value)
            counts = used.setdefault((record.volume, pool), [0, 0])
            counts[0] += sign * record.length
            counts[1] += sign
            touched.add((record.volume, pool))
    return touched
