"""Verbs with a destination: ``put``, ``get``, ``cp``, ``mv`` and their relatives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cairnfs.shell.failures import (
    exists,
    io_error,
    is_directory,
    no_such,
    not_directory,
    not_supported,
)
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

if TYPE_CHECKING:
    from cairnfs.shell.session import Session

_DEFAULT = "."


class DestinationVerb(Verb):
    """The last word is where things go: a directory, or the new name of the only source."""

    # What is at the destination may be replaced.
    overwrite = False

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(session, name)
        self.destination: Item

    def take_remote_destination(self, words: list[str]) -> None:
        """The last of several words, a pattern for one thing; the working directory if there
        is only one word."""
        if len(words) < 2:
            self.destination = self.session.item(_DEFAULT)
            return
        word = words.pop()
        found = self.session.expand(word)
        if not found:
            raise no_such(word)
        if len(found) > 1:
            raise io_error(word, "Too many matches")
        self.destination = found[0]

    def take_local_destination(self, words: list[str]) -> None:
        self.destination = self.session.local_item(_DEFAULT if len(words) < 2 else words.pop())

    # --- items -----------------------------------------------------------------------------

    def items(self, items: list[Item]) -> None:
        to = self.destination
        if len(items) > 1:
            if not to.exists:
                raise no_such(to.text)
            if not to.is_directory:
                raise not_directory(to.text)
        elif to.exists:
            if not to.is_directory and not self.overwrite:
                raise exists(to.text)
        elif not to.parent_exists():
            raise no_such(to.text, to.qualified)
        super().items(items)

    def existing(self, item: Item) -> None:
        if item.is_directory and item.fs is self.destination.fs:
            self._check_not_into_itself(item)
        super().existing(item)

    def _check_not_into_itself(self, item: Item) -> None:
        target = self.target(item)
        if target.path == item.path:
            raise io_error(item.text, "are identical", target=target.qualified)
        inside = item.path if item.path == "/" else item.path + "/"
        if target.path.startswith(inside):
            raise io_error(item.text, "is a subdirectory of itself", target=target.text)

    def target(self, source: Item) -> Item:
        """Where ``source`` goes: below a directory, or where the destination says."""
        to = self.destination
        if self.depth > 0 or to.is_directory or to.names_directory:
            return to.sought_child(source.name)
        return to

    def visit(self, item: Item) -> None:
        self.transfer(item, self.target(item))

    def transfer(self, source: Item, target: Item) -> None:
        """Copy or move one thing; what directories hold comes afterwards."""
        if source.is_symlink:
            raise not_supported(source.text)
        if source.is_file:
            self.transfer_file(source, target)
        elif not self.recursive:
            raise is_directory(source.text)

    def transfer_file(self, source: Item, target: Item) -> None:
        """Copy or move one file."""
        raise not_supported(source.text)

    def descend(self, item: Item) -> None:
        """What a directory holds goes into the directory that is its target."""
        saved = self.destination
        try:
            to = self.destination = self.target(item)
            if not to.exists:
                to.fs.mkdirs(to.path)
                to.refresh()
            elif not to.is_directory:
                raise not_directory(to.text)
            super().descend(item)
            self.after_directory(item, to)
        finally:
            self.destination = saved

    def after_directory(self, source: Item, target: Item) -> None:
        """Called when all that ``source`` holds has been taken to ``target``."""


class CopyVerb(DestinationVerb):
    """Copies files; ``-t N`` copies N of them at a time."""

    recursive = True
    verify = True
    # Write under the final name instead of a temporary one.
    direct = False
    threads = 1
    # Of: t(imes), o(wner), p(ermission).
    kept: frozenset[str] = frozenset()

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(session, name)
        self._fail_lock = threading.Lock()

    def fail(self, error: Exception) -> None:
        with self._fail_lock:
            super().fail(error)

    def items(self, items: list[Item]) -> None:
        from cairnfs.shell.copying import Copier

        several = len(items) > 1 or any(item.is_directory for item in items)
        with Copier(self.threads if several else 1, self.fail) as self._copier:
            super().items(items)

    def transfer_file(self, source: Item, target: Item) -> None:
        self._copier.copy(source, target, self)

    def after_directory(self, source: Item, target: Item) -> None:
        from cairnfs.shell.copying import keep_attributes

        keep_attributes(source, target, self.kept)

    def after_file(self, source: Item, target: Item) -> None:
        """Called when a file has been copied, maybe in another thread."""
