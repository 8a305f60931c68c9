"""``-tail``: how a file ends, and how it goes on."""

from __future__ import annotations

import os
import time

from cairnfs.shell.failures import is_directory
from cairnfs.shell.flags import Flags, whole_number
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

SHOWN_BYTES = 1024
_PAUSE_MS = 5_000
_READ_BYTES = 1 << 20


class Tail(Verb):
    usage = "[-f] [-s <sleep interval>] <file>"
    help = """\
Prints the last 1 KiB of a file.
-f: Goes on with what is appended, until interrupted.
-s <sleep interval>: With -f, milliseconds between two looks at the file."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "f", least=1, most=1, valued="s")
        self._follows = "f" in flags
        self._pause_ms = _PAUSE_MS
        if self._follows and flags.values.get("s"):
            self._pause_ms = max(0, whole_number(flags.values["s"])) or _PAUSE_MS
        return flags.words

    def expand(self, word: str) -> list[Item]:
        return [self.session.item(word)]

    def visit(self, item: Item) -> None:
        if item.is_directory:
            raise is_directory(item.text)
        position = self._print(item, None)
        while self._follows:
            time.sleep(self._pause_ms / 1000)
            item.refresh()
            position = self._print(item, position)

    def _print(self, item: Item, position: int | None) -> int:
        """Print from ``position`` (None: near the end) on; where the file ends now."""
        out = self.session.bytes_out
        with item.fs.open(item.path) as data:
            # A file being written is longer than its status says: ask what can be read.
            size = data.seek(0, os.SEEK_END)
            start = max(0, size - SHOWN_BYTES) if position is None else position
            if start > size:
                return size
            data.seek(start)
            while piece := data.read(_READ_BYTES):
                out.write(piece)
                start += len(piece)
        out.flush()
        return start
