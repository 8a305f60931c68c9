"""A disk that fails on purpose: power cuts, no space, failing syncs.

Works on real files and keeps beside them what a power cut must leave: what was synced,
and the writes and names that were not. :meth:`FaultyDisk.power_cut` builds, in another
directory, one of the states that a machine may find after the power came back: of the
unsynced writes any subset, each whole or torn at any byte; of the unsynced names any
subset. File systems are kinder than that, mostly.

With ``operations_until_cut`` the power goes in the middle of whatever is going on: that
operation and all after it raise :class:`PowerCut`.

Files that are written past it (LMDB's own) are not followed.
"""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from cairnfs.store.disk import SystemDisk


class PowerCut(BaseException):
    """The machine is off. No ``Exception``, as nothing may handle it."""


@dataclass
class _Write:
    offset: int
    data: bytes


@dataclass
class _Resize:
    size_bytes: int


@dataclass
class _File:
    """What is safe of a file, and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Write | _Resize] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def after_cut(self, chance: random.Random) -> bytes:
        content = bytearray(self.durable)
        for change in self.pending:
            fate = chance.random()
            if fate < 0.4:
                continue
            if fate < 0.6 and isinstance(change, _Write):
                cut = chance.randrange(len(change.data) + 1)
                if chance.random() < 0.5:
                    change = _Write(change.offset, change.data[:cut])
                else:
                    change = _Write(change.offset + cut, change.data[cut:])
            _apply(content, change)
        return bytes(content)


def _apply(content: bytearray, change: _Write | _Resize) -> None:
    if isinstance(change, _Resize):
        if change.size_bytes < len(content):
            del content[change.size_bytes :]
        else:
            content.extend(bytes(change.size_bytes - len(content)))
        return
    end = change.offset + len(change.data)
    if end > len(content):
        content.extend(bytes(end - len(content)))
    content[change.offset : end] = change.data


_Node = _File | None  # None: a directory


@dataclass
class _Name:
    """A change of names in one directory: some appear, some go, all or none of them."""

    removed: list[str]
    added: dict[str, _Node]


@dataclass
class _Names:
    durable: dict[str, _Node] = field(default_factory=dict)
    pending: list[_Name] = field(default_factory=list)


class FaultyDisk:
    """A :class:`cairnfs.store.disk.Disk` over everything in ``root``.

    ``space_bytes`` is what may still be written (None: no end to it); ``syncs_until_error``
    counts syncs down to one that fails with EIO, and all after it with it;
    ``operations_until_cut`` counts everything down to the end of the power."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.space_bytes: int | None = None
        self.syncs_until_error: int | None = None
        self.operations_until_cut: int | None = None
        self._real = SystemDisk()
        self._directories: dict[Path, _Names] = {}
        self._open: dict[int, _File] = {}
        self._adopt(self.root)

    # --- what a Disk does --------------------------------------------------------------------

    def create(self, path: Path) -> int:
        self._count_operation()
        descriptor = self._real.create(path)
        file = _File()
        self._names(path.parent).pending.append(_Name([], {path.name: file}))
        self._open[descriptor] = file
        return descriptor

    def open(self, path: Path) -> int:
        self._count_operation()
        file = self._file(path)
        descriptor = self._real.open(path)
        self._open[descriptor] = file
        return descriptor

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor)
        self._real.close(descriptor)

    def pwrite(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        data = bytes(data)
        # What overwrites needs no space.
        beyond = max(0, offset + len(data) - os.fstat(descriptor).st_size)
        data = data[: len(data) - beyond + self._take(beyond)]
        # Before the count: of a write that the cut meets a part may be there.
        self._open[descriptor].pending.append(_Write(offset, data))
        self._count_operation()
        written = self._real.pwrite(descriptor, data, offset)
        assert written == len(data), "the disk below is full"
        return written

    def allocate(self, descriptor: int, size_bytes: int) -> None:
        self._count_operation()
        wanted = max(0, size_bytes - os.fstat(descriptor).st_size)
        if self.space_bytes is not None and wanted > self.space_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._take(wanted)
        self._real.allocate(descriptor, size_bytes)
        self._open[descriptor].pending.append(_Resize(size_bytes))

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._count_operation()
        self._real.truncate(descriptor, size_bytes)
        self._open[descriptor].pending.append(_Resize(size_bytes))

    def sync(self, descriptor: int) -> None:
        self._count_sync()
        self._open[descriptor].sync()

    def sync_directory(self, path: Path) -> None:
        self._count_sync()
        names = self._names(path)
        for change in names.pending:
            _rename(names.durable, change)
        names.pending.clear()

    def rename(self, source: Path, target: Path) -> None:
        self._count_operation()
        if source.parent != target.parent:
            raise AssertionError("the store renames within one directory only")
        node = self._current(source.parent)[source.name]
        self._real.rename(source, target)
        self._names(source.parent).pending.append(_Name([source.name], {target.name: node}))
        for path in [path for path in self._directories if path.is_relative_to(source)]:
            self._directories[target / path.relative_to(source)] = self._directories.pop(path)

    def unlink(self, path: Path) -> None:
        self._count_operation()
        self._real.unlink(path)
        self._names(path.parent).pending.append(_Name([path.name], {}))

    def make_directory(self, path: Path) -> None:
        self._count_operation()
        self._real.make_directory(path)
        self._names(path.parent).pending.append(_Name([], {path.name: None}))
        self._directories[path] = _Names()

    def remove_tree(self, path: Path) -> None:
        self._count_operation()
        if path.exists():
            # One file after the other, so that a cut may leave some.
            if path in self._directories:
                names = self._directories[path]
                names.pending += [_Name([name], {}) for name in self._current(path)]
            self._real.remove_tree(path)
            self._names(path.parent).pending.append(_Name([path.name], {}))

    # --- what a test does --------------------------------------------------------------------

    def power_cut(self, target: Path, chance: random.Random) -> None:
        """Leave in the new directory ``target`` what the disk held when the power went."""
        self._rebuild(self.root, Path(target), chance)

    def _rebuild(self, source: Path, target: Path, chance: random.Random) -> None:
        target.mkdir(mode=0o700)
        names = self._directories[source]
        entries = dict(names.durable)
        for change in names.pending:
            if chance.random() < 0.5:
                _rename(entries, change)
        for name, node in entries.items():
            if node is not None:
                (target / name).write_bytes(node.after_cut(chance))
            elif source / name in self._directories:
                self._rebuild(source / name, target / name, chance)
            else:
                (target / name).mkdir()

    # --- within ------------------------------------------------------------------------------

    def _adopt(self, directory: Path) -> None:
        """Take what is there already as durable."""
        names = self._directories[directory] = _Names()
        for entry in directory.iterdir():
            if entry.is_dir():
                names.durable[entry.name] = None
                self._adopt(entry)
            else:
                names.durable[entry.name] = _File(bytearray(entry.read_bytes()))

    def _names(self, directory: Path) -> _Names:
        if directory not in self._directories:
            # Made past this disk; its parent did so, too, or was there before.
            self._directories[directory] = _Names()
            self._names(directory.parent).durable[directory.name] = None
        return self._directories[directory]

    def _current(self, directory: Path) -> dict[str, _Node]:
        names = self._names(directory)
        entries = dict(names.durable)
        for change in names.pending:
            _rename(entries, change)
        return entries

    def _file(self, path: Path) -> _File:
        node = self._current(path.parent).get(path.name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        return node

    def _take(self, wanted_bytes: int) -> int:
        """What of that space there still is. Raises ENOSPC if there is none."""
        if self.space_bytes is None or not wanted_bytes:
            return wanted_bytes
        granted = min(wanted_bytes, self.space_bytes)
        self.space_bytes -= granted
        if not granted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return granted

    def _count_operation(self) -> None:
        if self.operations_until_cut is not None:
            self.operations_until_cut -= 1
            if self.operations_until_cut < 0:
                raise PowerCut

    def _count_sync(self) -> None:
        self._count_operation()
        if self.syncs_until_error is not None:
            self.syncs_until_error -= 1
            if self.syncs_until_error < 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))


def _rename(entries: dict[str, _Node], change: _Name) -> None:
    for name in change.removed:
        entries.pop(name, None)
    entries.update(change.added)
