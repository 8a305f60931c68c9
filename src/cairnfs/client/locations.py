"""Where the blocks of one open file are: asked for in ranges, kept, asked for anew."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from cairnfs.client.context import ClientContext
from cairnfs.client.datanode import replica_visible_length
from cairnfs.client.retry import Backoff
from cairnfs.errors import CairnError, FileSystemError, ReplicaNotFound, TransportError
from cairnfs.types import LocatedBlock, LocatedBlocks

_BLOCKS_AHEAD = 10
_BLOCK_SIZE_USUAL = 128 << 20


class FileBlocks:
    """The length of ``path`` and the locations of its blocks, as far as they were asked for."""

    def __init__(self, context: ClientContext, path: str) -> None:
        self.path = path
        self.length = 0
        self.under_construction = False
        self._context = context
        self._blocks: list[LocatedBlock] = []

    async def open(self) -> None:
        """Ask for the first blocks and the length. Raises ``NotFound``, ``TransportError``, ..."""
        settings = self._context.settings
        backoff = Backoff(settings.last_block_retry_ms / 64, settings.last_block_retry_ms)
        while True:
            found = await self._ask(0)
            length = await self._length_of(found)
            if length is not None:
                break
            # After a restart the NameNode may not know yet who holds the block being written.
            if backoff.count >= settings.last_block_retries:
                raise TransportError(
                    f"no DataNode has reported the last block of {self.path}, so its length is "
                    "not known"
                )
            await self._context.clock.sleep_ms(backoff.next_ms())
        self.length = length
        self.under_construction = found.under_construction
        self._blocks = []
        self._keep(found)

    async def find(self, offset: int) -> LocatedBlock:
        """The block that holds ``offset`` (below :attr:`length`), nearest replicas first."""
        known = self._known(offset)
        return known if known is not None else await self.refresh(offset)

    async def refresh(self, offset: int) -> LocatedBlock:
        """As :meth:`find`, asking the NameNode again.

        Raises ``FileSystemError`` if another file is at the path by now."""
        before = self._known(offset)
        self._keep(await self._ask(offset))
        known = self._known(offset)
        if before and known and before.block.block_id != known.block.block_id:
            raise FileSystemError(f"{self.path} was replaced while it was read; open it again")
        if known is None:
            raise ReplicaNotFound(f"the NameNode knows no block of {self.path} at {offset}")
        return known

    def _known(self, offset: int) -> LocatedBlock | None:
        at = bisect_right(self._blocks, offset, key=lambda block: block.offset) - 1
        if at < 0:
            return None
        block = self._blocks[at]
        return block if offset < block.offset + block.block.num_bytes else None

    async def _ask(self, offset: int) -> LocatedBlocks:
        settings = self._context.settings
        length = settings.prefetch_bytes or _BLOCKS_AHEAD * (
            settings.block_size or _BLOCK_SIZE_USUAL
        )
        return await self._context.namenode.get_block_locations(self.path, offset, length)

    def _keep(self, found: LocatedBlocks) -> None:
        blocks = {block.offset: block for block in self._blocks}
        last = found.last_block
        for block in found.blocks:
            blocks[block.offset] = block
        if last is not None and not found.is_last_block_complete:
            # Its length is what the DataNodes said when the file was opened.
            size = max(self.length - last.offset, 0)
            blocks[last.offset] = replace(last, block=replace(last.block, num_bytes=size))
        self._blocks = [blocks[offset] for offset in sorted(blocks)]

    async def _length_of(self, found: LocatedBlocks) -> int | None:
        """The length that a reader may rely on; None if nobody can tell now."""
        last = found.last_block
        if found.is_last_block_complete or last is None:
            return found.file_length
        if not last.locations:
            return found.file_length if not last.block.num_bytes else None
        errors: list[CairnError] = []
        for node in last.locations:
            try:
                return found.file_length + await replica_visible_length(
                    self._context, node, last.block
                )
            except CairnError as error:
                errors.append(error)
        if all(isinstance(error, ReplicaNotFound) for error in errors):
            return found.file_length  # the pipeline is just being set up: nothing is in it
        return None
