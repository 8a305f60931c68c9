"""The calls that make up nine tenths of a NameNode's load: getFileInfo, getListing,
getBlockLocations. They take the request's bytes and assemble the answer's bytes."""

from __future__ import annotations

from cairnfs.namenode.client_protocol import PROTOCOL
from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namespace.listing import get_listing
from cairnfs.namespace.locations import (
    FileBlocks,
    blocks_in_range,
    get_block_locations,
    known_file_blocks,
)
from cairnfs.namespace.records import unpack_inode
from cairnfs.namespace.status import stat_value
from cairnfs.types import Caller
from cairnfs.wire import namenode_answers as answers
from cairnfs.wire.codec import parse
from cairnfs.wire.namenode_requests import (
    block_locations_request,
    file_info_request,
    listing_request,
)
from cairnfs.wire.proto import client_namenode_pb2 as pb

TABLE = MethodTable(PROTOCOL)

_RANGE_ALL = 1 << 62
# What it takes to remember a file and each of its blocks.
_FILE_BYTES, _BLOCK_BYTES = 600, 400


@TABLE.raw("getFileInfo")
def get_file_info(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    view = system.views.namespace
    path = file_info_request(request)
    known = system.memory.directories.find(view, caller, path)
    if known is None:
        found = stat_value(system.namespace, view, caller, path)
        if found is None:
            return answers.EMPTY
        value, policy = found
    elif known[0] is None:
        return answers.EMPTY
    else:
        value, policy = known[0], known[1]
    return system.statuses.file_info(view, value, policy)


# Without symlinks a link's status is the status of what is there.
TABLE.raw("getFileLinkInfo")(get_file_info)


@TABLE.raw("getLocatedFileInfo")
def get_located_file_info(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    path = parse(pb.GetLocatedFileInfoRequestProto, request).src
    view = system.views.namespace
    found = stat_value(system.namespace, view, caller, path)
    if found is None:
        return answers.EMPTY
    value, policy = found
    inode = unpack_inode(value)
    located = None
    if inode.is_file:
        located = encode_blocks(system, blocks_in_range(view, inode, 0, _RANGE_ALL), caller)
    return answers.wrapped(system.statuses.located_status(view, value, b"", policy, located))


@TABLE.raw("getListing")
def list_directory(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    known = system.memory.listings.get(request, caller)
    if known is not None:
        return known
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
    view = system.views.namespace
    policy = page.storage_policy
    if page.blocks is None:
        halves = system.statuses.halves
        answer = answers.listing_of_halves(
            page.names, [halves(view, value, policy) for value in page.values], page.remaining
        )
        if page.directory_id:
            directory = page.directory_id.to_bytes(8, "big")
            system.memory.listings.keep(request, caller, directory, len(answer), answer)
        return answer
    entries = zip(page.names, page.values, page.blocks, strict=True)
    statuses = [
        system.statuses.located_status(
            view,
            value,
            name,
            policy,
            None if blocks is None else encode_blocks(system, blocks, caller),
        )
        for name, value, blocks in entries
    ]
    return answers.listing_response(statuses, page.remaining)


@TABLE.raw("getBlockLocations")
def locate_blocks(system: Namesystem, request: bytes, caller: Caller) -> bytes:
    found = system.memory.files.get(request, caller)
    if found is None:
        found = _find_blocks(system, request, caller)
    if system.clock.now_ms() > found.access_time_due_ms:
        system.touch_access_time(found.inode_id)
    return answers.wrapped(encode_blocks(system, found, caller))


def _find_blocks(system: Namesystem, request: bytes, caller: Caller) -> FileBlocks:
    path, offset, length = block_locations_request(request)
    namespace, view = system.namespace, system.views.namespace
    found = None
    known = system.memory.directories.find(view, caller, path)
    if known is not None and known[0] is not None:
        found = known_file_blocks(namespace, view, caller, known[0], offset, length)
    if found is None:
        found = get_block_locations(namespace, view, caller, path, offset, length)
    if not found.under_construction:
        size_bytes = _FILE_BYTES + _BLOCK_BYTES * len(found.blocks)
        subject = found.inode_id.to_bytes(8, "big")
        system.memory.files.keep(request, caller, subject, size_bytes, found)
    return found


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
