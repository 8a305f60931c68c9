"""Where to sync: at once, or in a thread while the loop goes on.

Handing a sync to a thread and taking the answer back costs two wake-ups and the
interpreter's lock, about 100 us; a disk with a cache that outlives a power cut syncs in 20
to 60 us (measured: 120 us of CPU for a change alone in its batch instead of 240). A disk
without one takes milliseconds, in which reads must go on. So the pace is measured, always
on syncs that were made at once: there a duration is the disk's alone.
"""

from __future__ import annotations

# Slower than this on average, and a thread is the cheaper way.
QUICK_US = 400.0
# One sync as slow as this, and the next ones are made in a thread. Quick disks have a sync of
# 2 to 3 ms in a thousand, which reads can wait for.
STALL_US = 20_000.0
# Of the syncs that a slow disk's thread would make, one in so many is made at once.
PROBE_EVERY = 64
# So many quick probes after each other, and the disk is quick again.
PROBES_QUICK = 2
_WEIGHT = 1 / 8


class SyncPace:
    """Decides from what syncs took; takes a disk for quick until it was slow."""

    __slots__ = ("_mean_us", "_quick", "_quick_probes", "_until_probe")

    def __init__(self) -> None:
        self._quick = True
        self._mean_us = 0.0
        self._until_probe = 0
        self._quick_probes = 0

    def at_once(self) -> bool:
        """Whether to make the next sync on the loop."""
        if self._quick:
            return True
        self._until_probe -= 1
        if self._until_probe > 0:
            return False
        self._until_probe = PROBE_EVERY
        return True

    def took(self, duration_us: float) -> None:
        """A sync made at once took so long."""
        if self._quick:
            self._mean_us += (duration_us - self._mean_us) * _WEIGHT
            if self._mean_us > QUICK_US or duration_us >= STALL_US:
                self._quick = False
                self._until_probe = PROBE_EVERY
                self._quick_probes = 0
        elif duration_us > QUICK_US:
            self._quick_probes = 0
        else:
            self._quick_probes += 1
            if self._quick_probes == PROBES_QUICK:
                self._quick = True
                self._mean_us = duration_us
