"""Block recovery led by this DataNode as the block's primary (``InterDatanodeProtocol.proto``).

Ask every location for its replica and hold it still; decide
(:mod:`cairnfs.replica.recovery_decision`); bring the chosen ones to one length under the new
generation stamp; tell the active NameNode who has them. If anything fails, nothing is told,
and the NameNode orders a newer recovery, which takes over from this one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from cairnfs.datanode import messages
from cairnfs.datanode.block_pool import BlockPool
from cairnfs.datanode.commands import RecoveringBlock
from cairnfs.datanode.inter_protocol import PeerDatanode
from cairnfs.datanode.interface import ReplicaRecoveryInfo
from cairnfs.datanode.node import Node
from cairnfs.errors import CairnError, RecoveryImpossible, RecoveryInProgress
from cairnfs.limits import RECOVERIES_MAX, RECOVERIES_WAITING_MAX
from cairnfs.log import our_fault, peer_fault
from cairnfs.replica.recovery_decision import (
    DropBlock,
    ReplicaAnswer,
    ReplicaFound,
    ReplicaMissing,
    ReplicaUnknown,
    SyncReplicas,
    decide_recovery,
)
from cairnfs.types import DatanodeInfo, ExtendedBlock

logger = logging.getLogger(__name__)


class RecoveryWorker:
    """Leads recoveries, a bounded number at once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._places = asyncio.Semaphore(RECOVERIES_MAX)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    def recover(self, pool: BlockPool, blocks: Sequence[RecoveringBlock]) -> None:
        """Begin. What cannot be done now is ordered again by the NameNode."""
        for recovering in blocks:
            if len(self._tasks) >= RECOVERIES_WAITING_MAX:
                logger.warning("block recovery of %s put off: too many wait", recovering.block)
                continue
            task = asyncio.ensure_future(self._run(pool, recovering))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, pool: BlockPool, recovering: RecoveringBlock) -> None:
        async with self._places:
            block = recovering.block
            name = f"blk_{block.block_id}_{block.generation_stamp}"
            try:
                outcome = await self.lead(pool, recovering)
            except RecoveryInProgress as error:
                logger.info("recovery of %s left to a newer one: %s", name, error)
                return
            except CairnError as error:
                peer_fault(logger, "recovery of %s: %s", name, error)
                return
            except Exception as error:
                our_fault(logger, "recovery of %s: %r", name, error, exc_info=error)
                return
            logger.info("recovery of %s: %s", name, outcome)
            self._node.events.emit("datanode.block_recovered", block=block, outcome=outcome)

    async def lead(self, pool: BlockPool, recovering: RecoveringBlock) -> str:
        """One recovery from question to report; what came of it, for the log.

        Raises ``RecoveryInProgress``, ``RecoveryImpossible`` and what calls raise."""
        if recovering.striped:
            raise RecoveryImpossible("erasure-coded block groups are not recovered here")
        peers = [self._peer(pool, location) for location in recovering.locations]
        try:
            answers = await asyncio.gather(
                *(_ask(node, peer, recovering) for node, peer in enumerate(peers))
            )
            decision = decide_recovery(
                recovering.block.block, recovering.recovery_id, answers, recovering.truncate_to
            )
            if isinstance(decision, DropBlock):
                await self._report(pool, recovering, decision, ())
                return "no replica has data: the block is dropped"
            storages = await _synchronize(peers, recovering, decision)
            holders = [(recovering.locations[node], storage) for node, storage in storages]
            await self._report(pool, recovering, decision, holders)
            return f"{len(holders)} replicas of {decision.new_block.num_bytes} bytes"
        finally:
            await asyncio.gather(*(peer.close() for peer in peers))

    def _peer(self, pool: BlockPool, location: DatanodeInfo) -> PeerDatanode:
        own = location.id.datanode_uuid == self._node.dataset.datanode_uuid
        return PeerDatanode(self._node, None if own else location.id)

    async def _report(
        self,
        pool: BlockPool,
        recovering: RecoveringBlock,
        decision: SyncReplicas | DropBlock,
        holders: Sequence[tuple[DatanodeInfo, str]],
    ) -> None:
        service = pool.active
        if service is None:
            raise RecoveryImpossible(f"block pool {pool.pool_id} has no active NameNode to tell")
        length = decision.new_block.num_bytes if isinstance(decision, SyncReplicas) else 0
        request = messages.synchronization_request(
            recovering.block,
            recovering.recovery_id,
            length,
            [(location.id, storage) for location, storage in holders],
        )
        await service.call("commitBlockSynchronization", request)


async def _ask(node: int, peer: PeerDatanode, recovering: RecoveringBlock) -> ReplicaAnswer:
    try:
        info: ReplicaRecoveryInfo | None = await peer.init_replica_recovery(recovering)
    except RecoveryInProgress:
        raise
    except CairnError as error:
        location = recovering.locations[node]
        return ReplicaUnknown(node, f"{location.id.xfer_addr}: {error}")
    if info is None:
        return ReplicaMissing(node)
    return ReplicaFound(node, info.block, info.original_state)


async def _synchronize(
    peers: Sequence[PeerDatanode], recovering: RecoveringBlock, decision: SyncReplicas
) -> list[tuple[int, str]]:
    """Bring the participants to the new block; (location, storage id) of those that did it.

    Raises ``RecoveryImpossible`` if none did."""
    pool_id = recovering.block.pool_id
    new = decision.new_block

    async def update(found: ReplicaFound) -> str:
        old = found.block
        held = ExtendedBlock(pool_id, old.block_id, old.generation_stamp, old.num_bytes)
        return await peers[found.node].update_replica(
            held, recovering.recovery_id, new.num_bytes, new.block_id
        )

    results = await asyncio.gather(
        *(update(found) for found in decision.participants), return_exceptions=True
    )
    done: list[tuple[int, str]] = []
    reasons: list[str] = []
    for found, result in zip(decision.participants, results, strict=True):
        if isinstance(result, str):
            done.append((found.node, result))
        elif isinstance(result, CairnError):
            reasons.append(f"{recovering.locations[found.node].id.xfer_addr}: {result}")
        else:
            raise result
    if not done:
        raise RecoveryImpossible(f"no replica could be updated: {'; '.join(reasons)}")
    for reason in reasons:
        peer_fault(logger, "recovery of block %d goes on without %s", new.block_id, reason)
    return done
