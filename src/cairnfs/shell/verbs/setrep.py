"""``-setrep``: how many replicas files have."""

from __future__ import annotations

import sys
import time

from cairnfs.errors import FileSystemError
from cairnfs.shell.failures import UsageError, io_error
from cairnfs.shell.flags import Flags, whole_number
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

# Hadoop looks every 10 s; here a change is often done in one.
_FIRST_PAUSE_S = 0.1
_PAUSE_S_MAX = 10.0
_REPLICATION_MAX = (1 << 15) - 1


class SetReplication(Verb):
    usage = "[-R] [-w] <rep> <path> ..."
    help = """\
Sets the replication of files, and of all files below directories.
-w: Waits until every block has so many replicas.
-R: Taken and not needed: directories are always gone through."""

    recursive = True

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "Rw", least=2)
        self._waits = "w" in flags
        self._waiting: list[Item] = []
        word = flags.words.pop(0)
        try:
            self._replication = whole_number(word)
            if abs(self._replication) > _REPLICATION_MAX:
                raise UsageError(f'Value out of range. Value:"{word}" Radix:10')
        except UsageError:
            self.warn("Illegal replication, a positive integer expected")
            raise
        if self._replication < 1:
            raise UsageError("replication must be >= 1")
        return flags.words

    def items(self, items: list[Item]) -> None:
        super().items(items)
        for item in self._waiting:
            self._wait_for(item)

    def visit(self, item: Item) -> None:
        if item.is_symlink:
            raise io_error(item.text, "Symlinks unsupported")
        if not item.is_file:
            return
        if not item.fs.set_replication(item.path, self._replication):
            raise FileSystemError(f"Could not set replication for: {item.text}")
        self.line(f"Replication {self._replication} set: {item.text}")
        if self._waits:
            self._waiting.append(item)

    def _wait_for(self, item: Item) -> None:
        sys.stdout.write(f"Waiting for {item.text} ...")
        sys.stdout.flush()
        pause_s, warned = _FIRST_PAUSE_S, False
        while True:
            counts = item.fs.replica_counts(item.path)
            if all(count == self._replication for count in counts):
                break
            if not warned and any(count > self._replication for count in counts):
                warned = True
                self.line("\nWARNING: replicas are taken away lazily; this may take long.")
            sys.stdout.write(".")
            sys.stdout.flush()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)
        self.line(" done")
