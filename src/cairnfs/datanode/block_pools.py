"""All block pools of a DataNode, and the door through which its threads report to them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence

from cairnfs.config.nameservices import NamenodeAddress
from cairnfs.datanode import messages
from cairnfs.datanode.block_pool import BlockPool, Obedient
from cairnfs.datanode.incremental import FactStatus, ReplicaFact
from cairnfs.datanode.node import Node
from cairnfs.datanode.service import NamenodeService
from cairnfs.datanode.service_state import Phase
from cairnfs.types import Block, DatanodeInfo, DatanodeStorage, ExtendedBlock

logger = logging.getLogger(__name__)


class BlockPools:
    """The block pools by nameservice. Lives on the event loop.

    ``given_up`` is called with the reasons once every NameNode was refused."""

    def __init__(
        self, node: Node, obedient: Obedient, given_up: Callable[[list[str]], None]
    ) -> None:
        self._node = node
        self._obedient = obedient
        self._given_up = given_up
        self._pools: dict[str, BlockPool] = {}

    @property
    def all(self) -> tuple[BlockPool, ...]:
        return tuple(self._pools.values())

    @property
    def services(self) -> tuple[NamenodeService, ...]:
        return tuple(service for pool in self.all for service in pool.services)

    def find(self, pool_id: str) -> BlockPool | None:
        """The pool of that id, if one of its NameNodes was met."""
        for pool in self._pools.values():
            if pool_id and pool.pool_id == pool_id:
                return pool
        return None

    async def serve(self, addresses: Sequence[NamenodeAddress]) -> None:
        """Serve exactly these NameNodes from now on; those that stay notice nothing."""
        wanted: dict[str, list[NamenodeAddress]] = defaultdict(list)
        for address in addresses:
            wanted[address.nameservice].append(address)
        for nameservice in [name for name in self._pools if name not in wanted]:
            pool = self._pools.pop(nameservice)
            await pool.stop()
            if pool.pool_id:
                # Its replicas stay, but nobody may read or change them any more.
                self._node.dataset.remove_block_pool(pool.pool_id)
        for nameservice, group in wanted.items():
            if nameservice not in self._pools:
                self._pools[nameservice] = BlockPool(
                    nameservice,
                    self._node,
                    self._obedient,
                    pools_elsewhere=self._pools_elsewhere,
                    given_up=self._pool_given_up,
                )
            await self._pools[nameservice].serve(group)

    async def stop(self) -> None:
        await asyncio.gather(*(pool.stop() for pool in self.all))
        self._pools.clear()

    def storage(self, storage_uuid: str) -> DatanodeStorage:
        """The storage of that id, as reports name it."""
        return self._node.dataset.storage(storage_uuid) or DatanodeStorage(storage_uuid)

    def _pools_elsewhere(self, pool: BlockPool) -> frozenset[str]:
        return frozenset(other.pool_id for other in self.all if other is not pool)

    def _pool_given_up(self, pool: BlockPool) -> None:
        services = self.services
        if all(service.phase is Phase.REFUSED for service in services):
            self._given_up([service.state.refusal for service in services])


class Reporter:
    """Implements :class:`~cairnfs.datanode.interface.DatasetListener` for ``pools``.

    Its methods are called in the dataset's threads, before a writer's last ack; they hand
    over to the loop and return. All that is handed over until the loop gets round to it
    shares one report. That a replica is being received is no news that anybody waits for: it
    goes with what comes next, at the latest with the next heartbeat (:meth:`drain`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, volume_failed: Callable[[], None]) -> None:
        self.pools: BlockPools | None = None
        self._loop = loop
        self._volume_failed = volume_failed
        self._lock = threading.Lock()
        self._facts: list[tuple[str, str, Block, FactStatus, str]] = []
        # Whether the loop is about to take them.
        self._woken = False

    def receiving(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        self._hand_over(pool_id, storage_uuid, block, FactStatus.RECEIVING)

    def received(
        self, pool_id: str, block: Block, storage_uuid: str, delete_hint: str = ""
    ) -> None:
        self._hand_over(pool_id, storage_uuid, block, FactStatus.RECEIVED, delete_hint)

    def deleted(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        self._hand_over(pool_id, storage_uuid, block, FactStatus.DELETED)

    def corrupt(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        self._call_soon(lambda: self._report_own(pool_id, block, storage_uuid))

    def corrupt_elsewhere(self, block: ExtendedBlock, source: DatanodeInfo) -> None:
        self._call_soon(lambda: self._report_other(block, source))

    def volume_failed(self, storage_uuid: str, path: str, reason: str) -> None:
        def tell() -> None:
            message = f"volume {path} of storage {storage_uuid} failed: {reason}"
            for service in self._services():
                service.run_errand(
                    "errorReport",
                    lambda who, own: messages.disk_error_request(who, message),
                )
                # The replicas on it are gone, which only a full report can tell.
                service.report_now(incremental=False)
            self._volume_failed()

        self._call_soon(tell)

    # --- from threads to the loop ------------------------------------------------------------

    def _hand_over(
        self, pool_id: str, storage: str, block: Block, status: FactStatus, hint: str = ""
    ) -> None:
        with self._lock:
            self._facts.append((pool_id, storage, block, status, hint))
            if self._woken or status is FactStatus.RECEIVING:
                return
            self._woken = True
        self._call_soon(self.drain)

    def _call_soon(self, work: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:
            logger.debug("the event loop has ended; a report is left to the next start")

    # --- on the loop -------------------------------------------------------------------------

    def drain(self) -> None:
        """Tell the services what was handed over."""
        with self._lock:
            facts, self._facts = self._facts, []
            self._woken = False
        by_pool: dict[str, list[ReplicaFact]] = defaultdict(list)
        for pool_id, storage_uuid, block, status, hint in facts:
            storage = self._storage(storage_uuid)
            by_pool[pool_id].append(ReplicaFact(storage, block, status, hint))
        for pool_id, told in by_pool.items():
            pool = self.pools.find(pool_id) if self.pools is not None else None
            # Before the first handshake nobody need be told: a full report follows it.
            if pool is not None:
                pool.tell(tuple(told))

    def _storage(self, storage_uuid: str) -> DatanodeStorage:
        assert self.pools is not None
        return self.pools.storage(storage_uuid)

    def _services(self, pool_id: str | None = None) -> tuple[NamenodeService, ...]:
        if self.pools is None:
            return ()
        if pool_id is None:
            return self.pools.services
        pool = self.pools.find(pool_id)
        return tuple(pool.services) if pool is not None else ()

    def _report_own(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        extended = ExtendedBlock(pool_id, block.block_id, block.generation_stamp, block.num_bytes)
        storage = self._storage(storage_uuid)
        for service in self._services(pool_id):
            service.run_errand(
                "reportBadBlocks",
                lambda who, own: messages.bad_block_request(extended, DatanodeInfo(own), storage),
            )

    def _report_other(self, block: ExtendedBlock, holder: DatanodeInfo) -> None:
        for service in self._services(block.pool_id):
            service.run_errand(
                "reportBadBlocks", lambda who, own: messages.bad_block_request(block, holder)
            )
