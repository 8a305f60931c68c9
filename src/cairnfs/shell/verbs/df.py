"""``-df``: space of the whole file system."""

from __future__ import annotations

from cairnfs.shell.flags import Flags
from cairnfs.shell.formatting import percent, size_text, table
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

_HEADER = ("Filesystem", "Size", "Used", "Available", "Use%")
_RIGHT = frozenset({1, 2, 3, 4})


class Df(Verb):
    usage = "[-h] [<path> ...]"
    help = """\
Shows capacity, used and free space of the file systems of the paths.
-h: Sizes for people (1.5 G) instead of bytes."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "h")
        self._human = "h" in flags
        self._rows: list[tuple[str, ...]] = []
        return flags.words or ["/"]

    def items(self, items: list[Item]) -> None:
        super().items(items)
        if self._rows:
            for line in table([_HEADER, *self._rows], _RIGHT):
                self.line(line)

    def visit(self, item: Item) -> None:
        capacity, used, free = item.fs.space()
        sizes = (size_text(size, self._human) for size in (capacity, used, free))
        self._rows.append((item.fs.uri, *sizes, percent(used, capacity)))
