"""``-stat``: what is known of a file, in a format of the user's."""

from __future__ import annotations

from collections.abc import Callable

from cairnfs.shell.failures import UsageError
from cairnfs.shell.flags import Flags
from cairnfs.shell.formatting import mode_octal, mode_text, utc_second
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb
from cairnfs.types import FileType

_KINDS = {
    FileType.DIRECTORY: "directory",
    FileType.FILE: "regular file",
    FileType.SYMLINK: "symlink",
}
_LETTERS: dict[str, Callable[[Item], object]] = {
    "a": lambda item: mode_octal(item.found.mode),
    "A": lambda item: mode_text(item.found.mode),
    "b": lambda item: item.found.length,
    "F": lambda item: _KINDS[item.found.file_type],
    "g": lambda item: item.found.group,
    "n": lambda item: item.name,
    "o": lambda item: item.found.block_size,
    "r": lambda item: item.found.replication,
    "u": lambda item: item.found.owner,
    "x": lambda item: utc_second(item.found.access_time_ms),
    "X": lambda item: item.found.access_time_ms,
    "y": lambda item: utc_second(item.found.modification_time_ms),
    "Y": lambda item: item.found.modification_time_ms,
}


class Stat(Verb):
    usage = "[-R] [format] <path> ..."
    help = """\
Prints what is known of files and directories, in a format with these letters; %y alone is
the default.
%a %A: permission in octal, and as ls shows it
%b %o: size and block size in bytes
%F %n: type and name
%g %u: group and owner
%r: replication
%x %X: last access, in UTC and in milliseconds since 1970
%y %Y: last change, likewise
-R: Everything below directories, too."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "R", least=1)
        self.recursive = "R" in flags
        words = flags.words
        self._format = words.pop(0) if "%" in words[0] else "%y"
        if not words:
            raise UsageError("Not enough arguments: expected 1 but got 0")
        return words

    def visit(self, item: Item) -> None:
        self.line(formatted(self._format, item))


def formatted(form: str, item: Item) -> str:
    """``form`` with its letters replaced; an unknown one, and ``%%``, stand for themselves."""
    parts: list[str] = []
    at = 0
    while at < len(form):
        char = form[at]
        at += 1
        if char != "%":
            parts.append(char)
        elif at < len(form):
            letter = form[at]
            at += 1
            parts.append(str(_LETTERS[letter](item)) if letter in _LETTERS else letter)
    return "".join(parts)
