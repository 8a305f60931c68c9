"""Receive buffers: large, lazily backed by memory, used again."""

from __future__ import annotations

import mmap
import threading

# One recv_into takes what the socket holds; with 256 KiB the cost of receiving doubles
# (measured), beyond 4 MiB nothing is gained.
RECEIVE_BUFFER_BYTES = 4 << 20
# Kept for the next writer; the pages of others go back to the kernel.
_KEPT_MAX = 4


class BufferPool:
    """Buffers of ``RECEIVE_BUFFER_BYTES``. Pages that were never written cost no memory, so a
    writer of a small file uses little of its buffer. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        with self._lock:
            if self._free:
                return self._free.pop()
        return memoryview(mmap.mmap(-1, RECEIVE_BUFFER_BYTES))

    def give(self, buffer: memoryview) -> None:
        if len(buffer) == RECEIVE_BUFFER_BYTES:
            with self._lock:
                if len(self._free) < _KEPT_MAX:
                    self._free.append(buffer)
