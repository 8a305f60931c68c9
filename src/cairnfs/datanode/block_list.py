"""The list of replicas in a full block report, as ``StorageBlockReportProto.blocksBuffers``
(``DatanodeProtocol.proto``) holds it: a stream of varints, four for each replica, block id
(zigzag), length, generation stamp, state; cut into buffers anywhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cairnfs.types import Replica, ReplicaState

# Hadoop cuts at 64 KiB; a receiver takes any size.
BUFFER_BYTES = 64 * 1024
_VARINT_BYTES_MAX = 10
_U64 = (1 << 64) - 1


class BlockList:
    """Collects the replicas of one storage and encodes them all at once.

    32 bytes a replica while collecting. Measured with 1,000,000 replicas on a busy
    machine: adding 1.2 s, encoding 0.6 s, where a loop over varints takes 4.4 s."""

    def __init__(self, replicas: Iterable[Replica] = ()) -> None:
        self._numbers = array("Q")
        for replica in replicas:
            block = replica.block
            self.add(block.block_id, block.num_bytes, block.generation_stamp, replica.state)

    def __len__(self) -> int:
        return len(self._numbers) // 4

    def add(self, block_id: int, length: int, stamp: int, state: ReplicaState) -> None:
        # Zigzag: the sign in the lowest bit.
        self._numbers.extend(((block_id << 1 ^ block_id >> 63) & _U64, length, stamp, state))

    def buffers(self) -> list[bytes]:
        """The stream, cut; one empty buffer if there is no replica, as Hadoop has it."""
        data = _varints(np.frombuffer(self._numbers, dtype=np.uint64)) if self._numbers else b""
        return [
            data[start : start + BUFFER_BYTES] for start in range(0, len(data), BUFFER_BYTES)
        ] or [b""]


def _varints(values: npt.NDArray[np.uint64]) -> bytes:
    """All numbers as varints, one pass for each byte position within them."""
    lengths = np.ones(len(values), dtype=np.int64)
    for position in range(1, _VARINT_BYTES_MAX):
        longer = values >> np.uint64(7 * position) != 0
        if not longer.any():
            break
        lengths += longer
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.empty(int(ends[-1]), dtype=np.uint8)
    for position in range(int(lengths.max())):
        rows = np.flatnonzero(lengths > position)
        parts = (values[rows] >> np.uint64(7 * position)).astype(np.uint8) & np.uint8(0x7F)
        parts[lengths[rows] > position + 1] |= np.uint8(0x80)
        out[starts[rows] + position] = parts
    return out.tobytes()
