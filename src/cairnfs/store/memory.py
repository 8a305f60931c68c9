"""The store in memory: for unit tests and the simulator, up to some 100,000 keys.

Behaves as :mod:`cairnfs.store.lmdb_store` does, limits included. A version of the
data is a dict and a sorted list of its keys; it is changed in place unless a
snapshot still reads it, and copied then.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator

from cairnfs.errors import LocalProtocolError
from cairnfs.limits import STORE_KEY_BYTES_MAX
from cairnfs.store.interface import Change

# From so many new keys on, one sort of the (almost sorted) list beats single insertions.
_BULK_KEYS = 64


class _Version:
    """One committed state; ``readers`` counts the snapshots that look at it."""

    __slots__ = ("keys", "readers", "values")

    def __init__(self, keys: list[bytes], values: dict[bytes, bytes]) -> None:
        self.keys = keys
        self.values = values
        self.readers = 0

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        values = self.values
        for key in self.keys[bisect_left(self.keys, start) : bisect_left(self.keys, stop)]:
            yield key, values[key]

    def scan_reverse(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        values = self.values
        first = bisect_left(self.keys, start)
        for key in reversed(self.keys[first : bisect_left(self.keys, stop)]):
            yield key, values[key]

    def apply(self, overlay: dict[bytes, bytes | None]) -> None:
        keys, values = self.keys, self.values
        added = [k for k, v in overlay.items() if v is not None and k not in values]
        removed = {k for k, v in overlay.items() if v is None and k in values}
        if len(removed) >= _BULK_KEYS:
            keys[:] = [k for k in keys if k not in removed]
        else:
            for key in removed:
                del keys[bisect_left(keys, key)]
        if len(added) >= _BULK_KEYS:
            keys.extend(added)
            keys.sort()
        else:
            for key in added:
                insort(keys, key)
        for key, value in overlay.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value


def _closed(_key: bytes, /) -> bytes | None:
    raise LocalProtocolError("the snapshot was closed before this read")


class MemorySnapshot:
    """A consistent view; ``get`` is the dict's own method."""

    __slots__ = ("_store", "_version", "get")

    def __init__(self, store: MemoryStore, version: _Version) -> None:
        self._store = store
        self._version: _Version | None = version
        self.get: Callable[[bytes], bytes | None] = version.values.get

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._open().scan(start, stop)

    def scan_reverse(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._open().scan_reverse(start, stop)

    def close(self) -> None:
        if self._version is not None:
            self._store._release(self._version)
            self._version = None
            self.get = _closed

    def _open(self) -> _Version:
        if self._version is None:
            raise LocalProtocolError("the snapshot was closed before this scan")
        return self._version


class MemoryBatch:
    """The write transaction: changes lie in an overlay until they are committed."""

    __slots__ = ("_base", "_changes", "_overlay", "_replaced", "_store")

    def __init__(self, store: MemoryStore, base: _Version) -> None:
        self._store: MemoryStore | None = store
        self._base = base
        self._overlay: dict[bytes, bytes | None] = {}
        self._changes: list[Change] = []
        self._replaced: list[bytes | None] = []

    @property
    def changes(self) -> list[Change]:
        return self._changes

    @property
    def replaced(self) -> list[bytes | None]:
        return self._replaced

    def get(self, key: bytes, /) -> bytes | None:
        if key in self._overlay:
            return self._overlay[key]
        return self._base.values.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._merged(start, stop, descending=False)

    def scan_reverse(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._merged(start, stop, descending=True)

    def put(self, key: bytes, value: bytes) -> None:
        check_key(key)
        self._change(key, value)

    def delete(self, key: bytes) -> bool:
        if self.get(key) is None:
            return False
        self._change(key, None)
        return True

    def savepoint(self) -> int:
        return len(self._changes)

    def rollback(self, savepoint: int) -> None:
        if not 0 <= savepoint <= len(self._changes):
            raise LocalProtocolError(f"savepoint {savepoint} was rolled back already")
        while len(self._changes) > savepoint:
            key, _ = self._changes.pop()
            self._overlay[key] = self._replaced.pop()

    def commit(self) -> None:
        self._finish()._commit(self._overlay)

    def abort(self) -> None:
        self._finish()._abort()

    def _finish(self) -> MemoryStore:
        store, self._store = self._store, None
        if store is None:
            raise LocalProtocolError("the batch has ended already")
        return store

    def _change(self, key: bytes, value: bytes | None) -> None:
        if self._store is None:
            raise LocalProtocolError("the batch has ended already")
        self._replaced.append(self.get(key))
        self._changes.append((key, value))
        self._overlay[key] = value

    def _merged(self, start: bytes, stop: bytes, descending: bool) -> Iterator[tuple[bytes, bytes]]:
        overlay, base = self._overlay, self._base
        changed = [key for key in overlay if start <= key < stop]
        if not changed:
            yield from (base.scan_reverse if descending else base.scan)(start, stop)
            return
        keys = base.keys[bisect_left(base.keys, start) : bisect_left(base.keys, stop)]
        for key in sorted({*keys, *changed}, reverse=descending):
            value = overlay[key] if key in overlay else base.values[key]
            if value is not None:
                yield key, value


class MemoryStore:
    """A :class:`cairnfs.store.interface.Store` that ends with its process."""

    def __init__(self) -> None:
        self._version = _Version([], {})
        self._writing = False
        # Snapshots may be taken and closed in other threads than the writer's.
        self._lock = threading.Lock()

    def snapshot(self) -> MemorySnapshot:
        with self._lock:
            self._version.readers += 1
            return MemorySnapshot(self, self._version)

    def batch(self) -> MemoryBatch:
        with self._lock:
            if self._writing:
                raise LocalProtocolError("a batch is open already; a store has one writer")
            self._writing = True
            return MemoryBatch(self, self._version)

    def close(self) -> None:
        """Nothing to do: the data goes with the object."""

    def _release(self, version: _Version) -> None:
        with self._lock:
            version.readers -= 1

    def _commit(self, overlay: dict[bytes, bytes | None]) -> None:
        with self._lock:
            if overlay:
                version = self._version
                if version.readers:
                    version = _Version(version.keys.copy(), version.values.copy())
                version.apply(overlay)
                self._version = version
            self._writing = False

    def _abort(self) -> None:
        with self._lock:
            self._writing = False


def check_key(key: bytes) -> None:
    """Raise ``LocalProtocolError`` for a key that LMDB would not take."""
    if not 0 < len(key) <= STORE_KEY_BYTES_MAX:
        raise LocalProtocolError(
            f"a key of {len(key)} bytes; the store takes 1 to {STORE_KEY_BYTES_MAX}"
        )
