"""One configuration key: its Hadoop name, its type, its default, what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cairnfs.errors import ConfigurationError

T = TypeVar("T")

_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_TIME_UNITS_MS = {
    "ns": 1e-6,
    "us": 1e-3,
    "ms": 1.0,
    "s": 1e3,
    "m": 60e3,
    "h": 3600e3,
    "d": 86400e3,
}


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """A key that Cairn reads and obeys. ``parse`` raises ``ValueError`` with the reason."""

    name: str
    parse: Callable[[str], T]
    default: T
    doc: str
    minimum: float | None = None
    maximum: float | None = None

    def value_of(self, text: str, source: str) -> T:
        """The value that ``text`` says. Raises ``ConfigurationError`` naming ``source``."""
        try:
            value = self.parse(text.strip())
        except ValueError as error:
            raise ConfigurationError(f"{source}: {self.name} = {text!r}: {error}") from None
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                raise ConfigurationError(
                    f"{source}: {self.name} = {text!r} is below its minimum {self.minimum}"
                )
            if self.maximum is not None and value > self.maximum:
                raise ConfigurationError(
                    f"{source}: {self.name} = {text!r} is above its maximum {self.maximum}"
                )
        return value


def text(value: str) -> str:
    return value


def integer(value: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise ValueError("is not a whole number") from None


def number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError("is not a number") from None


def boolean(value: str) -> bool:
    if value.lower() in ("true", "yes", "on", "1"):
        return True
    if value.lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError("is neither true nor false")


def size(value: str) -> int:
    """Bytes, with Hadoop's binary suffixes: ``64k``, ``128m``, ``1g``."""
    match = re.fullmatch(r"(\d+)\s*([kmgtp]?)b?", value.lower())
    if not match:
        raise ValueError("is not a size such as 134217728, 128m or 1g")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def duration_ms(bare_unit: str) -> Callable[[str], int]:
    """A parser for times such as ``3s`` or ``250ms``; a bare number counts ``bare_unit``."""

    def parse(value: str) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h|d)?", value.lower())
        if not match:
            raise ValueError("is not a duration such as 3s, 250ms or 10m")
        return round(float(match[1]) * _TIME_UNITS_MS[match[2] or bare_unit])

    return parse


def words(value: str) -> tuple[str, ...]:
    """A comma-separated list; blanks around entries are dropped."""
    return tuple(word for part in value.split(",") if (word := part.strip()))


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser that takes one of ``choices``, whatever its case."""

    def parse(value: str) -> str:
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        raise ValueError(f"is none of {', '.join(choices)}")

    return parse
