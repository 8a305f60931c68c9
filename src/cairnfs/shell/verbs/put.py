"""``-put``: files of this machine into the cluster."""

from __future__ import annotations

from cairnfs.shell.destination import CopyVerb
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item

ALL_KEPT = frozenset("top")


class Put(CopyVerb):
    usage = "[-f] [-p] [-d] [-t <thread count>] <localsrc> ... <dst>"
    help = """\
Copies files of this machine, and directories with all that they hold, into the cluster.
Several need a directory to go to; - alone as the source is standard input.
-f: Replaces files that are there.
-p: Keeps times, owner and permission.
-d: Writes under the final name at once, not under <dst>._COPYING_ first.
-t <thread count>: So many files at a time."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "fpd", least=1, valued="t")
        self.overwrite = "f" in flags
        self.kept = ALL_KEPT if "p" in flags else frozenset()
        self.direct = "d" in flags
        self.threads = max(1, flags.number("t", 1))
        self.take_remote_destination(flags.words)
        return flags.words

    def arguments(self, words: list[str]) -> None:
        if words == ["-"]:
            self._put_stdin()
        else:
            super().arguments(words)

    def _put_stdin(self) -> None:
        from cairnfs.shell.copying import copy_stream

        source = Item(self.session.local(), "-", "/-", None)
        target = self.target(source)
        copy_stream(self.session.bytes_in, target, self.overwrite, self.direct)

    def expand(self, word: str) -> list[Item]:
        return self.session.local_items(word)
