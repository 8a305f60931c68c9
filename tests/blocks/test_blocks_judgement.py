"""The table of verdicts on reported replicas."""

from __future__ import annotations

import pytest

from cairnfs.blocks.judgement import Verdict, judge
from cairnfs.types import Block, BlockFacts, BlockState, ReplicaState

COMPLETE, OPEN = BlockState.COMPLETE, BlockState.UNDER_CONSTRUCTION
COMMITTED, RECOVERING = BlockState.COMMITTED, BlockState.UNDER_RECOVERY
FINALIZED, RBW, RWR = ReplicaState.FINALIZED, ReplicaState.RBW, ReplicaState.RWR


@pytest.mark.requirement("A03")
@pytest.mark.parametrize(
    ("state", "reported", "stamp", "length", "verdict"),
    [
        (COMPLETE, FINALIZED, 1001, 10, Verdict.STORE),
        (COMMITTED, FINALIZED, 1001, 10, Verdict.STORE),
        (COMPLETE, FINALIZED, 1000, 10, Verdict.CORRUPT),
        (COMPLETE, FINALIZED, 1002, 10, Verdict.CORRUPT),
        (COMPLETE, FINALIZED, 1001, 9, Verdict.CORRUPT),
        (COMMITTED, FINALIZED, 1001, 9, Verdict.CORRUPT),
        (OPEN, FINALIZED, 1001, 3, Verdict.OPEN),
        (OPEN, FINALIZED, 1002, 3, Verdict.OPEN),
        (OPEN, FINALIZED, 1000, 3, Verdict.CORRUPT),
        (RECOVERING, FINALIZED, 1000, 3, Verdict.OPEN),
        (OPEN, RBW, 1001, 3, Verdict.OPEN),
        (OPEN, RBW, 1000, 3, Verdict.CORRUPT),
        (RECOVERING, RWR, 1000, 3, Verdict.OPEN),
        (COMMITTED, RBW, 1001, 3, Verdict.OPEN),
        (COMPLETE, RBW, 1001, 3, Verdict.IGNORE),
        (COMPLETE, RBW, 1000, 3, Verdict.CORRUPT),
        (COMPLETE, RWR, 1001, 10, Verdict.CORRUPT),
        (COMPLETE, ReplicaState.RUR, 1001, 10, Verdict.IGNORE),
        (COMPLETE, ReplicaState.TEMPORARY, 1001, 10, Verdict.IGNORE),
    ],
)
def test_verdicts(
    state: BlockState, reported: ReplicaState, stamp: int, length: int, verdict: Verdict
) -> None:
    facts = BlockFacts(7, 1001, 10, 3, state)
    found, reason = judge(facts, Block(7, stamp, length), reported)
    assert found == verdict
    assert bool(reason) == (verdict == Verdict.CORRUPT)


def test_a_block_of_no_file() -> None:
    assert judge(None, Block(7, 1001, 10), FINALIZED)[0] == Verdict.UNKNOWN
