"""Bandwidth and number of moves for the balancer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Bandwidth is measured over periods of this length: one packet may overshoot one of them.
_PERIOD_S = 0.5


class Throttle:
    """Lets bytes pass at a rate. Thread safe."""

    def __init__(
        self,
        bytes_per_s: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep
        self.bytes_per_s = bytes_per_s
        self._free_at = clock()

    def pass_bytes(self, size: int) -> None:
        """Return when ``size`` bytes that were moved fit into the rate."""
        with self._lock:
            now = self._clock()
            # What was not used in the last period may be used at once.
            self._free_at = max(self._free_at, now - _PERIOD_S) + size / self.bytes_per_s
            wait = self._free_at - now
        if wait > 0:
            self._sleep(wait)


class MoveSlots:
    """Places for moves of the balancer, and the bandwidth they share. Thread safe."""

    def __init__(self, moves_max: int, bytes_per_s: int) -> None:
        self.throttle = Throttle(bytes_per_s)
        self.moves_max = moves_max
        self._lock = threading.Lock()
        self._busy = 0

    def take(self) -> bool:
        """False: all places are taken."""
        with self._lock:
            if self._busy >= self.moves_max:
                return False
            self._busy += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self._busy -= 1
