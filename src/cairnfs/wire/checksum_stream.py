"""From a writer's checksums to those at rest, without reading data again.

A writer sends CRCs of, say, 512 bytes; a DataNode keeps one for each 8 KiB. The finer ones
are folded: Java's packets hold 126 chunks, so what is left of one packet goes on in the
next. Where folding cannot work (another CRC type, chunks that do not divide the chunk at
rest, a stream that starts in mid-chunk) the CRCs are computed from the data of the packet.
"""

from __future__ import annotations

import struct

from cairnfs.errors import LocalProtocolError, RemoteProtocolError
from cairnfs.types import ChecksumType
from cairnfs.wire import crc_fold
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum, check_sums_length
from cairnfs.wire.crc import Buffer, combine, crc_function

# Folding has a fixed cost, so CRCs are gathered until this many bytes of them wait:
# 8,192 CRCs of 512 bytes are 4 MiB of data, what one receive buffer holds.
_PENDING_BYTES_MAX = 32 * 1024


class ChecksumAccumulator:
    """Turns (offset, data, checksums of ``source``) into checksums of ``at_rest``.

    ::

        sums = ChecksumAccumulator(source, at_rest)
        for each packet:
            sums.add(packet.offset, packet.data, packet.sums)
        first_chunk, crcs = sums.take()     # whole at-rest chunks since the last take
        crc, length = sums.partial          # the unfinished last chunk, (0, 0) if none

    A stream that goes on in a block of ``offset`` bytes starts with ``head_crc``: the CRC
    (of the at-rest type) of the block's bytes from the last at-rest chunk boundary to
    ``offset``; 0 on a boundary. A packet may repeat bytes that came before (a writer sends
    its short last chunk again, longer; after a recovery it sends whole packets again): what
    is old is passed over. The data is not verified here.
    """

    def __init__(
        self, source: DataChecksum, at_rest: DataChecksum, offset: int = 0, head_crc: int = 0
    ) -> None:
        if at_rest.type is ChecksumType.NULL:
            raise LocalProtocolError("data at rest always has checksums; NULL cannot be one")
        self.source = source
        self.at_rest = at_rest
        self._crc = crc_function(at_rest.type)
        # The unfinished at-rest chunk: its first _base_bytes have _base_crc, then come the
        # whole source chunks in _pending, then the writer's short last chunk, if any.
        self._base_bytes = offset % at_rest.bytes_per_checksum
        self._base_crc = head_crc
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._short_bytes = 0
        self._short_crc = 0
        self._position = offset
        self._done: list[bytes] = []
        self._done_first = offset // at_rest.bytes_per_checksum
        self._group = at_rest.bytes_per_checksum // source.bytes_per_checksum
        self._folds = (
            source.type is at_rest.type
            and at_rest.bytes_per_checksum % source.bytes_per_checksum == 0
            and (self._group == 1 or crc_fold.can_fold(source.type, source.bytes_per_checksum))
            and self._group <= crc_fold.POSITIONS
        )

    @property
    def position(self) -> int:
        """Offset in the block after the last byte that was added."""
        return self._position

    @property
    def partial(self) -> tuple[int, int]:
        """CRC and length of the unfinished last at-rest chunk; (0, 0) on a boundary."""
        self._fold()
        crc, size = self._base_crc, self._base_bytes
        if self._short_bytes:
            crc = combine(self.at_rest.type, crc, self._short_crc, self._short_bytes)
            size += self._short_bytes
        return crc, size

    def take(self) -> tuple[int, bytes]:
        """(Index of the first at-rest chunk, its CRC and those after it): all whole chunks
        that are complete and were not taken before."""
        self._fold()
        crcs = b"".join(self._done)
        first = self._done_first
        self._done.clear()
        self._done_first += len(crcs) // CRC_BYTES
        return first, crcs

    def finish(self) -> tuple[int, bytes]:
        """As :meth:`take`, with the CRC of a short last chunk, if any, at the end."""
        crc, size = self.partial
        first, crcs = self.take()
        if size:
            crcs += crc.to_bytes(CRC_BYTES, "big")
        return first, crcs

    def add(self, offset: int, data: Buffer, sums: Buffer) -> int:
        """Take in ``data`` at ``offset`` of the block; how many of its bytes are old.

        The caller may reuse both buffers at once. Raises ``RemoteProtocolError`` if the
        checksums do not fit the data or bytes before ``offset`` are missing."""
        size = len(data)
        check_sums_length(self.source, size, len(sums))
        position = self._position
        if offset > position:
            raise RemoteProtocolError(
                f"data at offset {offset} came after offset {position}: "
                f"{offset - position} bytes between are missing"
            )
        end = offset + size
        if end <= position:
            return size
        if not self._folds:
            self._digest(memoryview(data)[position - offset :])
        elif offset == position and not self._short_bytes:
            self._append(data, sums)
        else:
            self._append_over(offset, data, sums)
        self._position = end
        return position - offset

    def _append_over(self, offset: int, data: Buffer, sums: Buffer) -> None:
        """Folding, where the last short chunk came again or goes on in mid-chunk."""
        step = self.source.bytes_per_checksum
        settled = self._position - self._short_bytes
        if offset <= settled and (settled - offset) % step == 0:
            self._short_bytes = self._short_crc = 0
            skipped = (settled - offset) // step
            self._append(
                memoryview(data)[skipped * step :], memoryview(sums)[skipped * CRC_BYTES :]
            )
            return
        self._settle_short()
        if offset == self._position:
            self._append(data, sums)
        else:
            self._digest(memoryview(data)[self._position - offset :])

    def _append(self, data: Buffer, sums: Buffer) -> None:
        """Folding, where the packet's first byte follows all that is settled."""
        step = self.source.bytes_per_checksum
        whole, short = divmod(len(data), step)
        if whole and self._base_bytes % step:
            # In mid-chunk for more than one chunk: the writer's chunks straddle ours.
            self._digest(memoryview(data))
            return
        if whole:
            self._pending.append(bytes(sums[: whole * CRC_BYTES]))
            self._pending_bytes += whole * CRC_BYTES
            if self._pending_bytes >= _PENDING_BYTES_MAX:
                self._fold()
        if not short:
            return
        # Where the stream started in mid-chunk even a short chunk can reach over our boundary.
        at_rest = self.at_rest.bytes_per_checksum
        filled = (self._base_bytes + self._pending_bytes // CRC_BYTES * step) % at_rest
        if filled + short > at_rest:
            self._digest(memoryview(data)[whole * step :])
            return
        self._short_bytes = short
        self._short_crc = int.from_bytes(sums[whole * CRC_BYTES :], "big")
        if (filled + short) % step == 0:
            # It ends on a boundary of the writer's chunks: it will not come again.
            self._settle_short()

    def _settle_short(self) -> None:
        if self._short_bytes:
            self._fold()
            size, crc = self._short_bytes, self._short_crc
            self._short_bytes = self._short_crc = 0
            self._extend(crc, size)

    def _extend(self, crc: int, size: int) -> None:
        """Let the unfinished chunk grow by a piece that fits into it."""
        self._base_crc = combine(self.at_rest.type, self._base_crc, crc, size)
        self._base_bytes += size
        assert self._base_bytes <= self.at_rest.bytes_per_checksum
        if self._base_bytes == self.at_rest.bytes_per_checksum:
            self._done.append(self._base_crc.to_bytes(CRC_BYTES, "big"))
            self._base_crc = self._base_bytes = 0

    def _digest(self, data: memoryview) -> None:
        """Compute from the data itself; it follows directly on what came."""
        self._settle_short()
        self._fold()
        at_rest = self.at_rest.bytes_per_checksum
        crc = self._crc
        start = 0
        if self._base_bytes:
            start = min(at_rest - self._base_bytes, len(data))
            self._base_crc = crc(data[:start], self._base_crc)
            self._base_bytes += start
            if self._base_bytes < at_rest:
                return
            self._done.append(self._base_crc.to_bytes(CRC_BYTES, "big"))
            self._base_crc = self._base_bytes = 0
        stop = len(data) - (len(data) - start) % at_rest
        crcs = [crc(data[at : at + at_rest], 0) for at in range(start, stop, at_rest)]
        if crcs:
            self._done.append(struct.pack(f">{len(crcs)}I", *crcs))
        if stop < len(data):
            self._base_crc = crc(data[stop:], 0)
            self._base_bytes = len(data) - stop

    def _fold(self) -> None:
        """Fold the pending CRCs: whole at-rest chunks are done, the rest becomes the base."""
        if not self._pending:
            return
        step = self.source.bytes_per_checksum
        words = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if self._base_bytes:
            # The base stands for all its source chunks: as the last of them, after zeros.
            base_chunks = self._base_bytes // step
            base = self._base_crc.to_bytes(CRC_BYTES, "big")
            words = b"\0" * (CRC_BYTES * (base_chunks - 1)) + base + words
        row_bytes = self._group * CRC_BYTES
        whole = len(words) - len(words) % row_bytes
        if whole:
            view = memoryview(words)
            self._done.append(
                crc_fold.fold_groups(self.at_rest.type, step, view[:whole], self._group)
            )
            words = bytes(view[whole:])
        self._base_crc = crc_fold.fold_all(self.at_rest.type, step, words) if words else 0
        self._base_bytes = len(words) // CRC_BYTES * step
