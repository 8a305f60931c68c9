"""``-truncate``: cut files."""

from __future__ import annotations

import time

from cairnfs.shell.failures import UsageError, is_directory
from cairnfs.shell.flags import Flags, whole_number
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

_PAUSE_S = 0.1


class Truncate(Verb):
    usage = "[-w] <length> <path> ..."
    help = """\
Cuts files to a length.
-w: Waits until the last block has been cut, where that takes a while."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "w", least=2)
        self._waits = "w" in flags
        self._waiting: list[Item] = []
        try:
            self._length = whole_number(flags.words.pop(0))
        except UsageError:
            self.warn("Illegal length, a non-negative integer expected")
            raise
        if self._length < 0:
            raise UsageError("length must be >= 0")
        return flags.words

    def items(self, items: list[Item]) -> None:
        super().items(items)
        for item in self._waiting:
            self._wait_for(item)

    def visit(self, item: Item) -> None:
        if item.is_directory:
            raise is_directory(item.text)
        length = item.found.length
        if self._length > length:
            raise UsageError(
                f"Cannot truncate to a larger file size. Current size: {length}, "
                f"truncate size: {self._length}."
            )
        if item.fs.truncate(item.path, self._length):
            self.line(f"Truncated {item.text} to length: {self._length}")
        elif self._waits:
            self._waiting.append(item)
        else:
            self.line(
                f"Truncating {item.text} to length: {self._length}. "
                "Wait for block recovery to complete before further updating this file."
            )

    def _wait_for(self, item: Item) -> None:
        self.line(f"Waiting for {item.text} ...")
        self.session.out.flush()
        while item.refresh().length != self._length:
            time.sleep(_PAUSE_S)
        self.line(f"Truncated {item.text} to length: {self._length}")
