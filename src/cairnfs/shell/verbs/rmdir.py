"""``-rmdir``: delete empty directories."""

from __future__ import annotations

from cairnfs.shell.failures import io_error, not_directory, not_empty
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb


class Rmdir(Verb):
    usage = "[--ignore-fail-on-non-empty] <dir> ..."
    help = """\
Deletes directories that hold nothing.
--ignore-fail-on-non-empty: One that holds something stays and is no failure."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, ("-ignore-fail-on-non-empty",), least=1)
        self._ignores = "-ignore-fail-on-non-empty" in flags
        return flags.words

    def visit(self, item: Item) -> None:
        if not item.is_directory:
            raise not_directory(item.text)
        if next(item.contents(), None) is None:
            if not item.fs.delete(item.path):
                raise io_error(item.text)
        elif not self._ignores:
            raise not_empty(item.text)
