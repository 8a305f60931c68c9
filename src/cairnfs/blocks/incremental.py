"""Incremental reports: what happened to single replicas since the last one."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from cairnfs.blocks.intake import Intake
from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.registry import NodeRegistry
from cairnfs.blocks.turn import Turn
from cairnfs.types import Block, DatanodeStorage, ReplicaState


class ChangeStatus(enum.IntEnum):
    """Numbers of ``ReceivedDeletedBlockInfoProto.BlockStatus``."""

    RECEIVING = 1
    RECEIVED = 2
    DELETED = 3


@dataclass(frozen=True, slots=True)
class ReplicaChange:
    """``delete_hint`` is the uuid of a node that gave the replica away (a move)."""

    block: Block
    status: ChangeStatus
    delete_hint: str = ""


class IncrementalReports:
    """Takes changes in, in the order in which the node made them."""

    def __init__(self, registry: NodeRegistry, intake: Intake) -> None:
        self._registry = registry
        self._intake = intake

    def take(
        self,
        turn: Turn,
        node: DatanodeDescriptor,
        storage: DatanodeStorage,
        changes: Iterable[ReplicaChange],
    ) -> None:
        held = self._registry.storage(turn.tx, node, storage)
        for change in changes:
            held.touch(change.block.block_id)
            self._take(turn, held, change)

    def _take(self, turn: Turn, storage: StorageDescriptor, change: ReplicaChange) -> None:
        block = change.block
        if change.status == ChangeStatus.DELETED:
            self._intake.deleted(turn, storage, block)
        elif change.status == ChangeStatus.RECEIVING:
            self._intake.reported(turn, storage, block, ReplicaState.RBW)
        else:
            self._intake.reported(
                turn,
                storage,
                block,
                ReplicaState.FINALIZED,
                hint=change.delete_hint or None,
            )
