"""Which files are being written: listOpenFiles (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.namespace.context import Namespace
from cairnfs.namespace.leases import open_files
from cairnfs.namespace.permissions import check_superuser
from cairnfs.namespace.walk import path_of
from cairnfs.store.interface import Reader
from cairnfs.types import Caller


@dataclass(frozen=True, slots=True)
class OpenFileEntry:
    """A file and its writer."""

    inode_id: int
    path: str
    client_name: str
    client_machine: str


@dataclass(frozen=True, slots=True)
class OpenFilesPage:
    """``has_more``: ask again behind the last inode id."""

    entries: list[OpenFileEntry]
    has_more: bool


def list_open_files(
    ns: Namespace, tx: Reader, caller: Caller, after: int, path: str = "/"
) -> OpenFilesPage:
    """Open files with an inode id above ``after``, at or below ``path``.

    Raises ``PermissionDenied``: for superusers only."""
    check_superuser(caller)
    prefix = path.rstrip("/")
    entries: list[OpenFileEntry] = []
    for inode_id, record in open_files(tx, after):
        if len(entries) == ns.settings.open_files_limit:
            return OpenFilesPage(entries, has_more=True)
        found = path_of(tx, inode_id)
        # Files of a deleted subtree wait for their removal and have no path.
        if found is not None and (found == prefix or found.startswith(prefix + "/")):
            entries.append(OpenFileEntry(inode_id, found, record.holder, record.client_machine))
    return OpenFilesPage(entries, has_more=False)
