"""What real peers said (golden/README.md), read and said again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cairnfs.types import ChecksumType, FileType
from cairnfs.wire import codec, namenode_answers, namenode_requests, rpc
from cairnfs.wire.block_checksum import (
    EMPTY_FILE,
    BlockDigest,
    file_composite_crc,
    file_md5,
)
from cairnfs.wire.checksum import BlockChecksumType, DataChecksum, compute, verify
from cairnfs.wire.checksum_stream import ChecksumAccumulator
from cairnfs.wire.packet import Packet, encode_packet_header, parse_packets
from cairnfs.wire.pipeline_ack import encode_ack, parse_acks
from cairnfs.wire.proto import client_namenode_pb2 as cn
from cairnfs.wire.proto import datanode_pb2 as dn
from cairnfs.wire.rpc import encode_varint
from cairnfs.wire.transfer import BlockChecksum, ReadBlock, Request, Stage, WriteBlock
from cairnfs.wire.transfer_codec import encode_request, parse_request
from cairnfs.wire.transfer_reply import (
    Status,
    encode_read_status,
    encode_response,
    parse_read_status,
    parse_response,
)

GOLDEN = Path(__file__).parent / "golden"
DATA = hashlib.shake_128(b"cairn golden").digest(20_000)
FILE = DATA + DATA[:3000]
TRANSFERS = sorted(path.stem for path in GOLDEN.glob("*_datanode_*.c2s"))
RPCS = sorted(path.stem for path in GOLDEN.glob("*_namenode_*.c2s"))


def sent(name: str) -> bytes:
    return (GOLDEN / f"{name}.c2s").read_bytes()


def received(name: str) -> bytes:
    return (GOLDEN / f"{name}.s2c").read_bytes()


def request_of(name: str) -> tuple[Request, bytes]:
    """The first request of a connection and what the client sent after it."""
    data = sent(name)
    found = parse_request(data, 0, len(data))
    assert found is not None
    return found[0], data[found[1] :]


def packets_of(data: bytes) -> list[Packet]:
    packets, left, _ = parse_packets(memoryview(data), 0, len(data))
    assert left == len(data)
    return packets


def test_there_are_recordings_of_both_clients() -> None:
    assert len(TRANSFERS) == 22
    assert {name.split("_")[0] for name in TRANSFERS} == {"java", "native"}
    assert len(RPCS) >= 20


@pytest.mark.requirement("F01")
@pytest.mark.parametrize("name", TRANSFERS)
def test_requests_come_in_and_go_out_again(name: str) -> None:
    data = sent(name)
    request, rest = request_of(name)
    again = encode_request(request)
    assert parse_request(again, 0, len(again)) == (request, len(again))
    if name.startswith("java_"):
        # hdfs-native leaves defaults away; Java and we spell them out.
        assert again == data[: len(data) - len(rest)]


@pytest.mark.parametrize("name", TRANSFERS)
def test_first_answers_are_byte_for_byte_hadoops(name: str) -> None:
    data = received(name)
    found = parse_response(data, 0, len(data))
    assert found is not None
    response, stop = found
    assert response.is_success
    assert encode_response(response) == data[:stop]


@pytest.mark.parametrize(
    ("name", "stage", "start", "chunk", "type_", "content"),
    [
        ("java_put", Stage.PIPELINE_SETUP_CREATE, 0, 512, ChecksumType.CRC32C, DATA),
        ("native_put", Stage.PIPELINE_SETUP_CREATE, 0, 512, ChecksumType.CRC32C, DATA),
        ("java_append", Stage.PIPELINE_SETUP_APPEND, 20_000, 512, ChecksumType.CRC32C, DATA[:3000]),
        (
            "native_append",
            Stage.PIPELINE_SETUP_APPEND,
            20_000,
            512,
            ChecksumType.CRC32C,
            DATA[:3000],
        ),
        ("java_crc32", Stage.PIPELINE_SETUP_CREATE, 0, 1024, ChecksumType.CRC32, DATA[:5000]),
    ],
)
def test_writes(
    name: str, stage: Stage, start: int, chunk: int, type_: ChecksumType, content: bytes
) -> None:
    name += "_datanode_0"
    request, rest = request_of(name)
    assert isinstance(request, WriteBlock)
    assert (request.stage, request.pipeline_size, request.targets) == (stage, 1, ())
    assert request.checksum == DataChecksum(type_, chunk)
    assert request.client_name
    assert not request.is_datanode
    packets = packets_of(rest)
    assert b"".join(packet.data for packet in packets) == content
    assert [packet.seqno for packet in packets] == list(range(len(packets)))
    offset = start
    for packet in packets:
        assert packet.offset == offset
        assert verify(request.checksum, packet.data, packet.sums) is None
        header = encode_packet_header(
            packet.seqno,
            packet.offset,
            len(packet.data),
            len(packet.sums),
            packet.is_last,
            packet.sync,
        )
        whole = rest[packet.start : packet.stop]
        assert header + bytes(packet.sums) + bytes(packet.data) == whole
        offset += len(packet.data)
    assert [packet.is_last for packet in packets] == [False] * (len(packets) - 1) + [True]
    answers = received(name)
    found = parse_response(answers, 0, len(answers))
    assert found is not None
    acks, left = parse_acks(answers, found[1], len(answers))
    assert left == len(answers)
    assert [ack.seqno for ack in acks] == [packet.seqno for packet in packets]
    assert all(ack.is_success and len(ack.replies) == 1 for ack in acks)
    assert b"".join(map(encode_ack, acks)) == answers[found[1] :]


@pytest.mark.parametrize(
    ("name", "offset", "length", "content"),
    [
        ("java_get", 0, 20_000, DATA),
        ("native_get", 0, 20_000, DATA),
        ("java_tail", 21_976, 1024, FILE),
        ("native_pread", 7000, 1000, DATA),
    ],
)
def test_reads(name: str, offset: int, length: int, content: bytes) -> None:
    name += "_datanode_0"
    request, rest = request_of(name)
    assert isinstance(request, ReadBlock)
    assert (request.offset, request.length) == (offset, length)
    assert request.send_checksums
    answers = received(name)
    found = parse_response(answers, 0, len(answers))
    assert found is not None
    info = found[0].read_checksum
    assert info is not None
    # Packets start on the chunk boundary before what was asked for and end on the next.
    assert info.chunk_offset == offset // 512 * 512
    packets = packets_of(answers[found[1] :])
    for packet in packets:
        assert verify(info.checksum, packet.data, packet.sums) is None
    data = b"".join(packet.data for packet in packets)
    assert data == content[info.chunk_offset : info.chunk_offset + len(data)]
    assert packets[-1].is_last
    if rest:
        assert parse_read_status(rest, 0, len(rest)) == (Status.CHECKSUM_OK, len(rest))
        assert encode_read_status(Status.CHECKSUM_OK) == rest


@pytest.mark.parametrize("kind", BlockChecksumType)
def test_block_checksums(kind: BlockChecksumType) -> None:
    step = {BlockChecksumType.MD5CRC: "checksum", BlockChecksumType.COMPOSITE_CRC: "composite"}
    name = f"java_{step[kind]}_datanode_0"
    request, _ = request_of(name)
    assert isinstance(request, BlockChecksum)
    assert request.kind is kind
    assert request.block.num_bytes == len(FILE)
    answer = received(name)
    found = parse_response(answer, 0, len(answer))
    assert found is not None
    reply = found[0].checksum_reply
    assert reply is not None
    digest = BlockDigest(kind, DataChecksum(ChecksumType.CRC32C, 512))
    digest.add_data(FILE)
    assert reply.block_checksum == digest.digest()
    assert (reply.bytes_per_crc, reply.crc_per_block) == (512, digest.chunks)


def test_file_checksums_are_those_that_the_shell_printed() -> None:
    checksum = DataChecksum(ChecksumType.CRC32C, 512)

    def block(kind: BlockChecksumType, data: bytes) -> bytes:
        digest = BlockDigest(kind, checksum)
        digest.add_data(data)
        return digest.digest()

    md5, composite = BlockChecksumType.MD5CRC, BlockChecksumType.COMPOSITE_CRC
    blocks = [DATA[at : at + 4096] for at in range(0, len(DATA), 4096)]
    ours = [
        ("/golden/java", file_md5(checksum, 0, [block(md5, FILE)])),
        ("/golden/blocks", file_md5(checksum, 8, [block(md5, part) for part in blocks])),
        ("/golden/empty", EMPTY_FILE),
        (
            "/golden/java",
            file_composite_crc(checksum.type, [(block(composite, FILE), len(FILE))]),
        ),
    ]
    printed = (GOLDEN / "checksums.txt").read_text()
    assert printed == "".join(f"{path}\t{value}\n" for path, value in ours)


@pytest.mark.parametrize(
    ("name", "start", "content"),
    [
        ("java_put", 0, DATA),
        ("native_hsync", 0, DATA[:1500]),
        ("java_append", 20_000, FILE),
        ("native_append", 20_000, FILE),
        ("java_crc32", 0, DATA[:5000]),
    ],
)
@pytest.mark.requirement("A16")
def test_recorded_packets_fold_into_checksums_at_rest(
    name: str, start: int, content: bytes
) -> None:
    request, rest = request_of(f"{name}_datanode_0")
    assert isinstance(request, WriteBlock)
    at_rest = DataChecksum(request.checksum.type, 8192)
    head = content[start // 8192 * 8192 : start]
    crc = int.from_bytes(compute(at_rest, head) or b"\0", "big")
    stream = ChecksumAccumulator(request.checksum, at_rest, start, crc)
    block = bytearray(content[:start])
    for packet in packets_of(rest):
        stream.add(packet.offset, packet.data, packet.sums)
        block[packet.offset :] = packet.data
    assert block == content
    assert stream.finish() == (start // 8192, compute(at_rest, content[start // 8192 * 8192 :]))


# --- RPC: bodies of the hot calls ----------------------------------------------------------------


def messages(data: bytes) -> list[bytes]:
    """The varint-delimited messages of one RPC frame."""
    found, position = [], 0
    while position < len(data):
        message, position = rpc.delimited(data, position, len(data))
        found.append(message)
    return found


def frames(data: bytes) -> list[list[bytes]]:
    buffer, spans = rpc.FrameBuffer(1 << 20).frames(data)
    return [messages(buffer[start:end]) for start, end in spans]


def calls(name: str, method: bytes) -> list[tuple[bytes, bytes]]:
    """(Request body, response body) of the calls of one method."""
    from cairnfs.wire.proto.rpc_header_pb2 import RpcRequestHeaderProto, RpcResponseHeaderProto

    bodies: dict[int, bytes] = {}
    for frame in frames(received(name)):
        header = RpcResponseHeaderProto.FromString(frame[0])
        if header.status == RpcResponseHeaderProto.SUCCESS:
            bodies[header.callId] = frame[1]
    return [
        (frame[2], bodies[RpcRequestHeaderProto.FromString(frame[0]).callId])
        for frame in frames(sent(name)[rpc.CONNECTION_HEADER_BYTES :])
        if len(frame) == 3 and method in frame[1]
    ]


def every_call(method: bytes) -> list[tuple[bytes, bytes]]:
    return [call for name in RPCS if "error" not in name for call in calls(name, method)]


def test_file_info_as_apaches_namenode_says_it() -> None:
    found = every_call(b"getFileInfo")
    assert len(found) > 10
    for request, response in found:
        expected = cn.GetFileInfoRequestProto.FromString(request)
        assert namenode_requests.file_info_request(request) == expected.src
        message = codec.parse(cn.GetFileInfoResponseProto, response)
        if not message.HasField("fs"):
            assert namenode_answers.file_info_response(None) == response == b""
            continue
        status = codec.decode_file_status(message.fs)
        assert status.owner == "cairn"
        fast = namenode_answers.file_status_of(status)
        assert namenode_answers.file_info_response(fast) == response
        assert codec.serialize(codec.encode_file_status(status)) == fast


def test_listings_as_apaches_namenode_says_them() -> None:
    found = every_call(b"getListing")
    assert len(found) >= 2
    for request, response in found:
        wanted = cn.GetListingRequestProto.FromString(request)
        assert namenode_requests.listing_request(request) == (
            wanted.src,
            wanted.startAfter,
            wanted.needLocation,
        )
        listing = codec.parse(cn.GetListingResponseProto, response).dirList
        statuses = [codec.decode_file_status(status) for status in listing.partialListing]
        assert {status.file_type for status in statuses} == {FileType.DIRECTORY, FileType.FILE}
        fast = map(namenode_answers.file_status_of, statuses)
        assert namenode_answers.listing_response(fast, listing.remainingEntries) == response


def test_block_locations_as_apaches_namenode_says_them() -> None:
    found = every_call(b"getBlockLocations")
    assert len(found) >= 5
    for request, response in found:
        wanted = cn.GetBlockLocationsRequestProto.FromString(request)
        asked = namenode_requests.block_locations_request(request)
        assert asked == (wanted.src, wanted.offset, wanted.length)
        message = codec.parse(cn.GetBlockLocationsResponseProto, response)
        located = codec.decode_located_blocks(message.locations)
        for block in located.blocks:
            assert [node.id.host_name for node in block.locations] == ["127.0.0.5"]
        assert codec.decode_located_blocks(codec.encode_located_blocks(located)) == located
        pieces = []
        for block in located.blocks:
            node = namenode_answers.datanode_info(block.locations[0])
            place = namenode_answers.location(node, block.storage_ids[0], block.storage_types[0])
            pieces.append(
                namenode_answers.located_block(
                    namenode_answers.pool_field(block.block.pool_id),
                    block.block.block_id,
                    block.block.generation_stamp,
                    block.block.num_bytes,
                    block.offset,
                    [place],
                )
            )
        fast = namenode_answers.block_locations_response(
            namenode_answers.located_blocks(
                located.file_length,
                pieces,
                located.under_construction,
                pieces[-1] if pieces else None,
                located.is_last_block_complete,
            )
        )
        again = codec.parse(cn.GetBlockLocationsResponseProto, fast)
        assert codec.decode_located_blocks(again.locations) == located


def test_server_defaults_and_summary_survive() -> None:
    ((_, response), *_) = every_call(b"getServerDefaults")
    message = codec.parse(cn.GetServerDefaultsResponseProto, response)
    defaults = codec.decode_server_defaults(message.serverDefaults)
    assert defaults.checksum_type is ChecksumType.CRC32C
    assert codec.encode_server_defaults(defaults) == message.serverDefaults
    ((_, response), *_) = every_call(b"getContentSummary")
    summary = codec.parse(cn.GetContentSummaryResponseProto, response).summary
    totals = codec.decode_content_summary(summary)
    assert (totals.length, totals.quota, totals.space_quota) == (48_000, -1, -1)
    assert codec.decode_content_summary(codec.encode_content_summary(totals)) == totals


def test_what_a_datanode_says_of_itself() -> None:
    name = "java_register_namenode_0"
    ((_, response),) = calls(name, b"versionRequest")
    # hdfs_server.proto: VersionResponseProto.
    from cairnfs.wire.proto.hdfs_server_pb2 import VersionResponseProto

    version = codec.parse(VersionResponseProto, response)
    namespace = codec.decode_namespace_info(version.info)
    assert namespace.layout_version < 0
    again = codec.encode_namespace_info(namespace, version.info.capabilities, version.info.state)
    assert again == version.info
    ((request, _),) = calls(name, b"registerDatanode")
    registration = codec.parse(dn.RegisterDatanodeRequestProto, request).registration
    node = codec.decode_datanode_id(registration.datanodeID)
    assert codec.encode_datanode_id(node) == registration.datanodeID
    storage = codec.decode_storage_info(registration.storageInfo)
    assert storage.cluster_id == namespace.cluster_id
    assert codec.encode_storage_info(storage) == registration.storageInfo
    beats = calls(name, b"sendHeartbeat")
    assert len(beats) > 3
    for request, _ in beats:
        for report in codec.parse(dn.HeartbeatRequestProto, request).reports:
            value = codec.decode_storage_report(report)
            assert value.capacity > 0
            assert codec.decode_storage_report(codec.encode_storage_report(value)) == value
    for request, _ in calls(name, b"blockReceivedAndDeleted"):
        for group in codec.parse(dn.BlockReceivedAndDeletedRequestProto, request).blocks:
            for info in group.blocks:
                block = codec.decode_block(info.block)
                assert codec.encode_block(block) == info.block


def test_lengths_are_written_as_protobuf_does() -> None:
    for value in (0, 1, 127, 128, 16_383, 16_384, (1 << 28) - 1, 1 << 28, 1 << 42, (1 << 64) - 1):
        assert namenode_answers.varint(value) == encode_varint(value)
