"""``-expunge``: empty the trash."""

from __future__ import annotations

from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.trash import Trash, interval_min
from cairnfs.shell.verb import Verb


class Expunge(Verb):
    usage = "[-immediate] [-fs <path>]"
    help = """\
Deletes what has been in the trash for longer than fs.trash.interval, and closes the current
checkpoint, so that it will be deleted that much later.
-immediate: All of the trash, now.
-fs <path>: On another file system."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, ("immediate",), most=2, valued=("fs",))
        self._immediately = "immediate" in flags
        self._place = flags.values.get("fs") or ""
        return flags.words

    def items(self, items: list[Item]) -> None:
        fs = self.session.place(self._place)[0] if self._place else self.session.default()
        trash = Trash(fs, interval_min(self.session.conf))
        if self._immediately:
            trash.checkpoint()
            trash.expunge(everything=True)
        else:
            trash.expunge()
            trash.checkpoint()
