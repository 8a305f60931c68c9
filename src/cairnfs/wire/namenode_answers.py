"""The NameNode's hot answers, assembled from encoded fields instead of built as messages.

getFileInfo, getListing and getBlockLocations make up nine tenths of a NameNode's calls; each
status or located block that upb builds from keyword arguments costs 3-10 us. Here a field's
bytes are looked up or remembered and joined (measured, one core: a file status 2.0 us against
5.2, a block with three locations 1.5 us against 29). What comes out says the same as
protobuf's own serialisation does; fields of a repeated group may stand in another order.

All functions return message bytes without a length in front. Field numbers: ``hdfs.proto``
and ``client_namenode.proto``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from cairnfs.types import TOKEN_NONE, DatanodeInfo, FileStatus, FileType, StorageType, Token
from cairnfs.wire.codec_block import encode_token
from cairnfs.wire.codec_node import encode_datanode_info
from cairnfs.wire.message import serialize
from cairnfs.wire.rpc import encode_varint

# Varints in 14-bit steps: as the last two bytes, and as two bytes that go on. 1.3 MiB.
_LAST = [encode_varint(value) for value in range(1 << 14)]
_GOES_ON = [bytes((value & 0x7F | 0x80, value >> 7 | 0x80)) for value in range(1 << 14)]

# ``required bool result = 1`` of mkdirs, delete, rename, complete, setReplication, ...
RESULT_TRUE = b"\x08\x01"
RESULT_FALSE = b"\x08\x00"
EMPTY = b""

_REMEMBERED = 4096


def varint(value: int) -> bytes:
    """``value``, 0 to 2**64 - 1 (0.1-0.4 us; a loop takes 1 us for a time)."""
    if value < 0x4000:
        return _LAST[value]
    if value < 0x10000000:
        return _GOES_ON[value & 0x3FFF] + _LAST[value >> 14]
    if value < 1 << 42:
        return _GOES_ON[value & 0x3FFF] + _GOES_ON[value >> 14 & 0x3FFF] + _LAST[value >> 28]
    return _GOES_ON[value & 0x3FFF] + varint(value >> 14)


def _text_field(tag: bytes, text: str) -> bytes:
    data = text.encode()
    return tag + varint(len(data)) + data


@functools.lru_cache(maxsize=_REMEMBERED)
def _owner_fields(mode: int, owner: str, group: str) -> bytes:
    permission = b"\x08" + varint(mode)
    return (
        b"\x22"
        + varint(len(permission))
        + permission
        + _text_field(b"\x2a", owner)
        + _text_field(b"\x32", group)
    )


@functools.lru_cache(maxsize=_REMEMBERED)
def _layout_fields(replication: int, block_size: int) -> bytes:
    return b"\x50" + varint(replication) + b"\x58" + varint(block_size)


@functools.lru_cache(maxsize=_REMEMBERED)
def _policy_fields(storage_policy: int, flags: int) -> bytes:
    return b"\x80\x01" + varint(storage_policy) + b"\x90\x01" + varint(flags)


# childrenNum = -1 as an int32: ten bytes.
_NO_CHILDREN = b"\x70" + encode_varint((1 << 64) - 1)
# Where fields 12 and 9 go among the parts of a status.
_LOCATIONS_AT = 11
_SYMLINK_AT = 10
_TYPES = {type_: bytes((0x08, type_, 0x12)) for type_ in FileType}


def file_status(
    file_type: FileType,
    name: bytes,
    length: int,
    mode: int,
    owner: str,
    group: str,
    modification_time_ms: int,
    access_time_ms: int,
    replication: int,
    block_size: int,
    inode_id: int,
    children: int = -1,
    symlink: bytes = b"",
    storage_policy: int = 0,
    flags: int = 0,
    locations: bytes | None = None,
) -> bytes:
    """``HdfsFileStatusProto`` from the fields of :class:`FileStatus`, in its order.

    All numbers but ``children`` are >= 0. ``locations`` are those of :func:`located_blocks`."""
    modified, accessed = modification_time_ms, access_time_ms
    parts = [
        _TYPES[file_type],
        varint(len(name)),
        name,
        b"\x18",
        varint(length),
        _owner_fields(mode, owner, group),
        b"\x38",
        # Times between 1970-01-04 and 2109 without a call: 0.2 us less for both.
        _GOES_ON[modified & 0x3FFF] + _GOES_ON[modified >> 14 & 0x3FFF] + _LAST[modified >> 28]
        if 0x10000000 <= modified < 1 << 42
        else varint(modified),
        b"\x40",
        _GOES_ON[accessed & 0x3FFF] + _GOES_ON[accessed >> 14 & 0x3FFF] + _LAST[accessed >> 28]
        if 0x10000000 <= accessed < 1 << 42
        else varint(accessed),
        _layout_fields(replication, block_size),
        b"\x68",
        varint(inode_id),
        _NO_CHILDREN if children < 0 else b"\x70" + varint(children),
        _policy_fields(storage_policy, flags),
    ]
    if locations is not None:
        parts.insert(_LOCATIONS_AT, b"\x62" + varint(len(locations)) + locations)
    if file_type is FileType.SYMLINK:
        parts.insert(_SYMLINK_AT, b"\x4a" + varint(len(symlink)) + symlink)
    return b"".join(parts)


def file_status_of(status: FileStatus, locations: bytes | None = None) -> bytes:
    """``HdfsFileStatusProto`` from a value."""
    return file_status(
        status.file_type,
        status.name,
        status.length,
        status.mode,
        status.owner,
        status.group,
        status.modification_time_ms,
        status.access_time_ms,
        status.replication,
        status.block_size,
        status.inode_id,
        status.children,
        status.symlink,
        status.storage_policy,
        status.flags,
        locations,
    )


# A status in two halves, without the name that stands between them.
Halves = tuple[bytes, bytes]


def status_halves(status: bytes) -> Halves:
    """Take a :func:`file_status` of an empty name apart, to be given other names."""
    # Type (2 bytes), tag of the name, its length of 0, the rest.
    return status[:3], status[4:]


def named_status(halves: Halves, name: bytes) -> bytes:
    """``HdfsFileStatusProto`` of :func:`status_halves` under ``name``."""
    return b"".join((halves[0], varint(len(name)), name, halves[1]))


def listing_of_halves(
    names: Iterable[bytes], halves: Iterable[Halves], remaining: int = 0
) -> bytes:
    """``GetListingResponseProto`` of statuses whose halves are known (0.5 us an entry)."""
    parts: list[bytes] = []
    last = _LAST
    for name, (head, tail) in zip(names, halves, strict=True):
        # A name has at most 511 bytes and a tail some hundred: both varints are short.
        length = last[len(name)]
        size = len(head) + len(length) + len(name) + len(tail)
        parts += (b"\x0a", last[size], head, length, name, tail)
    parts += (b"\x10", varint(remaining))
    return wrapped(b"".join(parts))


def wrapped(body: bytes) -> bytes:
    """A message whose field 1 is the message ``body``.

    ``GetFileInfoResponseProto``, ``GetFileLinkInfoResponseProto``, ``CreateResponseProto``,
    ``AddBlockResponseProto``, ``GetBlockLocationsResponseProto``, ..."""
    return b"\x0a" + varint(len(body)) + body


def file_info_response(status: bytes | None) -> bytes:
    """``GetFileInfoResponseProto``; None: there is no such file."""
    return EMPTY if status is None else wrapped(status)


def listing_response(statuses: Iterable[bytes] | None, remaining: int = 0) -> bytes:
    """``GetListingResponseProto``; ``remaining`` entries follow; None: no such directory."""
    if statuses is None:
        return EMPTY
    parts: list[bytes] = []
    for status in statuses:
        parts += (b"\x0a", varint(len(status)), status)
    parts += (b"\x10", varint(remaining))
    return wrapped(b"".join(parts))


def pool_field(pool_id: str) -> bytes:
    """The block pool's id as :func:`located_block` takes it."""
    return _text_field(b"\x0a", pool_id)


@functools.lru_cache(maxsize=64)
def _token_field(token: Token) -> bytes:
    data = serialize(encode_token(token))
    return b"\x2a" + varint(len(data)) + data


_NO_TOKEN = _token_field(TOKEN_NONE)


def datanode_info(node: DatanodeInfo) -> bytes:
    """``DatanodeInfoProto``; keep it until a heartbeat changes the node."""
    return serialize(encode_datanode_info(node))


def location(
    node: bytes, storage_id: str, storage_type: StorageType, cached: bool = False
) -> bytes:
    """One replica's share of a ``LocatedBlockProto``, from :func:`datanode_info`.

    Node, cache mark, storage type and id belong to four repeated fields; that they stand
    together for each replica is as good, and lets all be kept as one piece."""
    return b"".join(
        (
            b"\x1a",
            varint(len(node)),
            node,
            b"\x32\x01\x01" if cached else b"\x32\x01\x00",
            b"\x38",
            varint(storage_type),
            _text_field(b"\x42", storage_id),
        )
    )


def located_block(
    pool: bytes,
    block_id: int,
    generation_stamp: int,
    num_bytes: int,
    offset: int,
    locations: Iterable[bytes],
    corrupt: bool = False,
    token: Token = TOKEN_NONE,
) -> bytes:
    """``LocatedBlockProto`` from :func:`pool_field` and :func:`location` pieces.

    ``offset`` is where the block starts in its file; all numbers are >= 0."""
    block = b"".join(
        (
            pool,
            b"\x10",
            varint(block_id),
            b"\x18",
            varint(generation_stamp),
            b"\x20",
            varint(num_bytes),
        )
    )
    return b"".join(
        (
            b"\x0a",
            varint(len(block)),
            block,
            b"\x10",
            varint(offset),
            *locations,
            b"\x20\x01" if corrupt else b"\x20\x00",
            _NO_TOKEN if token is TOKEN_NONE else _token_field(token),
        )
    )


def located_blocks(
    file_length: int,
    blocks: Sequence[bytes],
    under_construction: bool = False,
    last_block: bytes | None = None,
    is_last_block_complete: bool = True,
) -> bytes:
    """``LocatedBlocksProto`` from :func:`located_block` pieces."""
    parts = [b"\x08", varint(file_length)]
    for block in blocks:
        parts += (b"\x12", varint(len(block)), block)
    parts.append(b"\x18\x01" if under_construction else b"\x18\x00")
    if last_block is not None:
        parts += (b"\x22", varint(len(last_block)), last_block)
    parts.append(b"\x28\x01" if is_last_block_complete else b"\x28\x00")
    return b"".join(parts)


def block_locations_response(located: bytes | None) -> bytes:
    """``GetBlockLocationsResponseProto``; None: there is no such file."""
    return EMPTY if located is None else wrapped(located)
