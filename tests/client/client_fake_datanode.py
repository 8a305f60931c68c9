"""A DataNode that only sends blocks, and misbehaves as a test says; and a NameNode for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

from cairnfs.client.buffers import BufferPool
from cairnfs.client.connections import Connections
from cairnfs.client.context import ClientContext, NodeMemory
from cairnfs.client.settings import ClientSettings
from cairnfs.clock import SystemClock
from cairnfs.config import Configuration
from cairnfs.errors import NotFound
from cairnfs.types import (
    ChecksumType,
    DatanodeID,
    DatanodeInfo,
    ExtendedBlock,
    LocatedBlock,
    LocatedBlocks,
)
from cairnfs.wire.checksum import DataChecksum, compute
from cairnfs.wire.packet import encode_last_packet, encode_packet_header
from cairnfs.wire.transfer import ReadBlock
from cairnfs.wire.transfer_codec import parse_request
from cairnfs.wire.transfer_reply import (
    BlockOpResponse,
    ReadChecksumInfo,
    Status,
    encode_response,
    parse_read_status,
)

CHECKSUM = DataChecksum(ChecksumType.CRC32C, 512)
POOL = "BP-fake"
T = TypeVar("T")


@dataclass
class Behaviour:
    """What a node does instead of sending its blocks as they are."""

    refuse: Status | None = None
    # Flip a bit of the data at this offset of a block.
    corrupt_at: int | None = None
    # Close the connection after so many packets; or after each read, without keepalive.
    close_after_packets: int | None = None
    no_keepalive: bool = False
    # Answer with this instead.
    garbage: bytes | None = None
    # Never answer, until told.
    silent: bool = False
    # Skip a packet; end before all is sent.
    skip_packet: bool = False
    end_early: bool = False
    packet_bytes: int = 1024


@dataclass
class FakeDatanode:
    number: int
    blocks: dict[int, bytes]
    behaviour: Behaviour = field(default_factory=Behaviour)
    reads: list[tuple[int, int, int]] = field(default_factory=list)  # block id, offset, length
    statuses: list[Status] = field(default_factory=list)
    connections: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> FakeDatanode:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def stop_listening(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def info(self) -> DatanodeInfo:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return DatanodeInfo(DatanodeID("127.0.0.1", "fake", f"uuid-{self.number}", port, 0, 0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        received = bytearray()
        try:
            while await self._one_read(reader, writer, received):
                if self.behaviour.no_keepalive:
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _one_read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: bytearray
    ) -> bool:
        request = await self._next(reader, received, parse_request)
        if request is None:
            return False
        assert isinstance(request, ReadBlock)
        self.reads.append((request.block.block_id, request.offset, request.length))
        if self.behaviour.silent:
            await self.go_on.wait()
        if not await self._answer(request, writer):
            return False
        status = await self._next(reader, received, parse_read_status)
        if status is None:
            return False
        self.statuses.append(status)
        return True

    @staticmethod
    async def _next(
        reader: asyncio.StreamReader,
        received: bytearray,
        parser: Callable[[bytes, int, int], tuple[T, int] | None],
    ) -> T | None:
        """The next message on the connection, None at its end."""
        while True:
            found = parser(bytes(received), 0, len(received)) if received else None
            if found is not None:
                del received[: found[1]]
                return found[0]
            more = await reader.read(65536)
            if not more:
                return None
            received += more

    async def _answer(self, request: ReadBlock, writer: asyncio.StreamWriter) -> bool:
        behaviour = self.behaviour
        if behaviour.garbage is not None:
            writer.write(behaviour.garbage)
            await writer.drain()
            return False
        refuse = behaviour.refuse
        if request.block.block_id not in self.blocks:
            refuse = Status.ERROR
        if refuse is not None:
            writer.write(encode_response(BlockOpResponse(refuse, "as the test wants it")))
            return False
        start = request.offset - request.offset % 512
        info = ReadChecksumInfo(CHECKSUM, start)
        writer.write(encode_response(BlockOpResponse(Status.SUCCESS, read_checksum=info)))
        whole = self.blocks[request.block.block_id]
        end = min(-(-(request.offset + request.length) // 512) * 512, len(whole))
        if behaviour.end_early:
            end = start + (end - start) // 2
        seqno = 0
        for offset in range(start, end, behaviour.packet_bytes):
            if seqno == behaviour.close_after_packets:
                return False
            data = whole[offset : min(offset + behaviour.packet_bytes, end)]
            sums = compute(CHECKSUM, data)
            bad = behaviour.corrupt_at
            if bad is not None and offset <= bad < offset + len(data):
                at = bad - offset
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            if not (behaviour.skip_packet and seqno == 1):
                writer.write(encode_packet_header(seqno, offset, len(data), len(sums)))
                writer.write(sums + data)
            seqno += 1
            await writer.drain()
        writer.write(encode_last_packet(seqno, end))
        await writer.drain()
        return True


@dataclass
class FakeNamenode:
    """Knows one file; only what readers ask."""

    data: bytes
    block_size: int
    nodes: list[FakeDatanode]
    client_name: str = "client"
    asked: int = 0
    first_block: int = 0
    bad: list[LocatedBlock] = field(default_factory=list)
    on_asked: Callable[[], None] = lambda: None

    async def get_block_locations(self, path: str, offset: int, length: int) -> LocatedBlocks:
        if path != "/file":
            raise NotFound(path)
        self.asked += 1
        self.on_asked()
        blocks = []
        for start in range(0, len(self.data), self.block_size):
            piece = self.data[start : start + self.block_size]
            if start + len(piece) <= offset or start >= offset + length:
                continue
            number = self.first_block + start // self.block_size
            block = ExtendedBlock(POOL, number, 1001, len(piece))
            nodes = tuple(node.info for node in self.nodes)
            blocks.append(LocatedBlock(block, start, nodes))
        last = blocks[-1] if blocks else None
        return LocatedBlocks(len(self.data), tuple(blocks), False, last, True)

    async def report_bad_blocks(self, blocks: list[LocatedBlock]) -> None:
        self.bad += blocks


def blocks_of(data: bytes, block_size: int) -> dict[int, bytes]:
    return {
        start // block_size: data[start : start + block_size]
        for start in range(0, len(data), block_size)
    }


def context_of(namenode: FakeNamenode, values: Mapping[str, str]) -> ClientContext:
    """A client's context with ``values`` configured."""
    conf = Configuration(
        {
            "dfs.client.socket-timeout": "5s",
            "dfs.client.retry.window.base": "20ms",
            **values,
        }
    )
    settings = ClientSettings.of(conf)
    clock = SystemClock()
    return ClientContext(
        namenode=namenode,  # type: ignore[arg-type]
        settings=settings,
        clock=clock,
        connections=Connections(
            capacity=settings.socket_cache_capacity,
            expiry_ms=settings.socket_cache_expiry_ms,
            connect_timeout_ms=settings.socket_timeout_ms,
            use_hostname=False,
        ),
        buffers=BufferPool(1 << 26),
        dead=NodeMemory(settings.dead_node_expiry_ms, clock.steady_ms),
        excluded=NodeMemory(settings.excluded_expiry_ms, clock.steady_ms),
        user="me",
    )
