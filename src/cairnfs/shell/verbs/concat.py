"""``-concat``: join files without copying them."""

from __future__ import annotations

from cairnfs.errors import FileSystemError, NotFound
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb


class Concat(Verb):
    usage = "<target path> <src path> <src path> ..."
    help = """\
Moves the blocks of files, which go away, to the end of the target. All are in the same
directory."""

    def options(self, words: list[str]) -> list[str]:
        return Flags(words).words

    def items(self, items: list[Item]) -> None:
        if not items:
            raise FileSystemError(f"Target path not specified. {self.usage}")
        if len(items) < 3:
            raise FileSystemError(f"The number of source paths is less than 2. {self.usage}")
        target, *sources = items
        if not target.is_file:
            raise NotFound(f"Target path {target.qualified} does not exist or is not file.")
        for source in sources:
            if not source.is_file:
                raise NotFound(f"{source.qualified} does not exist or is not file.")
        target.fs.concat(target.path, [source.path for source in sources])
