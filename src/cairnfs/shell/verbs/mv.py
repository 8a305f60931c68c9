"""``-mv``: rename, or move into a directory."""

from __future__ import annotations

from cairnfs.shell.destination import DestinationVerb
from cairnfs.shell.failures import exists, io_error
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item


class Mv(DestinationVerb):
    usage = "<src> ... <dst>"
    help = """\
Renames a file or directory, or moves several into a directory. Nothing is copied: both
are on the same file system."""

    def options(self, words: list[str]) -> list[str]:
        words = Flags(words, least=2).words
        self.take_remote_destination(words)
        return words

    def transfer(self, source: Item, target: Item) -> None:
        if source.fs is not target.fs:
            raise io_error(source.text, "Does not match target filesystem")
        if target.exists:
            raise exists(target.text)
        if not source.fs.rename(source.path, target.path):
            raise io_error(source.text)
