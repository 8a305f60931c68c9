"""Messages put together and taken apart by hand, against protobuf itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import FileStatus, FileType
from cairnfs.wire import codec, namenode_answers, plain, plain_codec
from cairnfs.wire.message import parse
from cairnfs.wire.proto import client_namenode_pb2 as nn
from cairnfs.wire.proto import hdfs_pb2
from cairnfs.wire.proto.rpc_header_pb2 import RpcResponseHeaderProto

NUMBERS = st.integers(0, (1 << 63) - 1)
SMALL = st.integers(0, (1 << 32) - 1)
TEXTS = st.text(max_size=30)


@st.composite
def statuses(draw: st.DrawFn) -> FileStatus:
    kind = draw(st.sampled_from(FileType))
    return FileStatus(
        file_type=kind,
        name=draw(st.binary(max_size=30)),
        length=draw(NUMBERS),
        mode=draw(st.integers(0, 0o1777)),
        owner=draw(TEXTS),
        group=draw(TEXTS),
        modification_time_ms=draw(NUMBERS),
        access_time_ms=draw(NUMBERS),
        replication=draw(SMALL),
        block_size=draw(NUMBERS),
        inode_id=draw(NUMBERS),
        children=draw(st.integers(-1, (1 << 31) - 1)),
        symlink=draw(st.binary(max_size=30)) if kind is FileType.SYMLINK else b"",
        storage_policy=draw(SMALL),
        flags=draw(SMALL),
    )


@given(st.lists(statuses(), max_size=5), SMALL)
def test_listings_say_the_same_as_protobufs(entries: list[FileStatus], remaining: int) -> None:
    raw = namenode_answers.listing_response(
        map(namenode_answers.file_status_of, entries), remaining
    )
    assert plain_codec.listing(raw) == (tuple(entries), remaining)
    message = parse(nn.GetListingResponseProto, raw)
    assert tuple(map(codec.decode_file_status, message.dirList.partialListing)) == tuple(entries)


@given(st.none() | statuses())
def test_file_info(status: FileStatus | None) -> None:
    answer = nn.GetFileInfoResponseProto()
    if status is not None:
        answer.fs.CopyFrom(codec.encode_file_status(status))
    assert plain_codec.file_info(answer.SerializeToString()) == status


def test_what_is_left_out_is_what_protobuf_takes_it_for() -> None:
    bare = hdfs_pb2.HdfsFileStatusProto(
        fileType=2,  # type: ignore[arg-type]
        path=b"",
        length=0,
        permission=codec.encode_permission(0o644),
        owner="",
        group="",
        modification_time=0,
        access_time=0,
    )
    raw = bare.SerializeToString()
    assert plain_codec.file_status(raw) == codec.decode_file_status(bare)
    assert plain_codec.listing(b"") is None
    for number in range(1, 9):
        partial = hdfs_pb2.HdfsFileStatusProto.FromString(raw)
        partial.ClearField(partial.DESCRIPTOR.fields_by_number[number].name)
        with pytest.raises(RemoteProtocolError):
            plain_codec.file_status(partial.SerializePartialToString())


@given(st.lists(NUMBERS, min_size=10, max_size=10))
def test_content_summary(numbers: list[int]) -> None:
    names = (
        *("length", "fileCount", "directoryCount", "quota", "spaceConsumed", "spaceQuota"),
        *("snapshotLength", "snapshotFileCount", "snapshotDirectoryCount"),
        "snapshotSpaceConsumed",
    )
    summary = hdfs_pb2.ContentSummaryProto(**dict(zip(names, numbers, strict=True)))
    raw = nn.GetContentSummaryResponseProto(summary=summary).SerializeToString()
    assert plain_codec.content_summary(raw) == codec.decode_content_summary(summary)


def test_server_defaults_and_space() -> None:
    defaults = hdfs_pb2.FsServerDefaultsProto(
        blockSize=1 << 40, bytesPerChecksum=512, writePacketSize=65536, replication=3,
        fileBufferSize=4096, encryptDataTransfer=True, trashInterval=1440, checksumType=2,  # type: ignore[arg-type]
        keyProviderUri="x", policyId=7,
    )  # fmt: skip
    for each in (defaults, hdfs_pb2.FsServerDefaultsProto.FromString(defaults.SerializeToString())):
        raw = nn.GetServerDefaultsResponseProto(serverDefaults=each).SerializeToString()
        assert plain_codec.server_defaults(raw) == codec.decode_server_defaults(each)
        each.ClearField("checksumType")
        raw = nn.GetServerDefaultsResponseProto(serverDefaults=each).SerializeToString()
        assert plain_codec.server_defaults(raw) == codec.decode_server_defaults(each)
    stats = nn.GetFsStatsResponseProto(
        capacity=1, used=2, remaining=3, under_replicated=4, corrupt_blocks=5, missing_blocks=6,
        missing_repl_one_blocks=7,
    )  # fmt: skip
    assert plain_codec.fs_stats(stats.SerializeToString()) == (1, 2, 3, 4, 5, 6)


@given(st.integers(0, (1 << 64) - 1), st.integers(1, (1 << 29) - 1), st.binary(max_size=300))
def test_fields_there_and_back(value: int, number: int, data: bytes) -> None:
    raw = plain.number_field(number, value) + plain.bytes_field(number, data)
    assert plain.read(raw) == {number: [value, data]}


@given(SMALL, st.integers(-1, 1 << 30), st.binary(max_size=16), TEXTS)
def test_rpc_headers(call_id: int, retry: int, client_id: bytes, text: str) -> None:
    header = RpcResponseHeaderProto(
        callId=call_id, status=1, serverIpcVersionNum=9, exceptionClassName="java.X",  # type: ignore[arg-type]
        errorMsg=text, clientId=client_id, retryCount=retry, stateId=-1,
    )  # fmt: skip
    fields = plain.read(header.SerializeToString())
    assert (plain.number(fields, 1), plain.number(fields, 2)) == (call_id, 1)
    assert plain.text(fields, 5, "") == text
    assert plain.signed(plain.number(fields, 9)) == -1


def test_what_is_not_known_is_skipped() -> None:
    fixed = b"\x29" + bytes(8) + b"\x35" + bytes(4)
    # Field 9 as a group with a number, bytes and another group within.
    group = b"\x4b\x08\x05\x12\x01x\x53\x54" + b"\x4c"
    raw = fixed + group + plain.number_field(1, 7) + plain.bytes_field(2, b"y")
    assert plain.number(plain.read(raw), 1) == 7
    assert plain.data(plain.read(raw), 2) == b"y"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x08", b"\x08\x80", b"\x08" + b"\xff" * 10 + b"\x01", b"\x12\x05abc", b"\x09\x01",
        b"\x0d\x01", b"\x0e", b"\x0f", b"\x00\x01", b"\x0c", b"\x4b", b"\x4b\x54", b"\x4b" * 500,
    ],
)  # fmt: skip
@pytest.mark.requirement("A26")
def test_broken_messages_are_refused(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        plain.read(raw)


READERS: list[Callable[[bytes], Any]] = [
    plain_codec.file_status, plain_codec.file_info, plain_codec.listing, plain_codec.result,
    plain_codec.content_summary, plain_codec.server_defaults, plain_codec.fs_stats,
]  # fmt: skip


@given(st.sampled_from(READERS), st.binary(max_size=200))
@pytest.mark.requirement("A26")
def test_any_bytes_are_a_value_or_refused(reader: Callable[[bytes], Any], raw: bytes) -> None:
    try:
        reader(raw)
    except RemoteProtocolError:
        pass


@given(statuses(), st.data())
@pytest.mark.requirement("A26")
def test_damaged_answers_are_a_value_or_refused(status: FileStatus, data: st.DataObject) -> None:
    raw = bytearray(namenode_answers.listing_response([namenode_answers.file_status_of(status)]))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for reader in (plain_codec.listing, plain_codec.file_info):
        for piece in (bytes(raw), bytes(raw[:cut])):
            try:
                reader(piece)
            except RemoteProtocolError:
                pass


def _by_protobuf(raw: bytes) -> Any:
    message = parse(nn.GetFileInfoResponseProto, raw)
    return codec.decode_file_status(message.fs) if message.HasField("fs") else None


@given(statuses(), st.data())
@pytest.mark.requirement("A26")
def test_what_protobuf_understands_is_understood_alike(
    status: FileStatus, data: st.DataObject
) -> None:
    raw = bytearray(namenode_answers.file_info_response(namenode_answers.file_status_of(status)))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = _by_protobuf(bytes(raw))
    except RemoteProtocolError:
        return
    assert plain_codec.file_info(bytes(raw)) == expected
