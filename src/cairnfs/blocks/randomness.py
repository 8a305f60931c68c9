"""The randomness that decisions are handed: a seed replays them exactly."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class RandomSource(Protocol):
    """The part of ``random.Random`` that the block layer draws from."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def choice(self, seq: Sequence[T], /) -> T:
        """One of a sequence that is not empty."""
        ...

    def shuffle(self, x: MutableSequence[Any], /) -> None:
        """Reorder in place."""
        ...
