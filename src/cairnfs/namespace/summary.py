"""Totals of a subtree: getContentSummary (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from cairnfs.errors import NotFound
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.permissions import READ_EXECUTE, Checker
from cairnfs.namespace.records import HEAD, unpack_inode
from cairnfs.namespace.resolve import Intent, resolve
from cairnfs.namespace.tables import entry_range
from cairnfs.namespace.walk import names_of
from cairnfs.store.interface import Reader
from cairnfs.types import INODE_ID_ROOT, Caller, ContentSummary

# HDFS counts the names below the root against a quota that nobody can reach.
_ROOT_QUOTA = (1 << 63) - 1


class SummaryWalk:
    """Adds a subtree up in slices, each from a snapshot of its own.

    What changes meanwhile is counted or not, as in HDFS, which lets its lock go too."""

    def __init__(self, ns: Namespace, tx: Reader, caller: Caller, path: str) -> None:
        """Raises ``NotFound``, ``PermissionDenied``."""
        self._ns = ns
        self._caller = caller
        walk, checker = resolve(ns, tx, caller, path, Intent.READ)
        inode = walk.last
        if inode is None:
            raise NotFound(f"File does not exist: {walk.path}")
        self._each = not ns.settings.content_summary_subaccess
        if not self._each:
            checker.subtree(walk, READ_EXECUTE, ignore_empty=False)
        self._quota = _ROOT_QUOTA if inode.id == INODE_ID_ROOT else -1
        self._length = self._files = self._directories = self._space = 0
        # Directories to go on with, each from a key on.
        self._pending: list[tuple[int, bytes]] = []
        if inode.is_directory:
            self._enter(tx, checker, inode.id, walk.values[-1])
        else:
            self._add_file(walk.values[-1])

    def step(self, tx: Reader, limit: int) -> ContentSummary | None:
        """Look at about ``limit`` more inodes; the totals once there is none left.

        Raises ``PermissionDenied`` for a directory that the caller may not read."""
        checker = Checker(self._ns, tx, self._caller)
        seen = 0
        while self._pending:
            if seen >= limit:
                return None
            directory_id, start = self._pending.pop()
            for key, value in tx.scan(start, entry_range(directory_id)[1]):
                seen += 1
                inode = unpack_inode(value)
                if not inode.is_directory:
                    self._add_file(value)
                else:
                    self._pending.append((directory_id, key + b"\0"))
                    self._enter(tx, checker, inode.id, value)
                    break
                if seen >= limit:
                    self._pending.append((directory_id, key + b"\0"))
                    break
        return ContentSummary(
            length=self._length,
            file_count=self._files,
            directory_count=self._directories,
            space_consumed=self._space,
            quota=self._quota,
        )

    def _enter(self, tx: Reader, checker: Checker, directory_id: int, value: bytes) -> None:
        if self._each and checker.enabled:
            head = HEAD.unpack_from(value)
            if not checker.permits(head, READ_EXECUTE):
                names = names_of(tx, directory_id) or []
                raise checker.denied(names, head, READ_EXECUTE)
        self._directories += 1
        self._pending.append((directory_id, entry_range(directory_id)[0]))

    def _add_file(self, value: bytes) -> None:
        inode = unpack_inode(value)
        self._files += 1
        self._length += inode.length
        self._space += inode.length * inode.replication


def get_content_summary(ns: Namespace, tx: Reader, caller: Caller, path: str) -> ContentSummary:
    """The whole in one go."""
    walk = SummaryWalk(ns, tx, caller, path)
    while True:
        summary = walk.step(tx, 1 << 30)
        if summary is not None:
            return summary
