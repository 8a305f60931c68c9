"""``-get``: files of the cluster to this machine."""

from __future__ import annotations

from cairnfs.shell.destination import CopyVerb
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verbs.put import ALL_KEPT


class Get(CopyVerb):
    usage = "[-f] [-p] [-crc] [-ignoreCrc] [-t <thread count>] <src> ... <localdst>"
    help = """\
Copies files, and directories with all that they hold, to this machine. Several need a
directory to go to; - as the destination is standard output.
-f: Replaces files that are there.
-p: Keeps times, owner and permission.
-crc: Writes the checksums of each file FILE to .FILE.crc beside it.
-ignoreCrc: Takes data whose checksums are wrong.
-t <thread count>: So many files at a time."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, ("crc", "ignoreCrc", "p", "f"), least=1, valued="t")
        self._writes_crc = "crc" in flags
        self.verify = "ignoreCrc" not in flags
        self.kept = ALL_KEPT if "p" in flags else frozenset()
        self.overwrite = "f" in flags
        self.threads = max(1, flags.number("t", 1))
        self._to_stdout = len(flags.words) > 1 and flags.words[-1] == "-"
        if self._to_stdout:
            return flags.words[:-1]
        self.take_local_destination(flags.words)
        return flags.words

    def items(self, items: list[Item]) -> None:
        if not self._to_stdout:
            super().items(items)
            return
        for item in items:
            self.guarded(item, self._print)

    def _print(self, item: Item) -> None:
        from cairnfs.shell.verbs.cat import print_file

        if not item.exists:
            self.missing(item)
        print_file(self.session, item, self.verify)

    def after_file(self, source: Item, target: Item) -> None:
        if self._writes_crc:
            from cairnfs.shell.crc_file import write_crc_file

            write_crc_file(target.path)
