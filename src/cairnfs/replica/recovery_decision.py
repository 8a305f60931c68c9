"""Block recovery: which replicas go on, and at which length.

The primary DataNode asks every location of a block for its replica and then decides here
(Hadoop: block recovery of an under-construction block; ``InterDatanodeProtocol.proto``).
What a writer was told to be safe is on every replica that was in its pipeline to the end,
so the shortest of the best replicas holds all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cairnfs.errors import RecoveryImpossible
from cairnfs.types import Block, ReplicaState


@dataclass(frozen=True, slots=True)
class ReplicaFound:
    """A location's replica: its own stamp and length, its state before recovery began."""

    node: int
    block: Block
    original_state: ReplicaState


@dataclass(frozen=True, slots=True)
class ReplicaMissing:
    """A location that answered and has no replica of the block."""

    node: int


@dataclass(frozen=True, slots=True)
class ReplicaUnknown:
    """A location that could not be asked, or failed to answer; ``reason`` says why."""

    node: int
    reason: str


# ``node`` is the index of the location in the recovery command.
ReplicaAnswer = ReplicaFound | ReplicaMissing | ReplicaUnknown


@dataclass(frozen=True, slots=True)
class SyncReplicas:
    """Bring ``participants`` (indexes of locations) to ``new_block``."""

    participants: tuple[ReplicaFound, ...]
    new_block: Block


@dataclass(frozen=True, slots=True)
class DropBlock:
    """No replica holds a byte that anybody was promised: the block may go."""


def decide_recovery(
    block: Block,
    recovery_id: int,
    answers: Sequence[ReplicaAnswer],
    truncate_to: Block | None = None,
) -> SyncReplicas | DropBlock:
    """What to do about ``block`` after all its locations were asked.

    ``recovery_id`` is the new generation stamp. ``truncate_to`` is the block that a
    truncation wants: its id may be a new one (the old block stays for snapshots), its
    length is the wanted one. Raises ``RecoveryImpossible``."""
    current = [
        answer
        for answer in answers
        if isinstance(answer, ReplicaFound)
        and answer.block.generation_stamp >= block.generation_stamp
    ]
    held = [answer for answer in current if answer.block.num_bytes > 0]
    usable = [answer for answer in held if answer.original_state <= ReplicaState.RWR]
    if not usable:
        return _without_replica(block, answers, current, held)
    participants, length = _best(block, usable)
    if truncate_to is not None:
        if truncate_to.num_bytes > length:
            raise RecoveryImpossible(
                f"block {block.block_id} cannot be truncated to {truncate_to.num_bytes} bytes: "
                f"its replicas hold {length}"
            )
        length = truncate_to.num_bytes
    new_id = block.block_id if truncate_to is None else truncate_to.block_id
    return SyncReplicas(tuple(participants), Block(new_id, recovery_id, length))


def _without_replica(
    block: Block,
    answers: Sequence[ReplicaAnswer],
    current: list[ReplicaFound],
    held: list[ReplicaFound],
) -> DropBlock:
    unknown = [answer for answer in answers if isinstance(answer, ReplicaUnknown)]
    if held:
        raise RecoveryImpossible(
            f"block {block.block_id} has {len(held)} replica(s), all of them copies "
            "that were never finished"
        )
    # An empty replica that was in the pipeline to the end (its stamp is current) shows
    # that nothing was ever acknowledged. Without one, a location that did not answer may
    # hold acknowledged data: Hadoop drops the block even then, Cairn asks again later.
    if unknown and not current:
        reasons = "; ".join(answer.reason for answer in unknown)
        raise RecoveryImpossible(
            f"{len(unknown)} of {len(answers)} locations of block {block.block_id} did not "
            f"answer and no other has a current replica: {reasons}"
        )
    return DropBlock()


def _best(block: Block, usable: list[ReplicaFound]) -> tuple[list[ReplicaFound], int]:
    """The replicas in the best state (finalized, then RBW, then RWR) and their length."""
    best = min(answer.original_state for answer in usable)
    if best != ReplicaState.FINALIZED:
        chosen = [answer for answer in usable if answer.original_state == best]
        return chosen, min(answer.block.num_bytes for answer in chosen)
    lengths = {
        answer.block.num_bytes
        for answer in usable
        if answer.original_state == ReplicaState.FINALIZED
    }
    if len(lengths) > 1:
        raise RecoveryImpossible(
            f"finalized replicas of block {block.block_id} differ in length: {sorted(lengths)}"
        )
    length = lengths.pop()
    chosen = [
        answer
        for answer in usable
        if answer.original_state == ReplicaState.FINALIZED
        or (answer.original_state == ReplicaState.RBW and answer.block.num_bytes == length)
    ]
    return chosen, length
