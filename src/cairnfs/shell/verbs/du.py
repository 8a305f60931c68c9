"""``-du``: space that files take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairnfs.shell.flags import Flags
from cairnfs.shell.formatting import size_text, table
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

if TYPE_CHECKING:
    from cairnfs.shell.session import Session

_HEADER = ("SIZE", "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS", "FULL_PATH_NAME")


class Du(Verb):
    usage = "[-s] [-h] [-v] [-x] <path> ..."
    help = """\
Shows sizes, and the space that all replicas take: of files, and of what directories hold,
one level deep.
-s: One sum for each path.
-h: Sizes for people (1.5 K) instead of bytes.
-v: A line of headings.
-x: Without what only snapshots hold."""

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(session, name)
        self._rows: list[tuple[str, str, str]] = []

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "hsvx")
        self._human = "h" in flags
        self._sums = "s" in flags
        self._headed = "v" in flags
        self._without_snapshots = "x" in flags
        return flags.words or ["."]

    def items(self, items: list[Item]) -> None:
        super().items(items)
        if self._rows:
            rows = [_HEADER, *self._rows] if self._headed else self._rows
            for line in table(rows):
                self.line(line)

    def existing(self, item: Item) -> None:
        if item.is_directory and not self._sums:
            self.descend(item)
        else:
            super().existing(item)

    def visit(self, item: Item) -> None:
        total = item.fs.summary(item.path)
        length, space = total.length, total.space_consumed
        if self._without_snapshots:
            length -= total.snapshot_length
            space -= total.snapshot_space_consumed
        self._rows.append(
            (size_text(length, self._human), size_text(space, self._human), item.text)
        )


class Dus(Du):
    instead = "du -s"

    def options(self, words: list[str]) -> list[str]:
        return super().options(["-s", *words])
