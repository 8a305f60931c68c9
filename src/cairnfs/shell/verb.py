"""How every verb goes through its arguments: flags, patterns, paths, and what is below them.

A failure with one path is told and the next path is taken, as Hadoop's shell does it; the
exit code is 1 if anything failed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from cairnfs.errors import CairnError
from cairnfs.shell.failures import UsageError, no_such, sentence
from cairnfs.shell.item import Item
from cairnfs.shell.session import Session


class Verb(ABC):
    """One verb while it runs. Subclasses say how each part is done for theirs."""

    # What stands behind the verb in its usage, and what it does, in lines of help.
    usage: ClassVar[str] = ""
    help: ClassVar[str] = ""
    # What to say instead, for verbs that are out of date.
    instead: ClassVar[str] = ""
    # Go through directories, parents first.
    recursive = False
    # Take the items of a directory in groups of this many; 0: one by one.
    group = 0

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name
        self.exit_code = 0
        self.failures = 0
        self.depth = 0

    def run(self, arguments: Sequence[str]) -> int:
        """Do it; the exit code. Raises :class:`UsageError` where the words make no sense."""
        if self.instead:
            self.warn(f"DEPRECATED: Please use '{self.instead}' instead.")
        try:
            self.arguments(self.options(list(arguments)))
        except (UsageError, BrokenPipeError):
            raise
        except (CairnError, OSError) as error:
            self.fail(error)
        return self.exit_code if self.failures == 0 else 1

    # --- words -----------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.session.line(text)

    def warn(self, text: str) -> None:
        self.session.warn(f"{self.name}: {text}")

    def fail(self, error: Exception) -> None:
        """Tell a failure and go on."""
        self.failures += 1
        self.warn(sentence(error))

    # --- the command line ------------------------------------------------------------------

    @abstractmethod
    def options(self, words: list[str]) -> list[str]:
        """Take the flags out of ``words``; what is left."""

    def arguments(self, words: list[str]) -> None:
        self.items([item for word in words for item in self.expanded(word)])

    def expanded(self, word: str) -> Iterable[Item]:
        """The items that a word stands for; none after a failure that was told."""
        try:
            return self.expand(word)
        except (UsageError, BrokenPipeError):
            raise
        except (CairnError, OSError) as error:
            self.fail(error)
            return []

    def expand(self, word: str) -> list[Item]:
        items = self.session.expand(word)
        if not items:
            raise no_such(word)
        return items

    # --- items -----------------------------------------------------------------------------

    def items(self, items: list[Item]) -> None:
        for item in items:
            self.guarded(item, self.item)

    def item(self, item: Item) -> None:
        if item.exists:
            self.existing(item)
        else:
            self.missing(item)

    def existing(self, item: Item) -> None:
        self.depth = 0
        self.visit_all(None, [item])

    def missing(self, item: Item) -> None:
        raise no_such(item.text)

    def visit_all(self, parent: Item | None, items: list[Item]) -> None:
        """Visit items that were named (``parent`` is None) or found in a directory."""
        for item in items:
            self.guarded(item, self._visit_whole)

    def _visit_whole(self, item: Item) -> None:
        self.visit(item)
        if self.recursive and self.goes_into(item):
            self.descend(item)
        self.leave(item)

    def visit(self, item: Item) -> None:  # noqa: B027 - not all verbs take paths
        """Do it for something that is there."""

    def goes_into(self, item: Item) -> bool:
        return item.is_directory

    def leave(self, item: Item) -> None:  # noqa: B027
        """Called when an item, and what is below it, has been visited."""

    def descend(self, item: Item) -> None:
        """Visit what a directory holds."""
        self.depth += 1
        try:
            if self.sorts():
                self.visit_all(item, sorted(item.contents(), key=lambda child: child.order))
                return
            waiting: list[Item] = []
            for child in item.contents():
                waiting.append(child)
                if len(waiting) >= (self.group or 1):
                    self.visit_all(item, waiting)
                    waiting = []
            if waiting:
                self.visit_all(item, waiting)
        finally:
            self.depth -= 1

    def sorts(self) -> bool:
        """Whether all items of a directory are wanted at once, by name."""
        return False

    def guarded(self, item: Item, work: Callable[[Item], None]) -> None:
        """Do ``work`` for an item; a failure is told and does not stop the others."""
        try:
            work(item)
        except (UsageError, BrokenPipeError):
            raise
        except (CairnError, OSError) as error:
            self.fail(error)
