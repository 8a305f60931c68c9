"""Ranges of blocks from whichever replica is good: tries, complains, turns to the next."""

from __future__ import annotations

from dataclasses import replace

from cairnfs.client.context import ClientContext, is_local
from cairnfs.client.data_socket import DataSocket
from cairnfs.client.locations import FileBlocks
from cairnfs.client.range_reader import RangeReader, Received
from cairnfs.client.retry import Backoff
from cairnfs.errors import (
    CairnError,
    ChecksumMismatch,
    ConnectionLost,
    InvalidToken,
    ReplicaNotFound,
    TransportError,
)
from cairnfs.types import DatanodeInfo, LocatedBlock
from cairnfs.wire.transfer import ReadBlock


class Fetcher:
    """Fetches ranges of one file; a range never leaves its block."""

    def __init__(self, context: ClientContext, blocks: FileBlocks, *, verify: bool) -> None:
        self._context = context
        self._blocks = blocks
        self._verify = verify

    async def fetch(
        self,
        offset: int,
        length: int,
        received: Received,
        *,
        avoid: tuple[DatanodeInfo, ...] = (),
        chosen: list[DatanodeInfo] | None = None,
    ) -> None:
        """``length`` bytes of the file from ``offset`` into ``received``.

        Replicas on ``avoid`` are asked last; whichever is being asked is put on ``chosen``.
        Raises the last replica's error when all were asked in vain several times."""
        settings = self._context.settings
        start_bytes = received.bytes
        located = await self._blocks.find(offset)
        tried: set[str] = set()
        wrong: dict[str, DatanodeInfo] = {}
        errors: list[CairnError] = []
        backoff = Backoff(settings.retry_window_ms / 8, settings.retry_window_ms * 8)
        try:
            while (got := received.bytes - start_bytes) < length:
                node = self._choose(located, tried, avoid)
                if node is None:
                    if backoff.count >= settings.acquire_failures_max:
                        raise self._last_word(located, errors)
                    await self._context.clock.sleep_ms(backoff.next_ms())
                    located = await self._blocks.refresh(offset + got)
                    tried.clear()
                    continue
                tried.add(node.id.datanode_uuid)
                if chosen is not None:
                    chosen.append(node)
                try:
                    await self._read(node, located, offset + got, length - got, received)
                except CairnError as error:
                    errors.append(error)
                    if isinstance(error, ChecksumMismatch):
                        wrong[node.id.datanode_uuid] = node
                    elif not isinstance(error, ReplicaNotFound | InvalidToken):
                        self._context.dead.add(node)
        finally:
            if wrong:
                await self._report(located, tuple(wrong.values()))

    def _choose(
        self, located: LocatedBlock, tried: set[str], avoid: tuple[DatanodeInfo, ...]
    ) -> DatanodeInfo | None:
        """The best replica not tried yet: not known to be dead, on this machine, then in the
        NameNode's order, which is that of distance."""
        dead = self._context.dead
        untried = [node for node in located.locations if node.id.datanode_uuid not in tried]
        return min(
            untried,
            key=lambda node: (node in avoid, node in dead, not is_local(node.id.ip_addr)),
            default=None,
        )

    async def _read(
        self,
        node: DatanodeInfo,
        located: LocatedBlock,
        offset: int,
        length: int,
        received: Received,
    ) -> None:
        request = ReadBlock(
            block=located.block,
            client_name=self._context.client_name,
            offset=offset - located.offset,
            length=length,
            send_checksums=self._verify,
            token=located.token,
        )
        idle = self._context.connections.take_idle(node)
        if idle is not None:
            before = received.bytes
            try:
                await self._read_through(node, idle, request, received)
                return
            except ConnectionLost:
                # Closed just as it was used again: that says nothing about the node.
                if received.bytes != before:
                    raise
        sock = await self._context.connections.connect(node)
        await self._read_through(node, sock, request, received)
        self._context.dead.discard(node)

    async def _read_through(
        self, node: DatanodeInfo, sock: DataSocket, request: ReadBlock, received: Received
    ) -> None:
        reader = RangeReader(sock, request, received, verify=self._verify)
        try:
            await reader.run(self._context.settings.socket_timeout_ms)
        finally:
            if reader.reusable:
                self._context.connections.put(node, sock)
            else:
                sock.close()

    async def _report(self, located: LocatedBlock, nodes: tuple[DatanodeInfo, ...]) -> None:
        """Tell the NameNode which replicas are wrong; unless all are, which says more about
        this machine's memory than about theirs (as Hadoop's client does)."""
        if 1 < len(located.locations) <= len(nodes):
            return
        bad = replace(located, locations=nodes, storage_ids=(), storage_types=(), cached=())
        try:
            await self._context.namenode.report_bad_blocks([bad])
        except CairnError:
            pass  # their scanners will find it; what was read is good

    def _last_word(self, located: LocatedBlock, errors: list[CairnError]) -> CairnError:
        name = f"block {located.block.block_id} of {self._blocks.path}"
        if not errors:
            return TransportError(f"no DataNode has {name}; are all of them up?")
        last = errors[-1]
        return type(last)(f"{name} cannot be read from any DataNode; last: {last}")
