"""``-test``: questions that the exit code answers."""

from __future__ import annotations

from cairnfs.shell.face import READ, WRITE
from cairnfs.shell.failures import UsageError
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb


class Test(Verb):
    usage = "-[defswrz] <path>"
    help = """\
Answers with its exit code: 0 for yes, 1 for no.
-d: Is it a directory?
-e: Is it there?
-f: Is it a file?
-s: Is it there, with anything in it?
-w: May I write it?
-r: May I read it?
-z: Is it empty?"""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "defswrz", least=1, most=1)
        if not flags.found:
            raise UsageError("No test flag given")
        if len(flags.found) > 1:
            raise UsageError("Only one test flag is allowed")
        [self._question] = flags.found
        return flags.words

    def visit(self, item: Item) -> None:
        if not self._answer(item):
            self.exit_code = 1

    def _answer(self, item: Item) -> bool:
        match self._question:
            case "d":
                return item.is_directory
            case "f":
                return item.is_file
            case "s":
                return item.found.length > 0
            case "z":
                return item.found.length == 0
            case "w":
                return item.fs.may(item.path, WRITE)
            case "r":
                return item.fs.may(item.path, READ)
        return item.exists

    def missing(self, item: Item) -> None:
        self.exit_code = 1
