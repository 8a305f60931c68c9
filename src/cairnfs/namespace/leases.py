"""Who may write which file, and until when.

Which file is open by whom is durable (table ``O``). When a holder was last heard of is
not: renewals come every 30 s from every writer and must cost no write. A start renews all
of them, as HDFS does. There is no index by holder: it would cost each file two writes, and
is asked only when a lease has run out, which a scan of the open files answers as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from cairnfs.errors import InvalidRequest
from cairnfs.namespace.records import OpenFile, pack_open, unpack_open
from cairnfs.namespace.tables import open_key, table_range
from cairnfs.store.interface import Reader, Writer

# Java's client names have 40 to 60 bytes; more is hostile.
HOLDER_BYTES_MAX = 480
# Open files that are looked at to describe a lease in an error: below a millisecond.
_DESCRIBED_MAX = 1000
# The lease holder in whose name the NameNode itself closes files.
INTERNAL_HOLDER = "HDFS_NameNode"


class LeaseTable:
    """When each lease holder was last heard of, in memory."""

    __slots__ = ("_hard_limit_ms", "_recovery_ms", "_renewed_ms", "_soft_limit_ms")

    def __init__(self, soft_limit_ms: int, hard_limit_ms: int, recovery_ms: int) -> None:
        self._soft_limit_ms = soft_limit_ms
        self._hard_limit_ms = hard_limit_ms
        self._recovery_ms = min(recovery_ms, hard_limit_ms)
        self._renewed_ms: dict[str, int] = {}

    def load(self, tx: Reader, now_ms: int) -> None:
        """Begin with every holder of an open file, renewed now."""
        self._renewed_ms = {record.holder: now_ms for _, record in open_files(tx)}

    def renew(self, holder: str, now_ms: int) -> bool:
        """A client is alive; False (and nothing kept) if it holds no lease."""
        if holder not in self._renewed_ms:
            return False
        self._renewed_ms[holder] = now_ms
        return True

    def grant(self, holder: str, now_ms: int) -> None:
        """``holder`` opened a file. If that is rolled back the entry just runs out."""
        self._renewed_ms[holder] = now_ms

    def soft_expired(self, holder: str, now_ms: int) -> bool:
        """Whether another client may take the files over."""
        renewed = self._renewed_ms.get(holder)
        return renewed is None or now_ms - renewed > self._soft_limit_ms

    def hard_expired(self, now_ms: int) -> list[str]:
        """The holders whose files the NameNode must close."""
        return [holder for holder in self._renewed_ms if self.is_hard_expired(holder, now_ms)]

    def is_hard_expired(self, holder: str, now_ms: int) -> bool:
        """A recovery of our own that came to nothing is tried again sooner."""
        internal = holder.startswith(INTERNAL_HOLDER)
        limit_ms = self._recovery_ms if internal else self._hard_limit_ms
        return now_ms - self._renewed_ms.get(holder, now_ms) > limit_ms

    def forget(self, holder: str) -> None:
        """The holder has no open file any more."""
        self._renewed_ms.pop(holder, None)

    def internal_holder(self, now_ms: int) -> str:
        """In whose name a file is recovered now. It changes with time, so that files whose
        recovery came to nothing run out again although others join them."""
        return f"{INTERNAL_HOLDER}-{now_ms // max(1, self._recovery_ms)}"

    def __len__(self) -> int:
        return len(self._renewed_ms)


def check_holder(holder: str) -> None:
    """Raises ``InvalidRequest`` for a client name that cannot hold a lease."""
    if not 0 < len(holder.encode()) <= HOLDER_BYTES_MAX:
        raise InvalidRequest(
            f"a client name has 1 to {HOLDER_BYTES_MAX} bytes, not {len(holder.encode())}"
        )


def put_open(tx: Writer, inode_id: int, record: OpenFile) -> None:
    """The file is open by ``record.holder``."""
    tx.put(open_key(inode_id), pack_open(record))


def delete_open(tx: Writer, inode_id: int) -> None:
    """The file is closed, or gone."""
    tx.delete(open_key(inode_id))


def get_open(tx: Reader, inode_id: int) -> OpenFile | None:
    value = tx.get(open_key(inode_id))
    return None if value is None else unpack_open(value)


def open_files(tx: Reader, after: int = 0) -> Iterator[tuple[int, OpenFile]]:
    """All open files with an inode id above ``after``, ascending."""
    for key, value in tx.scan(open_key(after + 1), table_range(b"O")[1]):
        yield int.from_bytes(key[1:], "big"), unpack_open(value)


def describe_lease(tx: Reader, holder: str) -> str:
    """How Hadoop's lease errors end."""
    if any(record.holder == holder for _, record in islice(open_files(tx), _DESCRIBED_MAX)):
        return f"[Lease.  Holder: {holder}]"
    return f"Holder {holder} does not have any open files."
