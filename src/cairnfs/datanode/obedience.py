"""Carrying out what the active NameNode orders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from cairnfs.datanode import messages
from cairnfs.datanode.block_pool import BlockPool
from cairnfs.datanode.commands import (
    CacheBlocks,
    Command,
    FinalizeUpgrade,
    Invalidate,
    ReconstructBlocks,
    RecoverBlocks,
    Register,
    SetBalancerBandwidth,
    Shutdown,
    Transfer,
    TransferOrder,
    UpdateKeys,
)
from cairnfs.datanode.node import Node
from cairnfs.datanode.recovery import RecoveryWorker
from cairnfs.errors import CairnError
from cairnfs.log import our_fault, peer_fault

logger = logging.getLogger(__name__)


class Transfers(Protocol):
    """What moves blocks to other DataNodes."""

    def send_replica(self, order: TransferOrder) -> None:
        """Send a replica to its targets. Blocks until it is there; raises ``CairnError``."""
        ...

    def set_balance_bandwidth(self, bytes_per_s: int) -> None: ...


class Obedience:
    """Implements :class:`~cairnfs.datanode.block_pool.Obedient`. ``shut_down`` stops the node."""

    def __init__(
        self,
        node: Node,
        transfers: Transfers,
        recoveries: RecoveryWorker,
        shut_down: Callable[[], None],
    ) -> None:
        self._node = node
        self._transfers = transfers
        self._recoveries = recoveries
        self._shut_down = shut_down
        self._tasks: set[asyncio.Task[None]] = set()
        self._caching_refused = False
        self.sending = 0

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def obey(self, pool: BlockPool, command: Command) -> None:
        self._node.events.emit("datanode.command", pool_id=pool.pool_id, command=command)
        match command:
            case Transfer(orders):
                for order in orders:
                    self._begin(order.block.pool_id, self._send(pool, order))
            case Invalidate(pool_id, blocks):
                logger.info("NameNode orders %d replicas of %s deleted", len(blocks), pool_id)
                self._begin(pool_id, self._invalidate(command))
            case RecoverBlocks(blocks):
                self._recoveries.recover(pool, blocks)
            case SetBalancerBandwidth(bytes_per_s):
                # 0 means "as configured" to Hadoop's tools.
                if bytes_per_s > 0:
                    logger.info("balancing may use %d bytes a second", bytes_per_s)
                    self._transfers.set_balance_bandwidth(bytes_per_s)
            case Shutdown():
                logger.info("the NameNode orders this DataNode to stop")
                self._shut_down()
            case ReconstructBlocks(groups):
                self._refuse(
                    pool, f"{groups} erasure-coded block groups cannot be reconstructed here"
                )
            case CacheBlocks():
                if not self._caching_refused:
                    self._caching_refused = True
                    logger.info("blocks are not pinned in memory here: the kernel caches them")
            case FinalizeUpgrade() | UpdateKeys() | Register():
                # Nothing is kept for a way back from an upgrade; keys are checked for at
                # registration; registering is the service's own business.
                logger.debug("nothing to do for %s", command)

    def _begin(self, what: str, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except CairnError as error:
                peer_fault(logger, "%s: an order could not be carried out: %s", what, error)
            except Exception as error:
                our_fault(logger, "%s: %r", what, error, exc_info=error)

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _invalidate(self, order: Invalidate) -> None:
        dataset = self._node.dataset
        await self._node.in_thread(lambda: dataset.invalidate(order.pool_id, order.blocks))

    async def _send(self, pool: BlockPool, order: TransferOrder) -> None:
        self.sending += 1
        try:
            await self._node.in_thread(lambda: self._transfers.send_replica(order))
        finally:
            self.sending -= 1

    def _refuse(self, pool: BlockPool, reason: str) -> None:
        """Say at both ends that an order is not obeyed."""
        peer_fault(logger, "%s", reason)
        service = pool.active
        if service is not None:
            service.run_errand("errorReport", lambda who, own: messages.notice_request(who, reason))
