"""What a reported replica is worth, by what the namespace says of its block.

One pure function, so that the whole table can be read and tested. The cases are those
of Apache Hadoop's NameNode.
"""

from __future__ import annotations

import enum

from cairnfs.types import Block, BlockFacts, BlockState, ReplicaState


class Verdict(enum.Enum):
    """What to do about one reported replica."""

    STORE = "a good finalised replica"
    OPEN = "a replica of a block that is being written or recovered"
    IGNORE = "says nothing new, or will be finalised soon"
    CORRUPT = "cannot be read as this block"
    UNKNOWN = "of no block that any file holds"


_BEING_WRITTEN = (BlockState.UNDER_CONSTRUCTION, BlockState.UNDER_RECOVERY)


def judge(facts: BlockFacts | None, block: Block, state: ReplicaState) -> tuple[Verdict, str]:
    """The verdict on a replica and, where it is CORRUPT, the reason."""
    if facts is None:
        return Verdict.UNKNOWN, ""
    if state == ReplicaState.FINALIZED:
        return _judge_finalized(facts, block)
    if state in (ReplicaState.RBW, ReplicaState.RWR):
        return _judge_unfinished(facts, block, state)
    # Replicas in recovery or being copied are no DataNode's to report.
    return Verdict.IGNORE, ""


def _judge_finalized(facts: BlockFacts, block: Block) -> tuple[Verdict, str]:
    if facts.state in _BEING_WRITTEN:
        # During recovery an older stamp is what the recovery is about.
        older = block.generation_stamp < facts.generation_stamp
        if facts.state == BlockState.UNDER_CONSTRUCTION and older:
            return Verdict.CORRUPT, _stamp_reason(facts, block)
        return Verdict.OPEN, ""
    if block.generation_stamp != facts.generation_stamp:
        return Verdict.CORRUPT, _stamp_reason(facts, block)
    if block.num_bytes != facts.num_bytes:
        return (
            Verdict.CORRUPT,
            f"its length is {block.num_bytes}, that of the block {facts.num_bytes}",
        )
    return Verdict.STORE, ""


def _judge_unfinished(facts: BlockFacts, block: Block, state: ReplicaState) -> tuple[Verdict, str]:
    if facts.state != BlockState.COMPLETE:
        if (
            facts.state != BlockState.UNDER_RECOVERY
            and block.generation_stamp < facts.generation_stamp
        ):
            return Verdict.CORRUPT, _stamp_reason(facts, block)
        return Verdict.OPEN, ""
    if block.generation_stamp != facts.generation_stamp:
        return Verdict.CORRUPT, _stamp_reason(facts, block)
    if state == ReplicaState.RBW:
        # The report was under way when the pipeline closed (HDFS-2791).
        return Verdict.IGNORE, ""
    return Verdict.CORRUPT, "it was never finished, and its block is complete"


def _stamp_reason(facts: BlockFacts, block: Block) -> str:
    return (
        f"its generation stamp is {block.generation_stamp}, "
        f"that of the block {facts.generation_stamp}"
    )
