"""Values to protobuf and back, and the fast paths against protobuf itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import wire_values as values
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnfs.errors import LocalProtocolError, RemoteProtocolError
from cairnfs.types import (
    ChecksumType,
    FileStatus,
    FileType,
    FsServerDefaults,
    LocatedBlock,
    LocatedBlocks,
)
from cairnfs.wire import codec, namenode_answers, namenode_requests, plain_codec
from cairnfs.wire.message import delimited_span, parse
from cairnfs.wire.proto import client_namenode_pb2 as cn
from cairnfs.wire.proto import hdfs_pb2 as hdfs
from cairnfs.wire.proto.acl_pb2 import FsPermissionProto
from cairnfs.wire.rpc import encode_varint

Codec = tuple[st.SearchStrategy[Any], Callable[[Any], Message], Callable[[Any], Any]]
CODECS: dict[str, Codec] = {
    "block": (values.blocks, codec.encode_block, codec.decode_block),
    "extended_block": (
        values.extended_blocks,
        codec.encode_extended_block,
        codec.decode_extended_block,
    ),
    "token": (values.tokens, codec.encode_token, codec.decode_token),
    "located_block": (
        values.located_block,
        codec.encode_located_block,
        codec.decode_located_block,
    ),
    "located_blocks": (
        values.located_blocks,
        codec.encode_located_blocks,
        codec.decode_located_blocks,
    ),
    "datanode_id": (values.datanode_ids, codec.encode_datanode_id, codec.decode_datanode_id),
    "datanode_info": (values.datanodes, codec.encode_datanode_info, codec.decode_datanode_info),
    "storage": (values.storages, codec.encode_datanode_storage, codec.decode_datanode_storage),
    "report": (values.storage_reports, codec.encode_storage_report, codec.decode_storage_report),
    "namespace": (values.namespaces, codec.encode_namespace_info, codec.decode_namespace_info),
    "file_status": (values.file_statuses, codec.encode_file_status, codec.decode_file_status),
    "summary": (
        values.content_summaries,
        codec.encode_content_summary,
        codec.decode_content_summary,
    ),
}


@pytest.mark.parametrize("name", CODECS)
@given(data=st.data())
@settings(max_examples=30)
def test_what_is_encoded_is_decoded(name: str, data: st.DataObject) -> None:
    strategy, encode, decode = CODECS[name]
    value = data.draw(strategy)
    message = encode(value)
    assert decode(parse(type(message), codec.serialize(message))) == value


def test_server_defaults() -> None:
    defaults = FsServerDefaults(1 << 27, 512, 65536, 3, 4096, False, 60, ChecksumType.CRC32C)
    assert codec.decode_server_defaults(codec.encode_server_defaults(defaults)) == defaults


# --- nonsense ------------------------------------------------------------------------------------

NODE = hdfs.DatanodeIDProto(
    ipAddr="127.0.0.1", hostName="a", datanodeUuid="u", xferPort=1, infoPort=2, ipcPort=3
)


def test_missing_fields_are_named() -> None:
    with pytest.raises(RemoteProtocolError, match=r"ExtendedBlockProto lacks .*poolId"):
        parse(hdfs.ExtendedBlockProto, b"")


def test_an_unknown_number_of_a_required_enum_is_refused() -> None:
    good = codec.serialize(hdfs.StorageTypeQuotaInfoProto(quota=1, consumed=2))
    assert parse(hdfs.StorageTypeQuotaInfoProto, good).quota == 1
    with pytest.raises(RemoteProtocolError, match="fileType"):
        parse(hdfs.HdfsFileStatusProto, b"\x08\x63")


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x01\xff",
        # A byte that only looks like the end of the string.
        b"\x0a\x02\xc3\x28",
        # A surrogate.
        b"\x0a\x03\xed\xa0\x80",
    ],
)
def test_strings_that_are_not_utf8_are_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="src is not UTF-8"):
        parse(cn.GetFileInfoRequestProto, body)
    with pytest.raises(RemoteProtocolError, match="src is not UTF-8"):
        namenode_requests.file_info_request(body)


def test_strings_in_nested_and_repeated_fields_are_looked_at() -> None:
    node = codec.serialize(NODE)
    bad = node.replace(b"127.0.0.1", b"127.0.0.\xff")
    info = b"\x0a" + encode_varint(len(bad)) + bad
    report = b"\x0a" + encode_varint(len(info)) + info
    with pytest.raises(RemoteProtocolError, match="ipAddr is not UTF-8"):
        parse(hdfs.DatanodeInfosProto, report)


def test_numbers_out_of_range_are_refused() -> None:
    wrong = hdfs.DatanodeIDProto()
    wrong.CopyFrom(NODE)
    wrong.xferPort = 65536
    with pytest.raises(RemoteProtocolError, match="xferPort 65536"):
        codec.decode_datanode_id(wrong)
    status = codec.encode_file_status(FileStatus(FileType.FILE, b"", 0, 0, "", "", 0, 0, 0, 0, 0))
    status.length = 1 << 63
    with pytest.raises(RemoteProtocolError, match="negative"):
        codec.decode_file_status(status)


@pytest.mark.requirement("F01")
@pytest.mark.parametrize("above", [0o2000, 1 << 12, 1 << 16, 1 << 31])
def test_what_stands_above_a_mode_is_passed_over(above: int) -> None:
    assert codec.decode_permission(FsPermissionProto(perm=above | 0o1755)) == 0o1755
    status = codec.encode_file_status(
        FileStatus(FileType.DIRECTORY, b"", 0, 0, "", "", 0, 0, 0, 0, 0)
    )
    status.permission.perm = above | 0o1755
    assert codec.decode_file_status(status).mode == 0o1755
    assert plain_codec.file_status(status.SerializeToString()).mode == 0o1755


@given(located=values.located_block.filter(lambda located: len(located.locations) > 1))
@settings(max_examples=20)
def test_lists_that_do_not_go_together_are_refused(located: LocatedBlock) -> None:
    for field in ("storageIDs", "storageTypes"):
        message = codec.encode_located_block(located)
        getattr(message, field).pop()
        with pytest.raises(RemoteProtocolError):
            codec.decode_located_block(message)
    message = codec.encode_located_block(located)
    message.isCached.append(True)
    with pytest.raises(RemoteProtocolError):
        codec.decode_located_block(message)
    # Old peers send neither.
    message = codec.encode_located_block(located)
    del message.storageIDs[:], message.storageTypes[:], message.isCached[:]
    assert codec.decode_located_block(message).locations == located.locations


def test_an_unfinished_message_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        codec.serialize(hdfs.ExtendedBlockProto(poolId="a"))


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=3))
def test_varints_in_a_stream(value: int, rest: bytes) -> None:
    data = encode_varint(value)
    assert namenode_answers.varint(value) == data
    if value < 1 << 20:
        body = data + bytes(value) + rest
        start = len(data)
        assert delimited_span(body, 0, len(body), 1 << 20) == (start, start + value)
        for cut in range(start + min(value, 3)):
            if cut < start + value:
                assert delimited_span(body, 0, cut, 1 << 20) is None
    else:
        with pytest.raises(RemoteProtocolError):
            delimited_span(data, 0, len(data), 1 << 20)


# --- assembled answers and fast requests ----------------------------------------------------------


@given(status=values.file_statuses, located=st.none() | values.located_blocks)
def test_an_assembled_status_is_protobufs(
    status: FileStatus, located: LocatedBlocks | None
) -> None:
    message = codec.encode_file_status(status, located)
    locations = codec.serialize(message.locations) if located is not None else None
    fast = namenode_answers.file_status_of(status, locations)
    assert fast == codec.serialize(message)
    response = parse(cn.GetFileInfoResponseProto, namenode_answers.file_info_response(fast))
    assert response.fs == message


@given(statuses=st.lists(values.file_statuses, max_size=5), remaining=values.small)
@settings(max_examples=30)
def test_an_assembled_listing_is_protobufs(statuses: list[FileStatus], remaining: int) -> None:
    pieces = list(map(namenode_answers.file_status_of, statuses))
    listing = hdfs.DirectoryListingProto(
        partialListing=map(codec.encode_file_status, statuses), remainingEntries=remaining
    )
    expected = codec.serialize(cn.GetListingResponseProto(dirList=listing))
    assert namenode_answers.listing_response(pieces, remaining) == expected


def test_what_is_not_there_is_an_empty_answer() -> None:
    assert codec.serialize(cn.GetListingResponseProto()) == namenode_answers.listing_response(None)
    assert not namenode_answers.file_info_response(None)
    assert not namenode_answers.block_locations_response(None)
    assert codec.serialize(cn.MkdirsResponseProto(result=True)) == namenode_answers.RESULT_TRUE
    assert codec.serialize(cn.DeleteResponseProto(result=False)) == namenode_answers.RESULT_FALSE


def _assembled(located: LocatedBlock) -> bytes:
    block = located.block
    return namenode_answers.located_block(
        namenode_answers.pool_field(block.pool_id),
        block.block_id,
        block.generation_stamp,
        block.num_bytes,
        located.offset,
        [
            namenode_answers.location(namenode_answers.datanode_info(node), id_, type_, cached)
            for node, id_, type_, cached in zip(
                located.locations,
                located.storage_ids,
                located.storage_types,
                located.cached,
                strict=True,
            )
        ],
        located.corrupt,
        located.token,
    )


positive = values.located_block.filter(
    lambda located: (
        min(located.block.block_id, located.block.generation_stamp, located.block.num_bytes) >= 0
    )
)


@given(blocks=st.lists(positive, max_size=2), last=st.none() | positive, length=values.counts)
@settings(max_examples=30)
def test_assembled_locations_mean_the_same(
    blocks: list[LocatedBlock], last: LocatedBlock | None, length: int
) -> None:
    located = LocatedBlocks(length, tuple(blocks), last is None, last, last is not None)
    fast = namenode_answers.block_locations_response(
        namenode_answers.located_blocks(
            length,
            list(map(_assembled, blocks)),
            last is None,
            None if last is None else _assembled(last),
            last is not None,
        )
    )
    message = parse(cn.GetBlockLocationsResponseProto, fast)
    assert message.locations == codec.encode_located_blocks(located)


@given(src=values.texts | st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_file_info_requests(src: str) -> None:
    body = codec.serialize(cn.GetFileInfoRequestProto(src=src))
    assert namenode_requests.file_info_request(body) == src


@given(src=values.texts, after=st.binary(max_size=200), need=st.booleans())
def test_listing_requests(src: str, after: bytes, need: bool) -> None:
    request = cn.GetListingRequestProto(src=src, startAfter=after, needLocation=need)
    body = codec.serialize(request)
    assert namenode_requests.listing_request(body) == (src, after, need)
    # Any other order of the fields means the same.
    other = body[-2:] + body[:-2]
    assert namenode_requests.listing_request(other) == (src, after, need)


@given(src=values.texts, offset=values.counts, length=values.counts)
def test_block_locations_requests(src: str, offset: int, length: int) -> None:
    request = cn.GetBlockLocationsRequestProto(src=src, offset=offset, length=length)
    found = namenode_requests.block_locations_request(codec.serialize(request))
    assert found == (src, offset, length)
    request.offset = 1 << 63
    with pytest.raises(RemoteProtocolError):
        namenode_requests.block_locations_request(codec.serialize(request))
