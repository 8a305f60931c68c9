"""Pauses between attempts: doubling, with jitter, so that clients do not come back in step."""

from __future__ import annotations

from collections.abc import Callable


def _random() -> float:
    # Imported late: most runs of the shell never wait for anything.
    import random

    return random.random()


class Backoff:
    """``base_ms``, doubled with each pause up to ``max_ms``, of which half is random.

    ``random`` returns numbers in [0, 1); a test hands in its own."""

    def __init__(
        self, base_ms: float, max_ms: float, random: Callable[[], float] = _random
    ) -> None:
        self._base_ms = base_ms
        self._max_ms = max_ms
        self._random = random
        self.count = 0

    def next_ms(self) -> float:
        """The pause before the next attempt."""
        # 2 ** 40 ms are 35 years: the exponent needs no more.
        whole = min(self._max_ms, self._base_ms * 2.0 ** min(self.count, 40))
        self.count += 1
        return whole * (0.5 + self._random() / 2)

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self.count = 0
