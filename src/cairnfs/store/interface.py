"""What a store is: ordered byte keys, snapshots to read from, one writer.

One flat key space; the first byte of a key names its table (see
``namespace/tables.py`` and ``blocks/tables.py``). Two implementations:
:mod:`cairnfs.store.memory` (tests, simulation) and :mod:`cairnfs.store.lmdb_store`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

# A change is a key with its new value; None deletes the key.
Change = tuple[bytes, bytes | None]


class Reader(Protocol):
    """A consistent view. Keys and values are ``bytes``."""

    def get(self, key: bytes, /) -> bytes | None:
        """The value of ``key``, or None."""
        ...

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All pairs with ``start <= key < stop``, ascending.

        The caller must not change the store while it iterates."""
        ...

    def scan_reverse(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The same pairs, descending."""
        ...


class Writer(Reader, Protocol):
    """The one write transaction: sees its own changes, is seen by others after commit."""

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> bool:
        """Remove ``key``; False if it was not there."""
        ...


class Snapshot(Reader, Protocol):
    """A reader that holds old pages alive until it is closed: close it soon."""

    def close(self) -> None: ...


class Batch(Writer, Protocol):
    """A write transaction with savepoints, so that many requests share one commit.

    ::

        mark = batch.savepoint()
        try:
            answer = operation(batch)
        except CairnError:
            batch.rollback(mark)   # only that operation's changes are undone
    """

    @property
    def changes(self) -> list[Change]:
        """Every change that is in force, in order."""
        ...

    @property
    def replaced(self) -> list[bytes | None]:
        """For each of :attr:`changes`, the value that its key had until then."""
        ...

    def savepoint(self) -> int: ...

    def rollback(self, savepoint: int) -> None: ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


class Store(Protocol):
    """An ordered store. Not durable by itself: see :mod:`cairnfs.store.durable`."""

    def snapshot(self) -> Snapshot: ...

    def batch(self) -> Batch:
        """Begin the one write transaction. Raises ``LocalProtocolError`` if one is open."""
        ...

    def close(self) -> None: ...


class Journal(Protocol):
    """An ordered, durable list of committed batches (DESIGN: "the journal carries effects").

    Sequence numbers count up by one from 1."""

    @property
    def last_sequence(self) -> int:
        """Of the newest appended record; 0 if there never was one."""
        ...

    def append(self, changes: list[Change]) -> int:
        """Write a record (to the kernel, not yet durable) and return its sequence number.

        A process crash after this loses nothing; a power cut may, until :meth:`sync`.
        Raises ``DiskFull`` and, for a record beyond the limit, ``LocalProtocolError``: then
        nothing was written and the journal is as before. After any other ``StorageError``
        it accepts nothing more."""
        ...

    def sync(self) -> int:
        """Make all that was appended so far durable; the last durable sequence number.

        Blocks; may be called from another thread than ``append``, one at a time.
        A failed sync raises ``StorageError`` and the process must stop (fsyncgate)."""
        ...

    def read(self, after: int) -> Iterator[tuple[int, list[Change]]]:
        """All whole records with a sequence number above ``after``, in order."""
        ...

    def trim(self, up_to: int) -> None:
        """Forget records up to and including ``up_to`` (a checkpoint holds them)."""
        ...

    def close(self) -> None: ...
