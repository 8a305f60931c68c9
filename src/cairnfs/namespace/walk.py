"""From a path to the inodes along it."""

from __future__ import annotations

from cairnfs.limits import NAME_BYTES_MAX
from cairnfs.namespace.paths import join_path
from cairnfs.namespace.records import (
    DIRECTORY,
    POLICY_AT,
    TYPE_AT,
    Head,
    Inode,
    unpack_head,
    unpack_inode,
)
from cairnfs.namespace.tables import ROOT_KEY, entry_key, inode_key, unpack_place
from cairnfs.store.interface import Reader
from cairnfs.types import INODE_ID_NONE, INODE_ID_ROOT


class Walk:
    """The existing part of a path: ``values[i]`` is the packed record of the inode behind
    ``names[:i]``, so that index 0 is the root. Most of them are never unpacked."""

    __slots__ = ("names", "values")

    def __init__(self, names: list[bytes], values: list[bytes]) -> None:
        self.names = names
        self.values = values

    @property
    def exists(self) -> bool:
        return len(self.values) > len(self.names)

    @property
    def last(self) -> Inode | None:
        """What stands at the path."""
        return unpack_inode(self.values[-1]) if len(self.values) > len(self.names) else None

    @property
    def path(self) -> str:
        return join_path(self.names)

    def head(self, index: int) -> Head:
        """Identity and permissions of the inode ``index`` names deep (-1: the deepest)."""
        return unpack_head(self.values[index])

    def is_directory(self, index: int) -> bool:
        return self.values[index][TYPE_AT] == DIRECTORY

    def key(self, index: int) -> bytes:
        """The key of the record ``values[index]``."""
        if index == 0:
            return ROOT_KEY
        return b"D" + self.values[index - 1][:8] + self.names[index - 1]

    @property
    def storage_policy(self) -> int:
        """The policy in force at the path: the nearest that is set, 0 if none is."""
        for value in reversed(self.values):
            if value[POLICY_AT]:
                return value[POLICY_AT]
        return 0


def walk_names(tx: Reader, names: list[bytes]) -> Walk:
    """Follow ``names`` from the root as far as they exist."""
    get = tx.get
    value = get(ROOT_KEY)
    assert value is not None, "a formatted namespace has a root"
    values = [value]
    for name in names:
        if value[TYPE_AT] != DIRECTORY or len(name) > NAME_BYTES_MAX:
            break
        # A record begins with the id as keys have it.
        value = get(b"D" + value[:8] + name)
        if value is None:
            break
        values.append(value)
    return Walk(names, values)


def names_of(tx: Reader, inode_id: int) -> list[bytes] | None:
    """The path of an inode; None if it is gone, or in a subtree that was deleted."""
    names: list[bytes] = []
    while inode_id != INODE_ID_ROOT:
        place = tx.get(inode_key(inode_id))
        if place is None:
            return None
        inode_id, name = unpack_place(place)
        if inode_id == INODE_ID_NONE:
            return None
        names.append(name)
    names.reverse()
    return names


def path_of(tx: Reader, inode_id: int) -> str | None:
    """The same as text."""
    names = names_of(tx, inode_id)
    return None if names is None else join_path(names)


def find_inode(tx: Reader, inode_id: int) -> tuple[bytes, Inode] | None:
    """Key and record of an inode by id, wherever it is (also in a deleted subtree)."""
    place = tx.get(inode_key(inode_id))
    if place is None:
        return None
    key = ROOT_KEY if inode_id == INODE_ID_ROOT else entry_key(*unpack_place(place))
    value = tx.get(key)
    return None if value is None else (key, unpack_inode(value))
