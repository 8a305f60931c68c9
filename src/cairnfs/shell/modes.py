"""Modes as ``chmod`` takes them: ``755``, ``1777``, ``u+x,go-w``, ``a=rX``, ``+t``.

As in Hadoop: several clauses for the same class of users count only as the last one; the
letters are ``rwxXt``; no umask is applied where nobody is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OCTAL = re.compile(r"\s*\+?([01]?)([0-7]{3})\s*")
_CLAUSE = re.compile(r"\s*([ugoa]*)([+=-]+)([rwxXt]+)([,\s]*)")
_BITS = {"r": 4, "w": 2, "x": 1, "X": 8, "t": 0}
# x only where somebody may execute already, or on a directory.
_ANY_EXECUTE = 8
_SHIFTS = {"u": 6, "g": 3, "o": 0, "t": 9}


@dataclass(frozen=True, slots=True)
class ModeChange:
    """How the bits of each class (``u``, ``g``, ``o`` and the sticky ``t``) change."""

    parts: tuple[tuple[str, str, int], ...]

    @classmethod
    def parse(cls, text: str) -> ModeChange:
        """Raises ``ValueError``."""
        if octal := _OCTAL.fullmatch(text):
            digits = (octal[1] or "0") + octal[2]
            pairs = zip("tugo", digits, strict=True)
            return cls(tuple((who, "=", int(digit)) for who, digit in pairs))
        parts: dict[str, tuple[str, int]] = {}
        at, more = 0, True
        while at < len(text) and more:
            clause = _CLAUSE.match(text, at)
            if clause is None:
                raise ValueError(text)
            _take(parts, clause)
            at, more = clause.end(), "," in clause[4]
        if at < len(text) or not parts:
            raise ValueError(text)
        return cls(tuple((who, how, bits) for who, (how, bits) in parts.items()))

    def apply(self, mode: int, is_directory: bool) -> int:
        """The new permission bits for those of ``mode``."""
        may_execute = is_directory or mode & 0o111 != 0
        for who, how, bits in self.parts:
            shift = _SHIFTS[who]
            mask = 1 if who == "t" else 7
            old = mode >> shift & mask
            new = _combined(how, bits, old, may_execute) & mask
            mode = mode & ~(mask << shift) | new << shift
        return mode & 0o1777


def _take(parts: dict[str, tuple[str, int]], clause: re.Match[str]) -> None:
    named = set(clause[1]) - {"a"}
    how = clause[2][-1]
    bits = 0
    for letter in clause[3]:
        bits |= _BITS[letter]
    for who in "ugo":
        if who in named or not named:
            parts[who] = (how, bits)
    if "o" in named or not named:
        parts["t"] = (how, int("t" in clause[3]))


def _combined(how: str, bits: int, old: int, may_execute: bool) -> int:
    conditional = bits & _ANY_EXECUTE
    if conditional:
        bits = bits & ~_ANY_EXECUTE | 1
    new = bits | old if how == "+" else old & ~bits if how == "-" else bits
    if conditional and not may_execute and not old & 1:
        new &= ~1
    return new
