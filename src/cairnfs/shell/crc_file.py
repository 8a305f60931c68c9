"""The checksum file that Hadoop's local file system keeps beside a file: ``.NAME.crc``.

``crc`` and a zero byte, the bytes per checksum, then one CRC-32 for each so many bytes of
the file; numbers of 4 bytes, big-endian (Hadoop: ``ChecksumFileSystem``)."""

from __future__ import annotations

import os
import zlib

_MAGIC = b"crc\0"
BYTES_PER_CRC = 512
_READ_BYTES = 4 << 20


def write_crc_file(path: str) -> str:
    """Write the checksum file of the local file ``path``; its own path."""
    folder, name = os.path.split(path)
    place = os.path.join(folder, f".{name}.crc")
    with open(path, "rb", buffering=0) as data, open(place, "wb") as out:
        out.write(_MAGIC + BYTES_PER_CRC.to_bytes(4, "big"))
        while piece := data.read(_READ_BYTES):
            out.write(_crcs(piece))
    return place


def _crcs(data: bytes) -> bytes:
    view = memoryview(data)
    return b"".join(
        zlib.crc32(view[at : at + BYTES_PER_CRC]).to_bytes(4, "big")
        for at in range(0, len(data), BYTES_PER_CRC)
    )
