"""Buffers for received data, used again and again.

A fresh buffer costs a page fault for every 4 KiB that is received into it (about 0.1 CPU
s/GiB); one that was used before costs nothing.
"""

from __future__ import annotations

# The smallest buffer: a read of 64 KiB with its checksums and headers.
_SMALLEST = 128 * 1024


class BufferPool:
    """Hands out buffers and keeps up to ``kept_bytes_max`` of returned ones.

    Sizes come in steps of an eighth of a power of two, so that few are wasted and most are
    found again."""

    def __init__(self, kept_bytes_max: int) -> None:
        self._kept_bytes_max = kept_bytes_max
        self._kept_bytes = 0
        self._free: dict[int, list[memoryview]] = {}

    def take(self, size: int) -> memoryview:
        """A writable buffer of at least ``size`` bytes with anything in it."""
        step = max(_SMALLEST, (1 << (size - 1).bit_length()) // 8)
        whole = -(-size // step) * step
        free = self._free.get(whole)
        if free:
            self._kept_bytes -= whole
            return free.pop()
        return memoryview(bytearray(whole))

    def give(self, buffer: memoryview) -> None:
        """Return a buffer of which no view is in use any more."""
        if self._kept_bytes + len(buffer) <= self._kept_bytes_max:
            self._kept_bytes += len(buffer)
            self._free.setdefault(len(buffer), []).append(buffer)

    def clear(self) -> None:
        self._free.clear()
        self._kept_bytes = 0
