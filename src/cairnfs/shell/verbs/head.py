"""``-head``: how a file begins."""

from __future__ import annotations

from cairnfs.shell.failures import is_directory
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

SHOWN_BYTES = 1024


class Head(Verb):
    usage = "<file>"
    help = "Prints the first 1 KiB of a file."

    def options(self, words: list[str]) -> list[str]:
        return Flags(words, least=1, most=1).words

    def expand(self, word: str) -> list[Item]:
        # No pattern, as in Hadoop: one file and nothing else.
        return [self.session.item(word)]

    def visit(self, item: Item) -> None:
        if item.is_directory:
            raise is_directory(item.text)
        out = self.session.bytes_out
        with item.fs.open(item.path) as data:
            out.write(data.read(SHOWN_BYTES))
        out.flush()
