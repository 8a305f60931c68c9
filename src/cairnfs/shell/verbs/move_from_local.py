"""``-moveFromLocal``: ``-put``, and the source is deleted."""

from __future__ import annotations

from cairnfs.shell.failures import UsageError, exists, io_error
from cairnfs.shell.item import Item
from cairnfs.shell.verbs.put import Put


class MoveFromLocal(Put):
    usage = "[-f] [-p] [-d] <localsrc> ... <dst>"
    help = """\
As -put, and what was copied is deleted on this machine.
-f: Replaces files that are there.
-p: Keeps times, owner and permission.
-d: Writes under the final name at once, not under <dst>._COPYING_ first."""

    def options(self, words: list[str]) -> list[str]:
        if "-t" in words:
            raise UsageError("Illegal option -t")
        return super().options(words)

    def transfer(self, source: Item, target: Item) -> None:
        # Directories are not merged: what is deleted here must all be there.
        if target.is_directory:
            raise exists(target.text)
        super().transfer(source, target)

    def leave(self, item: Item) -> None:
        if not item.fs.delete(item.path):
            raise io_error(item.text, operation="remove")
