"""Hadoop's glob patterns: ``?``, ``*``, ``[a-c]``, ``[^a]``, ``{ab,c{d,e}}`` and ``\\c``.

A pattern is taken apart at its slashes; no wildcard matches one. Braces that hold slashes
are written out first. Names with a leading dot match like any other.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from cairnfs.client.entry import Entry
from cairnfs.client.paths import join
from cairnfs.errors import InvalidPath

# Written-out patterns of one glob: {a,b} twelve times over is a mistake, or an attack.
_PATTERNS_MAX = 4096


def has_wildcard(text: str) -> bool:
    """Whether ``text`` is a pattern rather than a name."""
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in "*?[{":
            return True
    return False


def unescape(text: str) -> str:
    """A name without the backslashes that protect its characters."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def expand(pattern: str) -> list[str]:
    """Write out the braces that hold a slash; others match within one name."""
    waiting, done = [pattern], []
    while waiting:
        text = waiting.pop(0)
        span = _brace_with_slash(text)
        if span is None:
            done.append(text)
            continue
        start, end, parts = span
        waiting[:0] = [text[:start] + part + text[end:] for part in parts]
        if len(waiting) + len(done) > _PATTERNS_MAX:
            raise InvalidPath(f"{pattern} stands for more than {_PATTERNS_MAX} patterns")
    return done


def _brace_with_slash(text: str) -> tuple[int, int, list[str]] | None:
    """Start, end and alternatives of the first outermost brace that holds a slash."""
    depth, start, commas, slash = 0, 0, [0], False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == "{":
            if depth == 0:
                start, commas, slash = at, [at], False
            depth += 1
        elif char == "," and depth == 1:
            commas.append(at)
        elif char == "/" and depth:
            slash = True
        elif char == "}" and depth:
            depth -= 1
            if depth == 0 and slash:
                bounds = [*commas, at]
                parts = [text[a + 1 : b] for a, b in itertools.pairwise(bounds)]
                return start, at + 1, parts
        at += 1
    return None


def compile_name(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern for one name. Raises ``InvalidPath``."""
    out: list[str] = []
    depth = 0
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\":
            if at == len(pattern):
                raise InvalidPath(f"{pattern} ends in a backslash that protects nothing")
            out.append(re.escape(pattern[at]))
            at += 1
        elif char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "," and depth:
            out.append("|")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "[":
            text, at = _character_class(pattern, at)
            out.append(text)
        else:
            out.append(re.escape(char))
    if depth:
        raise InvalidPath(f"{pattern} has an open brace")
    return re.compile("".join(out), re.DOTALL)


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    """The class that begins behind ``[``, and where it ends."""
    out = ["["]
    if pattern[at : at + 1] in ("^", "!"):
        out.append("^")
        at += 1
    first = at
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "]" and at - 1 > first:
            try:
                return re.compile("".join([*out, "]"])).pattern, at
            except re.error as error:
                raise InvalidPath(f"{pattern} has a wrong character class: {error}") from None
        if char == "\\" and at < len(pattern):
            char = pattern[at]
            at += 1
            out.append("\\" + char if not char.isalnum() else char)
        elif char == "-":
            out.append(char)
        else:
            out.append("\\" + char if char in "[]^&~|\\" else char)
    raise InvalidPath(f"{pattern} has an open character class")


async def find(
    pattern: str,
    stat: Callable[[str], Awaitable[Entry | None]],
    entries: Callable[[str], AsyncIterator[Entry]],
) -> list[Entry]:
    """Everything that the absolute ``pattern`` matches, sorted by path.

    ``stat`` gives what is at a path or None; ``entries`` what a directory holds."""
    found: dict[str, Entry] = {}
    for text in expand(pattern):
        for entry in await _find_one(text, stat, entries):
            found[entry.path] = entry
    return [found[path] for path in sorted(found)]


async def _find_one(
    pattern: str,
    stat: Callable[[str], Awaitable[Entry | None]],
    entries: Callable[[str], AsyncIterator[Entry]],
) -> list[Entry]:
    names = [name for name in pattern.split("/") if name not in ("", ".")]
    # Paths that match so far; their entries where a listing showed them.
    level: dict[str, Entry | None] = {"/": None}
    for index, name in enumerate(names):
        last = index == len(names) - 1
        if not has_wildcard(name):
            level = {join(path, unescape(name)): None for path in level}
            continue
        expression = compile_name(name)
        following: dict[str, Entry | None] = {}
        for path, known in level.items():
            entry = known or await stat(path)
            if entry is None or not entry.is_dir:
                continue
            async for child in entries(path):
                if expression.fullmatch(child.name) and (last or not child.is_file):
                    following[child.path] = child
        level = following
    stated = [known or await stat(path) for path, known in level.items()]
    return [entry for entry in stated if entry is not None]
