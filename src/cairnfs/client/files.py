"""Opening files: what a file system needs only when data moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairnfs.client.block_writer import WriteTarget
from cairnfs.client.buffers import BufferPool
from cairnfs.client.connections import Connections
from cairnfs.client.context import ClientContext, NodeMemory
from cairnfs.client.leases import LeaseRenewer
from cairnfs.client.locations import FileBlocks
from cairnfs.client.namenode import APPEND_FLAG, CREATE_FLAG, NEW_BLOCK_FLAG, OVERWRITE_FLAG
from cairnfs.client.reader import FileReader
from cairnfs.client.recovering import while_recovering
from cairnfs.client.writer import FileWriter
from cairnfs.errors import InvalidRequest
from cairnfs.types import ExtendedBlock, FileStatus, LocatedBlock
from cairnfs.wire.checksum import DataChecksum

if TYPE_CHECKING:
    from cairnfs.client.filesystem import FileSystem

# Where nobody says otherwise. Packets of 64 KiB, Hadoop's own default, cost a writer and a
# DataNode twice as much for each byte; every DataNode takes up to 16 MiB.
PACKET_BYTES = 1 << 20


class Files:
    """The open files of one :class:`FileSystem`, and what they share."""

    def __init__(self, fs: FileSystem) -> None:
        settings = fs.settings
        steady_ms = fs.clock.steady_ms
        self._fs = fs
        self._namenode = fs.namenode
        self._leases = LeaseRenewer(fs.namenode, fs.clock)
        self._readers: set[FileReader] = set()
        self.context = ClientContext(
            namenode=fs.namenode,
            settings=settings,
            clock=fs.clock,
            connections=Connections(
                capacity=settings.socket_cache_capacity,
                expiry_ms=settings.socket_cache_expiry_ms,
                connect_timeout_ms=settings.socket_timeout_ms,
                use_hostname=settings.use_datanode_hostname,
            ),
            buffers=BufferPool(2 * settings.read_window_bytes),
            dead=NodeMemory(settings.dead_node_expiry_ms, steady_ms),
            excluded=NodeMemory(settings.excluded_expiry_ms, steady_ms),
            user=fs.user,
        )

    async def close(self) -> None:
        for writer in tuple(self._leases.open_files):
            await writer.abort()
        await self._leases.close()
        for reader in tuple(self._readers):
            await reader.close()
        self.context.connections.close()
        self.context.buffers.clear()

    # --- reading -----------------------------------------------------------------------------

    async def open(self, path: str, *, verify: bool) -> FileReader:
        blocks = FileBlocks(self.context, path)
        await blocks.open()
        reader = FileReader(self.context, blocks, verify=verify, on_closed=self._readers.discard)
        self._readers.add(reader)
        return reader

    # --- writing -----------------------------------------------------------------------------

    async def create(
        self,
        path: str,
        *,
        overwrite: bool,
        mode: int,
        replication: int | None,
        block_size: int | None,
        parents: bool,
    ) -> FileWriter:
        defaults = await self._fs.server_defaults()
        settings = self.context.settings
        checksum = await self._checksum()
        size = block_size or settings.block_size or defaults.block_size
        if size % checksum.bytes_per_checksum:
            raise InvalidRequest(
                f"a block size of {size} is no multiple of dfs.bytes-per-checksum, which is "
                f"{checksum.bytes_per_checksum}"
            )
        status = await self._namenode.create(
            path,
            masked=mode & ~settings.umask,
            unmasked=mode,
            flag=CREATE_FLAG | OVERWRITE_FLAG if overwrite else CREATE_FLAG,
            parents=parents,
            replication=replication or settings.replication or defaults.replication,
            block_size=size,
        )
        return self._writer(path, status, checksum)

    async def append(self, path: str, *, new_block: bool) -> FileWriter:
        flag = APPEND_FLAG | NEW_BLOCK_FLAG if new_block else APPEND_FLAG
        checksum = await self._checksum()
        last, status = await while_recovering(
            self.context.clock, lambda: self._namenode.append(path, flag)
        )
        if new_block:
            previous = None if last is None else last.block
            return self._writer(path, status, checksum, previous=previous)
        return self._writer(path, status, checksum, last=last)

    async def _checksum(self) -> DataChecksum:
        defaults = await self._fs.server_defaults()
        settings = self.context.settings
        kind = defaults.checksum_type if settings.checksum_type is None else settings.checksum_type
        return DataChecksum(kind, settings.bytes_per_checksum or defaults.bytes_per_checksum)

    def _writer(
        self,
        path: str,
        status: FileStatus,
        checksum: DataChecksum,
        *,
        last: LocatedBlock | None = None,
        previous: ExtendedBlock | None = None,
    ) -> FileWriter:
        target = WriteTarget(path, status.inode_id, status.replication, status.block_size, checksum)
        writer = FileWriter(
            self.context,
            target,
            packet_bytes=self.context.settings.packet_size or PACKET_BYTES,
            last=last,
            previous=previous,
            length=status.length,
            on_closed=self._leases.remove,
        )
        self._leases.add(writer)
        return writer
