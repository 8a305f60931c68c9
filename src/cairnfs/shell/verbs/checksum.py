"""``-checksum``: checksums of whole files."""

from __future__ import annotations

from cairnfs.shell.failures import is_directory
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb


class Checksum(Verb):
    usage = "[-v] <src> ..."
    help = """\
Prints the checksums of files, which DataNodes make of the checksums that they store. Equal
ones mean equal files; block size and bytes per checksum go into them, too.
-v: The block size as well."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "v", least=1)
        self._block_size = "v" in flags
        return flags.words

    def visit(self, item: Item) -> None:
        if item.is_directory:
            raise is_directory(item.text)
        found = item.fs.checksum(item.path)
        text = "NONE" if found is None else f"{found[0]}\t{found[1].hex()}"
        more = f"\tBlockSize={item.found.block_size}" if self._block_size else ""
        self.line(f"{item.text}\t{text}{more}")
