"""``-mkdir``: new directories."""

from __future__ import annotations

from cairnfs.shell.failures import exists, no_such, not_directory
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb


class Mkdir(Verb):
    usage = "[-p] <path> ..."
    help = """\
Makes directories.
-p: Their parents too, and no failure where a directory is there already."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "p", least=1)
        self._parents = "p" in flags
        return flags.words

    def visit(self, item: Item) -> None:
        if not item.is_directory:
            raise not_directory(item.text)
        if not self._parents:
            raise exists(item.text)

    def missing(self, item: Item) -> None:
        if not self._parents and item.fs.stat(item.parent) is None:
            raise no_such(item.fs.qualified(item.parent))
        item.fs.mkdirs(item.path)
