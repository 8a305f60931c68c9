"""Flags as Hadoop's shell takes them: words with one dash, before everything else."""

from __future__ import annotations

from collections.abc import Sequence

from cairnfs.shell.failures import UsageError

UNLIMITED = 1 << 31


class Flags:
    """What flags a command line has, and the words behind them.

    ``names`` are flags without, ``valued`` flags with a value (empty where it is left out).
    With ``lenient`` unknown flags stay among the words. Raises :class:`UsageError`."""

    def __init__(
        self,
        arguments: Sequence[str],
        names: Sequence[str] = (),
        *,
        least: int = 0,
        most: int = UNLIMITED,
        valued: Sequence[str] = (),
        lenient: bool = False,
    ) -> None:
        self.found: set[str] = set()
        self.values: dict[str, str] = {}
        self.words = list(arguments)
        self._least = least
        self._parse(frozenset(names), frozenset(valued), lenient)
        count = len(self.words)
        if count < least:
            raise UsageError(f"Not enough arguments: expected {least} but got {count}")
        if count > most:
            raise UsageError(f"Too many arguments: expected {most} but got {count}")

    def _parse(self, names: frozenset[str], valued: frozenset[str], lenient: bool) -> None:
        words, at = self.words, 0
        # "-" alone is stdin or stdout; "--" ends the flags.
        while at < len(words) and words[at].startswith("-") and words[at] != "-":
            word = words[at]
            if word == "--":
                del words[at]
                return
            name = word[1:]
            if name in names:
                self.found.add(name)
                del words[at]
            elif name in valued:
                del words[at]
                self.values[name] = self._value(at)
            elif lenient:
                at += 1
            else:
                raise UsageError(f"Illegal option {word}")

    def _value(self, at: int) -> str:
        words = self.words
        if at < len(words) and len(words) > self._least and not words[at].startswith("-"):
            return words.pop(at)
        return ""

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def number(self, name: str, default: int) -> int:
        """The value of a flag as a number. Raises :class:`UsageError`."""
        return whole_number(self.values[name]) if name in self.values else default


def whole_number(text: str) -> int:
    """Raises :class:`UsageError` where ``text`` is none."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    # int() takes blanks, underscores and other scripts' digits too.
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(f'For input string: "{text}"')
    return int(text)
