"""``-ls``: what is in a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairnfs.shell.flags import Flags
from cairnfs.shell.formatting import local_minute, mode_text, printable, size_text
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

if TYPE_CHECKING:
    from cairnfs.shell.session import Session

_HAS_ACL = 1


class Ls(Verb):
    usage = "[-C] [-d] [-h] [-q] [-R] [-t] [-S] [-r] [-u] [<path> ...]"
    help = """\
Lists files, and what directories hold; without a path the working directory.
A line shows permission, replication, owner, group, size, time and path.
-C: Only paths.
-d: Directories themselves, not what they hold.
-h: Sizes for people (1.5 K) instead of bytes.
-q: A ? for each character that is not printable.
-R: Everything below, too.
-t: Newest first.
-S: Largest first.
-r: The other way round.
-u: The time of the last access instead of the last change."""

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(session, name)
        # Columns grow with what is shown and never shrink again within one command.
        self._widths = [3, 0, 0, 10]

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "CdhqRtSru")
        self._paths_only = "C" in flags
        self._enters = "d" not in flags
        self.recursive = "R" in flags and self._enters
        self._human = "h" in flags
        self._printable = "q" in flags
        self._reversed = "r" in flags
        self._accessed = "u" in flags
        self._by_time = "t" in flags
        self._by_size = "S" in flags and not self._by_time
        self.group = 0 if self._paths_only else 100
        return flags.words or ["."]

    def sorts(self) -> bool:
        return not self.recursive or self._by_time or self._by_size or self._reversed

    def existing(self, item: Item) -> None:
        if self._enters and item.is_directory:
            self.descend(item)
        else:
            super().existing(item)

    def visit_all(self, parent: Item | None, items: list[Item]) -> None:
        if parent is not None and not self.recursive and items:
            if not self._paths_only:
                self.line(f"Found {len(items)} items")
            items = self._sorted(items)
        if not self._paths_only:
            self._widen(items)
        super().visit_all(parent, items)

    def _sorted(self, items: list[Item]) -> list[Item]:
        if not (self._by_time or self._by_size):
            return sorted(items, key=lambda item: item.order, reverse=self._reversed)
        # Equal ones stay in the order of their names, also backwards.
        sign = 1 if self._reversed else -1
        if self._by_time:
            return sorted(items, key=lambda item: sign * self._time_ms(item))
        return sorted(items, key=lambda item: sign * item.found.length)

    def _time_ms(self, item: Item) -> int:
        status = item.found
        return status.access_time_ms if self._accessed else status.modification_time_ms

    def _widen(self, items: list[Item]) -> None:
        for item in items:
            status = item.found
            texts = (str(status.replication), status.owner, status.group, str(status.length))
            self._widths = [
                max(width, len(text)) for width, text in zip(self._widths, texts, strict=True)
            ]

    def visit(self, item: Item) -> None:
        if self._paths_only:
            self.line(item.text)
            return
        status = item.found
        replicas, owner, group, length = self._widths
        self.line(
            ("d" if item.is_directory else "-")
            + mode_text(status.mode)
            + ("+" if status.flags & _HAS_ACL else " ")
            + (str(status.replication) if item.is_file else "-").rjust(replicas)
            + " "
            + (status.owner.ljust(owner) + " " if owner else "")
            + (status.group.ljust(group) + " " if group else "")
            + size_text(status.length, self._human).rjust(length)
            + f" {local_minute(self._time_ms(item))} "
            + (printable(item.text) if self._printable else item.text)
        )


class Lsr(Ls):
    instead = "ls -R"

    def options(self, words: list[str]) -> list[str]:
        return super().options(["-R", *words])
