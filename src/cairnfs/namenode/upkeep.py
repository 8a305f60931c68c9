"""What the NameNode does by itself: liveness, redundancy, leases, garbage, checkpoints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from cairnfs.blocks import notices
from cairnfs.blocks.report import ReportedReplicas
from cairnfs.blocks.turn import Turn as BlockTurn
from cairnfs.config import namenode_keys
from cairnfs.errors import AlreadyBeingCreated, StorageError
from cairnfs.namenode.settings import read_host_sets
from cairnfs.namenode.turn import Turn
from cairnfs.namenode.writer import Operation
from cairnfs.namespace import recovery, removal, retry_cache
from cairnfs.namespace.file_edit import find_block
from cairnfs.types import DatanodeStorage

if TYPE_CHECKING:
    from cairnfs.namenode.namesystem import Namesystem

logger = logging.getLogger(__name__)
R = TypeVar("R")

# Blocks looked at, and inodes removed, between two passes of calls: some ms of work.
BLOCKS_AT_ONCE = 1_000
GARBAGE_AT_ONCE = 1_000
ANSWERS_TRIMMED_AT_ONCE = 1_000
LEASES_AT_ONCE = 100


class Upkeep:
    """Each method is one piece of work; :mod:`monitors` calls them again and again."""

    def __init__(self, system: Namesystem) -> None:
        self._system = system
        self._checkpointed_sequence = system.store.last_sequence
        self._checkpointed_ms = system.clock.steady_ms()
        self._checkpointing = asyncio.Lock()

    def _in_turn(self, work: Callable[[BlockTurn], R]) -> Awaitable[R]:
        """Run a method of the block layer in a turn of its own."""
        system = self._system
        return system.writer.run(lambda turn: work(system.block_turn(turn)), volatile=True)

    async def check_liveness(self) -> None:
        await self._in_turn(self._system.blocks.check_liveness)
        self.spread_notices()

    async def check_redundancy(self) -> None:
        await self._in_turn(self._system.blocks.check_redundancy)
        await self.background_work()

    async def background_work(self) -> None:
        """What deaths, deletions and starts left to do, in slices between calls."""
        blocks = self._system.blocks
        while await self._in_turn(lambda turn: blocks.work(turn, BLOCKS_AT_ONCE)):
            pass
        self.spread_notices()

    def spread_notices(self) -> None:
        """Tell listeners what happened in the block layer, and act on it."""
        system = self._system
        for notice in system.blocks.take_notices():
            if isinstance(notice, notices.BlockReachedMinimum):
                self._complete(notice.block_id)
            elif isinstance(notice, notices.RecoveryOverdue):
                self._recover_again(notice.block_id)
            else:
                logger.info("%s", notice)
            name = "block." + type(notice).__name__
            system.events.emit(name, notice=notice)

    def _complete(self, block_id: int) -> None:
        system = self._system

        def operation(turn: Turn) -> None:
            system.effects.complete_if_replicated(turn, block_id)

        def settle(result: None, error: BaseException | None) -> None:
            if error is not None:
                logger.warning("block %d was not completed: %s", block_id, error)
            system.held.ready(block_id)

        # Volatile: whoever waits for the block submits the change that is answered.
        system.writer.submit(operation, settle, volatile=True)

    def _recover_again(self, block_id: int) -> None:
        """A recovery came to nothing: begin it anew under another generation stamp."""
        system = self._system

        def operation(turn: Turn) -> None:
            found = find_block(turn.namespace, block_id)
            if found is None:
                return
            release = recovery.recover_again(
                system.namespace, turn.namespace, system.replica_view(turn), found[0], turn.now_ms
            )
            if release is not None:
                system.effects.released(turn, release)

        def settle(result: None, error: BaseException | None) -> None:
            if error is not None:
                logger.warning("the recovery of block %d was not begun anew: %s", block_id, error)

        system.writer.submit(operation, settle)

    # --- leases ----------------------------------------------------------------------------

    async def check_leases(self) -> None:
        """Take their files from writers that were not heard of for the hard limit."""
        system = self._system
        if system.blocks.safe_mode.on:
            return
        now_ms = system.clock.now_ms()
        expired = recovery.expired_files(
            system.namespace, system.views.namespace, now_ms, LEASES_AT_ONCE
        )
        for inode_id in expired:
            try:
                await system.writer.run(_release(system, inode_id))
            except AlreadyBeingCreated as error:
                logger.info("%s", error)

    # --- garbage ---------------------------------------------------------------------------

    async def collect_garbage(self) -> None:
        """Remove what large deletions left, a slice at a time."""
        system = self._system
        if system.blocks.safe_mode.on:
            return
        waiting = removal.has_garbage(system.views.namespace)
        while waiting:
            waiting = await system.writer.run(_collect(system))

    async def trim_retry_cache(self) -> None:
        system = self._system

        def operation(turn: Turn) -> int:
            return retry_cache.trim_answers(
                system.namespace.settings, turn.namespace, turn.now_ms, ANSWERS_TRIMMED_AT_ONCE
            )

        while await system.writer.run(operation) == ANSWERS_TRIMMED_AT_ONCE:
            pass

    # --- checkpoints -----------------------------------------------------------------------

    async def checkpoint_if_due(self) -> None:
        system = self._system
        behind = system.store.last_sequence - self._checkpointed_sequence
        age_ms = system.clock.steady_ms() - self._checkpointed_ms
        configuration = system.configuration
        if behind and (
            system.store.checkpoint_due
            or behind >= configuration[namenode_keys.CHECKPOINT_TXNS]
            or age_ms >= configuration[namenode_keys.CHECKPOINT_PERIOD_MS]
        ):
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Copy the namespace while it serves, and trim the journal."""
        async with self._checkpointing:
            try:
                sequence = await asyncio.to_thread(self._system.store.checkpoint)
            except StorageError as error:
                logger.error("no checkpoint was made, the journal is kept: %s", error)
                raise
            self._checkpointed_sequence = sequence
            self._checkpointed_ms = self._system.clock.steady_ms()
            logger.info("checkpoint up to record %d", sequence)

    # --- DataNodes -------------------------------------------------------------------------

    async def full_report(
        self,
        datanode_uuid: str,
        storage: DatanodeStorage,
        replicas: ReportedReplicas,
        *,
        lease_id: int,
        last_of_node: bool,
    ) -> None:
        """Take a full report in, a slice at a time between calls."""
        blocks = self._system.blocks
        report = await self._in_turn(
            lambda turn: blocks.full_report(
                turn, datanode_uuid, storage, replicas, lease_id, last_of_node=last_of_node
            )
        )
        while not await self._in_turn(report.step):
            pass
        self.spread_notices()

    async def refresh_nodes(self) -> None:
        """Read the include and exclude files again."""
        hosts = read_host_sets(self._system.configuration)
        await self._in_turn(lambda turn: self._system.blocks.set_hosts(turn, hosts))


def _release(system: Namesystem, inode_id: int) -> Operation[None]:
    def operation(turn: Turn) -> None:
        release = recovery.release_expired(
            system.namespace, turn.namespace, system.replica_view(turn), inode_id, turn.now_ms
        )
        if release is not None:
            logger.info("the lease on %s ran out: %s", release.path, release.outcome.name)
            system.effects.released(turn, release)

    return operation


def _collect(system: Namesystem) -> Operation[bool]:
    def operation(turn: Turn) -> bool:
        collected = removal.collect_garbage(turn.namespace, GARBAGE_AT_ONCE)
        system.effects.remove(turn, collected.blocks)
        return collected.more

    return operation
