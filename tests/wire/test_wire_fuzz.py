"""Every parser against garbage: a message or ``RemoteProtocolError``, nothing else.

Garbage is random bytes, and valid messages that were damaged: those get further."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import wire_values as values
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import ChecksumType
from cairnfs.wire import codec, namenode_requests
from cairnfs.wire.checksum import DataChecksum, verify
from cairnfs.wire.checksum_stream import ChecksumAccumulator
from cairnfs.wire.message import parse, serialize
from cairnfs.wire.packet import encode_packet_header, parse_packets
from cairnfs.wire.pipeline_ack import PipelineAck, encode_ack, parse_acks, success
from cairnfs.wire.proto import client_namenode_pb2 as cn
from cairnfs.wire.proto import hdfs_pb2 as hdfs
from cairnfs.wire.proto import hdfs_server_pb2 as server
from cairnfs.wire.transfer_codec import encode_request, parse_request
from cairnfs.wire.transfer_reply import (
    Status,
    encode_read_status,
    encode_response,
    parse_read_status,
    parse_response,
    parse_transfer_ack,
)

pytestmark = pytest.mark.requirement("A26")


def in_stream(parser: Callable[[Any, int, int], Any], data: bytes) -> Any:
    return parser(memoryview(data), 0, len(data))


def message(cls: Any, decode: Callable[[Any], Any], data: bytes) -> Any:
    return decode(parse(cls, data))


def statuses(data: bytes) -> Any:
    """What a client does with a listing."""
    listing = parse(cn.GetListingResponseProto, data).dirList
    return [codec.decode_file_status(status) for status in listing.partialListing]


def encoded(strategy: st.SearchStrategy[Any], encode: Callable[[Any], Any]) -> Any:
    return strategy.map(lambda value: serialize(encode(value)))


packets = st.builds(
    lambda seqno, offset, data, last: (
        encode_packet_header(seqno, offset, len(data), 0, is_last=last) + data
    ),
    values.longs,
    values.counts,
    st.binary(max_size=40),
    st.booleans(),
)
listing = encoded(
    st.lists(values.file_statuses, max_size=2),
    lambda items: cn.GetListingResponseProto(
        dirList=hdfs.DirectoryListingProto(
            partialListing=map(codec.encode_file_status, items), remainingEntries=0
        )
    ),
)
Parser = tuple[Callable[[bytes], Any], st.SearchStrategy[bytes]]
PARSERS: dict[str, Parser] = {
    "request": (partial(in_stream, parse_request), values.requests.map(encode_request)),
    "response": (partial(in_stream, parse_response), values.responses.map(encode_response)),
    "read status": (
        partial(in_stream, parse_read_status),
        st.sampled_from(Status).map(encode_read_status),
    ),
    "transfer ack": (
        partial(in_stream, parse_transfer_ack),
        st.sampled_from(Status).map(encode_read_status),
    ),
    "acks": (
        partial(in_stream, parse_acks),
        st.tuples(values.longs, st.integers(0, 4)).map(
            lambda pair: encode_ack(PipelineAck(pair[0], success(pair[1])))
        ),
    ),
    "packets": (partial(in_stream, parse_packets), packets),
    "file info request": (
        namenode_requests.file_info_request,
        values.texts.map(lambda src: serialize(cn.GetFileInfoRequestProto(src=src))),
    ),
    "listing request": (
        namenode_requests.listing_request,
        values.texts.map(
            lambda src: serialize(
                cn.GetListingRequestProto(src=src, startAfter=b"x", needLocation=True)
            )
        ),
    ),
    "block locations request": (
        namenode_requests.block_locations_request,
        values.texts.map(
            lambda src: serialize(
                cn.GetBlockLocationsRequestProto(src=src, offset=1, length=1 << 40)
            )
        ),
    ),
    "listing": (statuses, listing),
    "located blocks": (
        partial(message, hdfs.LocatedBlocksProto, codec.decode_located_blocks),
        encoded(values.located_blocks, codec.encode_located_blocks),
    ),
    "storage report": (
        partial(message, hdfs.StorageReportProto, codec.decode_storage_report),
        encoded(values.storage_reports, codec.encode_storage_report),
    ),
    "namespace info": (
        partial(message, server.NamespaceInfoProto, codec.decode_namespace_info),
        encoded(values.namespaces, codec.encode_namespace_info),
    ),
    "server defaults": (
        partial(message, hdfs.FsServerDefaultsProto, codec.decode_server_defaults),
        st.just(b""),
    ),
    "content summary": (
        partial(message, hdfs.ContentSummaryProto, codec.decode_content_summary),
        encoded(values.content_summaries, codec.encode_content_summary),
    ),
}

damage = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat"]),
        st.integers(0, 1 << 16),
        st.integers(0, 255),
    ),
    max_size=4,
)


def damaged(data: bytes, wounds: list[tuple[str, int, int]]) -> bytes:
    body = bytearray(data)
    for kind, where, value in wounds:
        at = where % (len(body) + 1)
        if kind == "cut":
            del body[at : at + value]
        elif kind == "insert":
            body[at:at] = bytes((value,))
        elif kind == "repeat":
            body[at:at] = body[: value + 1]
        elif at < len(body):
            body[at] ^= value
    return bytes(body)


def survives(parser: Callable[[bytes], Any], data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parser(data)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=120))
@settings(max_examples=30)
def test_random_bytes(name: str, data: bytes) -> None:
    survives(PARSERS[name][0], data)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data(), wounds=damage)
@settings(max_examples=30)
def test_damaged_messages(name: str, data: st.DataObject, wounds: list[Any]) -> None:
    parser, good = PARSERS[name]
    survives(parser, damaged(data.draw(good), wounds))


@given(
    data=st.binary(max_size=3000),
    sums=st.binary(max_size=40),
    step=st.sampled_from([1, 100, 512]),
    offset=st.integers(0, 600),
)
def test_checksums_of_any_data(data: bytes, sums: bytes, step: int, offset: int) -> None:
    checksum = DataChecksum(ChecksumType.CRC32C, step)
    survives(lambda data: verify(checksum, data, sums), data)
    stream = ChecksumAccumulator(checksum, DataChecksum(ChecksumType.CRC32C, 512), 300, 1)
    survives(lambda data: stream.add(offset, data, sums), data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x1c\x51\xff\xff\xff\xff\x07",
        b"\x00\x1c\x50\xff\xff\xff\x7f",
        b"\xff\xff\xff\xff\x07",
        b"\x7f\xff\xff\xff\x00\x19",
        b"\x00\xff\xff\x00\xff\xff",
    ],
)
def test_a_hostile_length_costs_no_memory(data: bytes) -> None:
    parsers = [parser for parser, _ in PARSERS.values()]
    for parser in parsers:
        survives(parser, data)
    tracemalloc.start()
    try:
        for parser in parsers:
            survives(parser, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
