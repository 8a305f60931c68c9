"""Which replicas survive a block recovery, and at which length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.errors import RecoveryImpossible
from cairnfs.replica.recovery_decision import (
    DropBlock,
    ReplicaAnswer,
    ReplicaFound,
    ReplicaMissing,
    ReplicaUnknown,
    SyncReplicas,
    decide_recovery,
)
from cairnfs.types import Block, ReplicaState

STAMP, RECOVERY = 1001, 1010
BLOCK = Block(7, STAMP, 0)
FINALIZED, RBW, RWR = ReplicaState.FINALIZED, ReplicaState.RBW, ReplicaState.RWR


def found(node: int, length: int, state: ReplicaState, stamp: int = STAMP) -> ReplicaFound:
    return ReplicaFound(node, Block(7, stamp, length), state)


def synced(*answers: ReplicaAnswer, truncate_to: Block | None = None) -> tuple[list[int], Block]:
    decision = decide_recovery(BLOCK, RECOVERY, answers, truncate_to)
    assert isinstance(decision, SyncReplicas)
    return [one.node for one in decision.participants], decision.new_block


@pytest.mark.requirement("A21")
def test_shortest_of_the_replicas_being_written_wins() -> None:
    nodes, block = synced(found(0, 300, RBW), found(1, 200, RBW), found(2, 100, RWR))
    assert nodes == [0, 1]
    assert block == Block(7, RECOVERY, 200)


def test_finalized_length_wins_and_equal_rbw_joins() -> None:
    nodes, block = synced(
        found(0, 200, RBW), found(1, 200, FINALIZED), found(2, 300, RBW), found(3, 200, RWR)
    )
    assert nodes == [0, 1]
    assert block.num_bytes == 200


def test_replicas_from_before_a_restart_are_used_when_there_is_nothing_better() -> None:
    assert synced(found(0, 50, RWR), found(1, 40, RWR)) == ([0, 1], Block(7, RECOVERY, 40))


def test_stale_and_temporary_replicas_are_ignored() -> None:
    nodes, block = synced(
        found(0, 500, FINALIZED, stamp=STAMP - 1),
        found(1, 20, RBW),
        found(2, 500, ReplicaState.TEMPORARY),
    )
    assert (nodes, block.num_bytes) == ([1], 20)


def test_finalized_replicas_of_different_length_are_not_guessed_about() -> None:
    with pytest.raises(RecoveryImpossible, match="differ in length"):
        synced(found(0, 1, FINALIZED), found(1, 2, FINALIZED))


def test_block_without_a_byte_is_dropped() -> None:
    for answers in (
        [ReplicaMissing(0), ReplicaMissing(1)],
        [found(0, 0, RBW), ReplicaMissing(1)],
        # The empty replica is current, so nothing was acknowledged by the silent node either.
        [found(0, 0, RBW), ReplicaUnknown(1, "gone")],
        [found(0, 100, RBW, stamp=STAMP - 1)],
    ):
        assert decide_recovery(BLOCK, RECOVERY, answers) == DropBlock()


def test_block_is_not_dropped_on_the_word_of_those_who_never_had_it() -> None:
    for answers in (
        [ReplicaMissing(0), ReplicaUnknown(1, "host down")],
        [found(0, 9, RBW, stamp=STAMP - 1), ReplicaUnknown(1, "host down")],
        [ReplicaUnknown(0, "host down")],
    ):
        with pytest.raises(RecoveryImpossible, match="host down"):
            decide_recovery(BLOCK, RECOVERY, answers)


def test_only_unfinished_copies_are_no_base_for_recovery() -> None:
    with pytest.raises(RecoveryImpossible, match="never finished"):
        decide_recovery(BLOCK, RECOVERY, [found(0, 9, ReplicaState.TEMPORARY)])


def test_truncation_sets_length_and_may_set_the_id() -> None:
    finalized = (found(0, 100, FINALIZED), found(1, 100, FINALIZED))
    assert synced(*finalized, truncate_to=Block(7, RECOVERY, 60))[1] == Block(7, RECOVERY, 60)
    assert synced(*finalized, truncate_to=Block(8, RECOVERY, 60))[1] == Block(8, RECOVERY, 60)
    with pytest.raises(RecoveryImpossible, match="truncated"):
        synced(*finalized, truncate_to=Block(7, RECOVERY, 101))


answer_strategy = st.one_of(
    st.builds(
        lambda length, state, stamp: found(0, length, state, stamp),
        st.integers(0, 5),
        st.sampled_from(ReplicaState),
        st.integers(STAMP - 1, STAMP + 1),
    ),
    st.just(ReplicaMissing(0)),
    st.just(ReplicaUnknown(0, "down")),
)


@given(st.lists(answer_strategy, min_size=1, max_size=5))
def test_decision_never_lengthens_or_mixes(answers: list[ReplicaAnswer]) -> None:
    try:
        decision = decide_recovery(BLOCK, RECOVERY, answers)
    except RecoveryImpossible:
        return
    usable = [
        one
        for one in answers
        if isinstance(one, ReplicaFound)
        and one.block.generation_stamp >= STAMP
        and one.block.num_bytes > 0
        and one.original_state <= RWR
    ]
    if isinstance(decision, DropBlock):
        assert not usable
        return
    assert decision.participants
    assert set(decision.participants) <= set(usable)
    for one in decision.participants:
        assert one.block.num_bytes >= decision.new_block.num_bytes > 0
    best = min(one.original_state for one in usable)
    assert all(one in decision.participants for one in usable if one.original_state == best)


@given(
    acknowledged=st.integers(0, 10),
    extra=st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=4),
    closing=st.booleans(),
    data=st.data(),
)
def test_acknowledged_bytes_survive(
    acknowledged: int, extra: list[tuple[int, bool]], closing: bool, data: st.DataObject
) -> None:
    """Model: a pipeline whose nodes hold what was acknowledged and perhaps more.

    While closing, some nodes have finalized at the full length, others have not yet.
    Any one of them may be silent as long as another answers."""
    full = acknowledged + 3
    answers: list[ReplicaAnswer] = []
    for node, (more, done) in enumerate(extra):
        if closing and done:
            answers.append(found(node, full, FINALIZED))
        else:
            answers.append(found(node, full if closing else acknowledged + more, RBW))
    silent = data.draw(st.sets(st.integers(0, len(answers) - 1), max_size=len(answers) - 1))
    for node in silent:
        answers[node] = ReplicaUnknown(node, "silent")
    decision = decide_recovery(BLOCK, RECOVERY, answers)
    if isinstance(decision, DropBlock):
        assert acknowledged == 0
    else:
        assert decision.new_block.num_bytes >= acknowledged
