"""A small blocking client for tests: speaks the data-transfer protocol byte by byte."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

from cairnfs.types import ChecksumType, DatanodeID, DatanodeInfo, ExtendedBlock, StorageType
from cairnfs.wire import packet as packets
from cairnfs.wire import transfer as t
from cairnfs.wire.checksum import DataChecksum, compute, verify
from cairnfs.wire.pipeline_ack import PipelineAck, parse_acks
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import (
    BlockOpResponse,
    Status,
    encode_read_status,
    parse_response,
)

CRC32C_512 = DataChecksum(ChecksumType.CRC32C, 512)
POOL = "BP-1-127.0.0.1-1"


def node(port: int, uuid: str = "node") -> DatanodeInfo:
    return DatanodeInfo(DatanodeID("127.0.0.1", "localhost", uuid, port, 0, 0))


def block(block_id: int, stamp: int = 1001, length: int = 0) -> ExtendedBlock:
    return ExtendedBlock(POOL, block_id, stamp, length)


@dataclass
class RawClient:
    """One connection."""

    port: int
    timeout_s: float = 20.0
    data: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), self.timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def fill(self) -> bool:
        more = self.socket.recv(1 << 20)
        self.data += more
        return bool(more)

    def ended(self) -> bool:
        """Whether the server closed the connection (what is still to come is thrown away)."""
        try:
            while self.fill():
                pass
        except ConnectionError:
            pass
        return True

    def take(self, parse: Any) -> Any:
        while True:
            found = parse(self.data, 0, len(self.data)) if self.data else None
            if found is not None:
                del self.data[: found[1]]
                return found[0]
            if not self.fill():
                raise EOFError("the server closed the connection")

    def response(self) -> BlockOpResponse:
        answer = self.take(parse_response)
        assert isinstance(answer, BlockOpResponse)
        return answer

    def acks(self, count: int) -> list[PipelineAck]:
        found: list[PipelineAck] = []
        while len(found) < count:
            more, stop = parse_acks(self.data, 0, len(self.data))
            del self.data[:stop]
            found += more
            if len(found) < count and not self.fill():
                raise EOFError(f"the server closed the connection after {len(found)} acks")
        assert len(found) == count
        return found

    # --- whole operations --------------------------------------------------------------------

    def read(self, what: ExtendedBlock, offset: int, length: int, *, sums: bool = True) -> bytes:
        """The bytes asked for, verified."""
        self.send(encode_request(t.ReadBlock(what, "test", offset, length, sums)))
        answer = self.response()
        if not answer.is_success:
            raise OSError(answer.message)
        assert answer.read_checksum is not None
        checksum, position = answer.read_checksum.checksum, answer.read_checksum.chunk_offset
        start = position
        assert position <= offset < position + checksum.bytes_per_checksum or offset == position
        data = bytearray()
        while True:
            found, position_in, _ = packets.parse_packets(
                memoryview(bytes(self.data)), 0, len(self.data)
            )
            del self.data[:position_in]
            for one in found:
                assert one.offset == position
                assert verify(checksum, one.data, one.sums) is None
                data += one.data
                position += len(one.data)
                if one.is_last:
                    self.send(encode_read_status(Status.CHECKSUM_OK))
                    return bytes(data[offset - start : offset - start + length])
            if not found and not self.fill():
                raise EOFError("the server closed the connection")

    def begin_write(
        self,
        what: ExtendedBlock,
        *targets: DatanodeInfo,
        stage: t.Stage = t.Stage.PIPELINE_SETUP_CREATE,
        checksum: DataChecksum = CRC32C_512,
        stamp: int = 0,
        least: int = 0,
        most: int = 0,
        client_name: str = "test",
        source: DatanodeInfo | None = None,
    ) -> BlockOpResponse | None:
        self.checksum = checksum
        self.seqno = 0
        self.send(
            encode_request(
                t.WriteBlock(
                    block=what,
                    client_name=client_name,
                    targets=targets,
                    stage=stage,
                    pipeline_size=1 + len(targets),
                    min_bytes_received=least,
                    max_bytes_received=most,
                    latest_generation_stamp=stamp,
                    checksum=checksum,
                    source=source,
                    target_storage_types=(StorageType.DISK,) * len(targets),
                )
            )
        )
        if not client_name or stage in (t.Stage.TRANSFER_RBW, t.Stage.TRANSFER_FINALIZED):
            return None
        return self.response()

    def packet(
        self,
        offset: int,
        data: bytes,
        *,
        last: bool = False,
        sync: bool = False,
        sums: bytes | None = None,
        seqno: int | None = None,
    ) -> bytes:
        if seqno is None:
            seqno = self.seqno
            self.seqno += 1
        if sums is None:
            sums = compute(self.checksum, data)
        header = packets.encode_packet_header(seqno, offset, len(data), len(sums), last, sync)
        return header + sums + data

    def write(
        self, what: ExtendedBlock, data: bytes, *targets: DatanodeInfo, packet_bytes: int = 65_536
    ) -> list[PipelineAck]:
        """A whole block; the acks of all its packets."""
        answer = self.begin_write(what, *targets)
        assert answer is not None
        if not answer.is_success:
            raise OSError(answer.message)
        parts = [
            self.packet(at, data[at : at + packet_bytes])
            for at in range(0, len(data), packet_bytes)
        ]
        parts.append(self.packet(len(data), b"", last=True))
        self.send(b"".join(parts))
        return self.acks(len(parts))
