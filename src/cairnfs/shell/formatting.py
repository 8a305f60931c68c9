"""Numbers, times, modes and tables as Hadoop's shell prints them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

_PREFIXES = " KMGTPE"
_RWX = ("---", "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx")
STICKY = 0o1000


def human(size: int) -> str:
    """A size with a binary prefix and one decimal: ``1.5 K``, ``3 G``; below 1024 as it is."""
    sign, size = ("-", -size) if size < 0 else ("", size)
    if size < 1024:
        return f"{sign}{size}"
    power = min((size.bit_length() - 1) // 10, len(_PREFIXES) - 1)
    if size & ((1 << 10 * power) - 1) == 0:
        return f"{sign}{size >> 10 * power} {_PREFIXES[power]}"
    tenths = _tenths(size, power)
    if tenths >= 10240 and power + 1 < len(_PREFIXES):
        power += 1
        tenths = _tenths(size, power)
    return f"{sign}{tenths // 10}.{tenths % 10} {_PREFIXES[power]}"


def _tenths(size: int, power: int) -> int:
    # Java rounds a half up, Python's own formatting to the even digit.
    unit = 1 << 10 * power
    return (size * 20 + unit) // (2 * unit)


def size_text(size: int, for_humans: bool) -> str:
    return human(size) if for_humans else str(size)


def percent(part: int, whole: int) -> str:
    """``part`` of ``whole`` in whole percent."""
    return f"{(part * 200 + whole) // (2 * whole)}%" if whole else "NaN%"


def local_minute(time_ms: int) -> str:
    """A time as ``ls`` shows it, in the time zone of this process."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(time_ms // 1000))


def utc_second(time_ms: int) -> str:
    """A time as ``stat`` shows it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time_ms // 1000))


def mode_text(mode: int) -> str:
    """``rwxr-x--t`` of permission bits."""
    text = _RWX[mode >> 6 & 7] + _RWX[mode >> 3 & 7] + _RWX[mode & 7]
    if mode & STICKY:
        text = text[:-1] + ("t" if mode & 1 else "T")
    return text


def mode_octal(mode: int) -> str:
    """The digits of permission bits, without leading zeros."""
    return f"{mode & 0o1777:o}"


def printable(text: str) -> str:
    """``text`` with ``?`` for what no terminal should see: control and unassigned characters."""
    import unicodedata

    hidden = ("Cc", "Cf", "Co", "Cs", "Cn")
    return "".join("?" if unicodedata.category(char) in hidden else char for char in text)


def table(rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Lines of columns two blanks apart; ``right`` are the columns that lean to the right."""
    lines = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(_cells(line, widths, right)) for line in lines]


def _cells(line: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> Iterable[str]:
    for index, (cell, width) in enumerate(zip(line, widths, strict=True)):
        if index in right:
            yield cell.rjust(width)
        else:
            yield cell if index == len(line) - 1 else cell.ljust(width)
