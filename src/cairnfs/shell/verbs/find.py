"""``-find``: what is below paths and matches."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from cairnfs.errors import FileSystemError
from cairnfs.shell.failures import UsageError
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

# True: go on with the next part of the expression.
Part = Callable[[Item], bool]


class Find(Verb):
    usage = "<path> ... <expression> ..."
    help = """\
Finds what is below paths (the working directory where there is none) and matches all parts
of an expression; without -print or -print0 in it, what matches is printed.
-name <pattern>: The name matches.
-iname <pattern>: The name matches, whatever its case.
-print: Prints the path; always true.
-print0: Prints the path with a zero byte behind it; always true.
-a, -and: Between parts; may be left out.
( and ): Around parts."""

    recursive = True

    def options(self, words: list[str]) -> list[str]:
        if not words:
            raise UsageError("Not enough arguments: expected 1 but got 0")
        at = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
        self._parts = parse_expression(words[at:])
        return words[:at] or ["."]

    def visit(self, item: Item) -> None:
        for part in self._parts:
            if not part(item):
                return


def parse_expression(words: list[str]) -> list[Part]:
    """The parts of an expression in order, with -print at the end where nothing prints.

    Raises :class:`UsageError`, and ``FileSystemError`` for a word that is no part of one."""
    parts: list[Part] = []
    prints = joined = False
    rest = iter(words)
    for word in rest:
        if word in ("-name", "-iname"):
            pattern = next(rest, None)
            if pattern is None:
                raise UsageError(f"{word} needs a pattern behind it")
            parts.append(_name_part(pattern, word == "-iname"))
        elif word in ("-print", "-print0"):
            parts.append(_printer("\n" if word == "-print" else "\0"))
            prints = True
        elif word in ("-a", "-and"):
            if joined or not parts:
                raise UsageError(f"{word} needs a part before and behind it")
        elif word not in ("(", ")"):
            raise FileSystemError(f"Unexpected argument: {word}")
        joined = word in ("-a", "-and")
    if joined:
        raise UsageError("the expression ends in the middle")
    return parts if prints else [*parts, _printer("\n")]


def _name_part(pattern: str, ignores_case: bool) -> Part:
    from cairnfs.client.glob import compile_name

    expression = compile_name(pattern)
    if ignores_case:
        expression = re.compile(expression.pattern, expression.flags | re.IGNORECASE)
    return lambda item: expression.fullmatch(item.name) is not None


def _printer(end: str) -> Part:
    def show(item: Item) -> bool:
        sys.stdout.write(item.text + end)
        return True

    return show
