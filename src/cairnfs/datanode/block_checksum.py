"""``BLOCK_CHECKSUM``: one checksum of the first bytes of a replica.

``MD5CRC`` is an MD5 over chunk CRCs and so depends on their chunk size. A file must have the
same one on whichever node it lies, Apache's included, so it is made of chunks as large as the
writer's (512 bytes by default), not as those at rest (8 KiB): unless both are the same the
data is read and its CRCs computed (0.15 s for 128 MiB). ``COMPOSITE_CRC`` is the CRC of the
data itself and comes from the stored CRCs in no time.
"""

from __future__ import annotations

import os

from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.replica_reader import ReplicaReader
from cairnfs.datanode.volume import disk_errors
from cairnfs.errors import StorageError
from cairnfs.wire.block_checksum import BlockChecksumType, BlockDigest
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum
from cairnfs.wire.transfer import BlockChecksum
from cairnfs.wire.transfer_reply import BlockChecksumReply

_READ_BYTES = 4 << 20


def block_checksum(dataset: Dataset, request: BlockChecksum) -> BlockChecksumReply:
    """Raises ``ReplicaNotFound``, ``StorageError``."""
    with dataset.open_for_read(request.block, 0, -1) as reader:
        length = min(request.block.num_bytes, reader.stop)
        writer_checksum = DataChecksum(reader.checksum.type, reader.writer_bytes_per_checksum)
        if request.kind is BlockChecksumType.MD5CRC:
            value = _digest(reader, request.kind, writer_checksum, 0, length)
        else:
            stripe = request.stripe_length
            if not 0 < stripe < length:
                stripe = length
            value = b"".join(
                _digest(reader, request.kind, writer_checksum, at, min(at + stripe, length))
                for at in range(0, length, stripe)
            ) or bytes(CRC_BYTES)
        return BlockChecksumReply(
            bytes_per_crc=writer_checksum.bytes_per_checksum,
            crc_per_block=writer_checksum.chunks(reader.stop),
            block_checksum=value,
            crc_type=writer_checksum.type,
            kind=request.kind,
            stripe_length=request.stripe_length,
        )


def _digest(
    reader: ReplicaReader,
    kind: BlockChecksumType,
    writer_checksum: DataChecksum,
    start: int,
    stop: int,
) -> bytes:
    at_rest = reader.checksum
    stored = kind is BlockChecksumType.COMPOSITE_CRC or at_rest == writer_checksum
    if stored and start % at_rest.bytes_per_checksum == 0:
        digest = BlockDigest(kind, at_rest)
        # Stored CRCs as far as they go: to the end of the replica, else to a chunk's end.
        step = at_rest.bytes_per_checksum
        whole = stop if stop == reader.length else stop - stop % step
        first = start // step * CRC_BYTES
        digest.add_sums(
            reader.sums[first : first + at_rest.sums_bytes(whole - start)], whole - start
        )
        start = whole
    else:
        digest = BlockDigest(kind, writer_checksum)
    # Pieces of whole chunks, whatever their size.
    step = digest.checksum.bytes_per_checksum
    piece = max(step, _READ_BYTES // step * step)
    while start < stop:
        size = min(piece, stop - start)
        with disk_errors("reading a block", reader.volume.path):
            data = os.pread(reader.descriptor, size, start)
        if len(data) < size:
            raise StorageError(
                f"blk_{reader.block.block_id}_{reader.block.generation_stamp} ends at "
                f"{start + len(data)}, before {stop}"
            )
        digest.add_data(data)
        start += size
    return digest.digest()
