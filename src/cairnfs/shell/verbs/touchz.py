"""``-touchz``: empty files."""

from __future__ import annotations

from cairnfs.shell.failures import io_error, is_directory, no_such
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb


class Touchz(Verb):
    usage = "<path> ..."
    help = "Makes empty files, or makes empty ones anew. A file that holds anything is a failure."

    def options(self, words: list[str]) -> list[str]:
        return Flags(words, least=1).words

    def visit(self, item: Item) -> None:
        if item.is_directory:
            raise is_directory(item.text)
        if item.found.length:
            raise io_error(item.text, "Not a zero-length file")
        item.fs.create(item.path).close()

    def missing(self, item: Item) -> None:
        if not item.parent_exists():
            raise no_such(item.text, item.qualified)
        item.fs.create(item.path).close()
