"""The calls that make up nine tenths of a NameNode's load: getFileInfo, getListing,
getBlockLocations. They take the request's bytes and assemble the answer's bytes."""

from __future__ import annotations

from cairnfs.namenode.client_protocol import PROTOCOL
from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namespace.listing import DirectoryPage, get_listing
from cairnfs.namespace.locations import FileBlocks, blocks_in_range, get_block_locations
from cairnfs.namespace.records import DIRECTORY, Inode, InodeRow
from cairnfs.namespace.status import stat_row
from cairnfs.types import Caller, FileType
from cairnfs.wire import namenode_answers as answers
from cairnfs.wire.codec import parse
from cairnfs.wire.namenode_requests import (
    block_locations_request,
    file_info_request,
    listing_request,
)
from cairnfs.wire.proto import client_namenode_pb2 as pb

TABLE = MethodTable(PROTOCOL)

_TYPES = {int(file_type): file_type for file_type in FileType}
_RANGE_ALL = 1 << 62


def encode_row(
    system: Namesystem, row: InodeRow, name: bytes, policy: int, located: bytes | None = None
) -> bytes:
    """``HdfsFileStatusProto`` of an inode. ``policy`` is what it inherits."""
    (
        inode_id,
        file_type,
        own_policy,
        mode,
        owner,
        group,
        replication,
        block_size,
        atime,
        mtime,
        length,
        entries,
        _,
        _,
    ) = row
    name_of = system.namespace.names.name
    view = system.views.namespace
    return answers.file_status(
        _TYPES[file_type],
        name,
        length,
        mode,
        name_of(view, owner),
        name_of(view, group),
        mtime,
        atime,
        replication,
        block_size,
        inode_id,
        entries if file_type == DIRECTORY else -1,
        b"",
        own_policy or policy,
        0,
        located,
    )


@TABLE.raw("getFileInfo")
def get_file_info(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    path = file_info_request(request)
    found = stat_row(system.namespace, system.views.namespace, caller, path)
    if found is None:
        return answers.EMPTY
    return answers.wrapped(encode_row(system, found[0], b"", found[1]))


# Without symlinks a link's status is the status of what is there.
TABLE.raw("getFileLinkInfo")(get_file_info)


@TABLE.raw("getLocatedFileInfo")
def get_located_file_info(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    path = parse(pb.GetLocatedFileInfoRequestProto, request).src
    view = system.views.namespace
    found = stat_row(system.namespace, view, caller, path)
    if found is None:
        return answers.EMPTY
    row, policy = found
    located = None
    if row[1] != DIRECTORY:
        located = encode_blocks(
            system, blocks_in_range(view, Inode._make(row), 0, _RANGE_ALL), caller
        )
    return answers.wrapped(encode_row(system, row, b"", policy, located))


@TABLE.raw("getListing")
def list_directory(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    path, start_after, with_blocks = listing_request(request)
    page = get_listing(
        system.namespace,
        system.views.namespace,
        caller,
        path,
        start_after,
        with_blocks=with_blocks,
    )
    if page is None:
        return answers.EMPTY
    return answers.listing_response(_encode_page(system, page, caller), page.remaining)


def _encode_page(system: Namesystem, page: DirectoryPage, caller: Caller) -> list[bytes]:
    policy = page.storage_policy
    if page.blocks is None:
        return [
            encode_row(system, row, name, policy)
            for name, row in zip(page.names, page.rows, strict=True)
        ]
    return [
        encode_row(
            system,
            row,
            name,
            policy,
            None if blocks is None else encode_blocks(system, blocks, caller),
        )
        for name, row, blocks in zip(page.names, page.rows, page.blocks, strict=True)
    ]


@TABLE.raw("getBlockLocations")
def locate_blocks(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    path, offset, length = block_locations_request(request)
    now_ms = system.clock.now_ms()
    found = get_block_locations(
        system.namespace, system.views.namespace, caller, path, offset, length, now_ms
    )
    if found.update_access_time:
        system.touch_access_time(found.inode_id)
    return answers.wrapped(encode_blocks(system, found, caller))


def encode_blocks(system: Namesystem, found: FileBlocks, caller: Caller) -> bytes:
    """``LocatedBlocksProto`` of blocks, each with who holds it, nearest first."""
    encode = system.encode_block
    address = caller.address
    blocks = [encode(block, address) for block in found.blocks]
    last = None
    if found.last is not None:
        same = found.blocks and found.blocks[-1].block_id == found.last.block_id
        last = blocks[-1] if same else encode(found.last, address)
    return answers.located_blocks(
        found.file_length, blocks, found.under_construction, last, found.is_last_complete
    )
