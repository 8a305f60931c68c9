"""File status, listings and totals from message bytes without protobuf; see :mod:`.plain`.

The same values as :mod:`cairnfs.wire.codec_file` makes of the same bytes. Messages and field
numbers: ``hdfs.proto`` and ``client_namenode.proto``. All raise ``RemoteProtocolError``.
"""

from __future__ import annotations

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import ChecksumType, ContentSummary, FileStatus, FileType, FsServerDefaults
from cairnfs.wire.plain import Fields, data, message, number, number_field, read, signed, text

_MODE_MASK = 0o1777
_FILE_TYPES = {int(kind): kind for kind in FileType}


def permission(mode: int) -> bytes:
    """``FsPermissionProto``."""
    return number_field(1, mode & _MODE_MASK)


def required(fields: Fields, field: int) -> Fields:
    """The message in a field that must be there."""
    found = message(fields, field)
    if found is None:
        raise RemoteProtocolError(f"a message lacks field {field}, a message")
    return found


def file_status(raw: bytes) -> FileStatus:
    """``HdfsFileStatusProto`` without its locations."""
    fields = read(raw)
    file_type = _FILE_TYPES.get(number(fields, 1))
    if file_type is None:
        raise RemoteProtocolError(f"a file status has the unknown type {number(fields, 1)}")
    length = signed(number(fields, 3))
    if length < 0:
        raise RemoteProtocolError(f"a file's length {length} is negative")
    return FileStatus(
        file_type=file_type,
        name=data(fields, 2),
        length=length,
        mode=number(required(fields, 4), 1) & _MODE_MASK,
        owner=text(fields, 5),
        group=text(fields, 6),
        modification_time_ms=signed(number(fields, 7)),
        access_time_ms=signed(number(fields, 8)),
        replication=number(fields, 10, 0) & 0xFFFFFFFF,
        block_size=signed(number(fields, 11, 0)),
        inode_id=signed(number(fields, 13, 0)),
        children=_int32(number(fields, 14, -1)),
        symlink=data(fields, 9, b""),
        storage_policy=number(fields, 16, 0) & 0xFFFFFFFF,
        flags=number(fields, 18, 0) & 0xFFFFFFFF,
    )


def _int32(value: int) -> int:
    low = value & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low


def file_info(raw: bytes) -> FileStatus | None:
    """``GetFileInfoResponseProto``; None: there is no such file."""
    parts = [part for part in read(raw).get(1, ()) if isinstance(part, bytes)]
    return file_status(b"".join(parts)) if parts else None


def listing(raw: bytes) -> tuple[tuple[FileStatus, ...], int] | None:
    """``GetListingResponseProto``: entries and how many remain; None: no such directory."""
    found = message(read(raw), 1)
    if found is None:
        return None
    entries = tuple(file_status(part) for part in found.get(1, ()) if isinstance(part, bytes))
    return entries, number(found, 2) & 0xFFFFFFFF


def result(raw: bytes) -> bool:
    """``required bool result = 1`` of mkdirs, delete, rename, setReplication."""
    return number(read(raw), 1) != 0


def content_summary(raw: bytes) -> ContentSummary:
    """``GetContentSummaryResponseProto``."""
    fields = required(read(raw), 1)
    return ContentSummary(
        length=signed(number(fields, 1)),
        file_count=signed(number(fields, 2)),
        directory_count=signed(number(fields, 3)),
        quota=signed(number(fields, 4)),
        space_consumed=signed(number(fields, 5)),
        space_quota=signed(number(fields, 6)),
        snapshot_length=signed(number(fields, 8, 0)),
        snapshot_file_count=signed(number(fields, 9, 0)),
        snapshot_directory_count=signed(number(fields, 10, 0)),
        snapshot_space_consumed=signed(number(fields, 11, 0)),
    )


def server_defaults(raw: bytes) -> FsServerDefaults:
    """``GetServerDefaultsResponseProto``."""
    fields = required(read(raw), 1)
    checksum_type = number(fields, 8, ChecksumType.CRC32)
    if checksum_type not in list(ChecksumType):
        # proto2: an enum's unknown number counts as unset.
        checksum_type = ChecksumType.CRC32
    return FsServerDefaults(
        block_size=signed(number(fields, 1)),
        bytes_per_checksum=number(fields, 2) & 0xFFFFFFFF,
        write_packet_size=number(fields, 3) & 0xFFFFFFFF,
        replication=number(fields, 4) & 0xFFFFFFFF,
        file_buffer_size=number(fields, 5) & 0xFFFFFFFF,
        encrypt_data_transfer=number(fields, 6, 0) != 0,
        trash_interval_min=signed(number(fields, 7, 0)),
        checksum_type=ChecksumType(checksum_type),
    )


def fs_stats(raw: bytes) -> tuple[int, int, int, int, int, int]:
    """``GetFsStatsResponseProto``: capacity, used, remaining; blocks under-replicated,
    corrupt, missing."""
    fields = read(raw)
    c, u, r, under, corrupt, missing = (number(fields, field) for field in range(1, 7))
    return c, u, r, under, corrupt, missing
