"""``-rm``: delete, by way of the trash where there is one."""

from __future__ import annotations

import sys

from cairnfs.errors import NotFound
from cairnfs.shell.failures import io_error, is_directory
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb


class Rm(Verb):
    usage = "[-f] [-r|-R] [-skipTrash] [-safely] <src> ..."
    help = """\
Deletes files; where fs.trash.interval is set they go to the trash first.
-f: What is not there is no failure.
-r, -R: Directories too, with all that they hold.
-skipTrash: At once and for good.
-safely: Asks before a directory with more than hadoop.shell.safely.delete.limit.num.files files."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, ("f", "r", "R", "skipTrash", "safely"), least=1)
        self._forgiving = "f" in flags
        self._directories = "r" in flags or "R" in flags
        self._skip_trash = "skipTrash" in flags
        self._safely = "safely" in flags
        return flags.words

    def expand(self, word: str) -> list[Item]:
        try:
            return super().expand(word)
        except NotFound:
            if not self._forgiving:
                raise
            return []

    def missing(self, item: Item) -> None:
        if not self._forgiving:
            super().missing(item)

    def visit(self, item: Item) -> None:
        if item.is_directory and not self._directories:
            raise is_directory(item.text)
        if not self._skip_trash and self._to_trash(item):
            return
        if self._safely and not self._confirmed(item):
            return
        if not item.fs.delete(item.path, self._directories):
            raise io_error(item.text)
        self.line(f"Deleted {item.text}")

    def _to_trash(self, item: Item) -> bool:
        from cairnfs.shell.trash import Trash, interval_min

        minutes = item.fs.trash_interval_min() or interval_min(self.session.conf)
        if minutes <= 0:
            return False
        place = Trash(item.fs, minutes).move_in(item.path)
        if place is None:
            return False
        moved = f"Moved: '{item.qualified}' to trash at: {item.fs.qualified(place)}"
        self.session.warn(moved)
        return True

    def _confirmed(self, item: Item) -> bool:
        from cairnfs.config.client_keys import SAFE_DELETE_FILES

        limit = self.session.conf[SAFE_DELETE_FILES]
        count = item.fs.summary(item.path).file_count
        if limit <= 0 or count <= limit:
            return True
        self.session.warn(f"Proceed deleting {count} files? (Y or N) ")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return True
        self.session.warn("Delete aborted at user request.\n")
        return False


class Rmr(Rm):
    instead = "-rm -r"

    def options(self, words: list[str]) -> list[str]:
        return super().options(["-r", *words])
