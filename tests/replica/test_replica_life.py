"""The life of a replica: each transition, and random lives that must keep what was acked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.errors import (
    CairnError,
    FileSystemError,
    RecoveryInProgress,
    ReplicaAlreadyExists,
    ReplicaNotFound,
)
from cairnfs.replica import life as lives
from cairnfs.replica.life import ReplicaLife
from cairnfs.types import Block, ReplicaState

RBW, RWR, RUR = ReplicaState.RBW, ReplicaState.RWR, ReplicaState.RUR
FINALIZED, TEMPORARY = ReplicaState.FINALIZED, ReplicaState.TEMPORARY


def block(stamp: int = 10, length: int = 0) -> Block:
    return Block(1, stamp, length)


def at(state: ReplicaState, stamp: int = 10, length: int = 100) -> ReplicaLife:
    return ReplicaLife(1, stamp, state, length, length, length)


def test_a_new_replica_is_empty_and_has_the_newest_stamp() -> None:
    assert lives.create_rbw(None, block(), 0) == ReplicaLife(1, 10, RBW)
    assert lives.create_rbw(None, block(), 12) == ReplicaLife(1, 12, RBW)


def test_a_client_replaces_a_replica_only_under_a_new_stamp() -> None:
    with pytest.raises(ReplicaAlreadyExists):
        lives.create_rbw(at(FINALIZED), block(), 0)
    assert lives.create_rbw(at(FINALIZED), block(), 11).generation_stamp == 11


@pytest.mark.parametrize(
    ("existing", "is_transfer", "allowed"),
    [
        (None, False, True),
        (at(FINALIZED, 10), False, False),
        (at(FINALIZED, 9), False, False),
        (at(FINALIZED, 9), True, True),
        (at(RBW, 9), False, True),
        (at(TEMPORARY, 9), False, True),
        (at(RBW, 10), True, False),
        (at(RWR, 9), False, False),
    ],
)
def test_a_copy_replaces_only_what_is_older(
    existing: ReplicaLife | None, is_transfer: bool, allowed: bool
) -> None:
    if allowed:
        made = lives.create_temporary(existing, block(), is_transfer)
        assert (made.state, made.generation_stamp) == (TEMPORARY, 10)
    else:
        with pytest.raises(ReplicaAlreadyExists):
            lives.create_temporary(existing, block(), is_transfer)


def test_visible_are_the_acked_bytes_until_it_is_closed() -> None:
    writing = ReplicaLife(1, 10, RBW, 300, 200, 100)
    assert writing.visible_length == 100
    assert lives.finalize(writing).visible_length == 200
    assert at(RWR).visible_length == at(TEMPORARY).visible_length == -1


def test_append_wants_the_exact_replica() -> None:
    opened = lives.append(at(FINALIZED), block(), 11, 100)
    assert opened == ReplicaLife(1, 11, RBW, 100, 100, 100)
    with pytest.raises(FileSystemError, match="below"):
        lives.append(at(FINALIZED), block(), 9, 100)
    with pytest.raises(FileSystemError, match="corrupt"):
        lives.append(at(FINALIZED), block(), 11, 99)
    with pytest.raises(ReplicaNotFound):
        lives.append(at(FINALIZED, 9), block(), 11, 100)
    with pytest.raises(ReplicaNotFound):
        lives.append(at(RBW), block(), 11, 100)


def test_pipeline_recovery_keeps_what_was_acked_and_drops_the_rest() -> None:
    writing = ReplicaLife(1, 10, RBW, 300, 200, 100)
    change = lives.recover_rbw(writing, block(), 12, 100, 300)
    assert change.truncate_to == 100
    assert change.life == ReplicaLife(1, 12, RBW, 100, 100, 100)
    assert lives.recover_rbw(at(RBW), block(), 12, 0, 200).truncate_to is None


@pytest.mark.parametrize(
    ("life", "received_min", "received_max", "new_stamp"),
    [
        (at(RBW), 101, 200, 12),
        (at(RBW), 0, 99, 12),
        (at(FINALIZED), 0, 200, 12),
        (at(RBW, 9), 0, 200, 12),
        (at(RBW, 13), 0, 200, 12),
        (at(RWR), 0, 200, 12),
    ],
)
def test_pipeline_recovery_refuses_what_does_not_fit(
    life: ReplicaLife, received_min: int, received_max: int, new_stamp: int
) -> None:
    with pytest.raises(ReplicaNotFound):
        lives.recover_rbw(life, block(), new_stamp, received_min, received_max)


@pytest.mark.parametrize("state", [RBW, FINALIZED])
def test_a_lost_last_ack_is_recovered_from_either_state(state: ReplicaState) -> None:
    assert lives.recover_close(at(state), block(), 12, 100) == at(FINALIZED, 12)
    assert lives.recover_append(at(state), block(), 12, 100) == at(RBW, 12)
    with pytest.raises(FileSystemError, match="length"):
        lives.recover_close(at(state), block(), 12, 101)


def test_close_recovery_refuses_a_replica_whose_data_is_not_all_acked() -> None:
    with pytest.raises(ReplicaAlreadyExists):
        lives.recover_close(ReplicaLife(1, 10, RBW, 100, 100, 90), block(), 12, 100)


def test_a_copy_joins_a_pipeline() -> None:
    joined = lives.temporary_to_rbw(at(TEMPORARY), block(10, 80))
    assert joined == ReplicaLife(1, 10, RBW, 100, 100, 80)
    with pytest.raises(FileSystemError):
        lives.temporary_to_rbw(at(TEMPORARY), block(10, 101))
    with pytest.raises(ReplicaAlreadyExists):
        lives.temporary_to_rbw(at(TEMPORARY), block(11, 80))
    with pytest.raises(ReplicaAlreadyExists):
        lives.temporary_to_rbw(at(RBW), block(10, 80))


@pytest.mark.parametrize("state", [RBW, RWR, FINALIZED, TEMPORARY])
def test_block_recovery_holds_any_replica_and_the_newest_recovery_wins(
    state: ReplicaState,
) -> None:
    held = lives.init_recovery(at(state), block(), 20)
    assert (held.state, held.original_state, held.recovery_id) == (RUR, state, 20)
    with pytest.raises(RecoveryInProgress):
        lives.init_recovery(held, block(), 20)
    newer = lives.init_recovery(held, block(), 21)
    with pytest.raises(FileSystemError, match="taken over"):
        lives.update_recovery(newer, 100, 20, 50)
    change = lives.update_recovery(newer, 100, 21, 50)
    assert change.truncate_to == 50
    assert change.life == ReplicaLife(1, 21, FINALIZED, 50, 50, 50)


def test_block_recovery_refuses_old_replicas_old_recoveries_and_wrong_lengths() -> None:
    with pytest.raises(FileSystemError, match="older"):
        lives.init_recovery(at(RBW, 9), block(), 20)
    with pytest.raises(FileSystemError, match="as new"):
        lives.init_recovery(at(RBW, 20), block(), 20)
    held = lives.init_recovery(at(RBW), block(), 20)
    for old_length, new_length in ((99, 50), (100, 101)):
        with pytest.raises(FileSystemError):
            lives.update_recovery(held, old_length, 20, new_length)
    with pytest.raises(FileSystemError, match="not under recovery"):
        lives.update_recovery(at(RBW), 100, 20, 50)


def test_a_replica_under_recovery_is_read_as_what_it_was() -> None:
    assert lives.init_recovery(at(FINALIZED), block(), 20).visible_length == 100
    assert lives.init_recovery(at(RWR), block(), 20).visible_length == -1


# --- random lives --------------------------------------------------------------------------------

OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 50)),
    st.tuples(st.just("ack"), st.integers(0, 300)),
    st.tuples(st.just("finalize"), st.just(0)),
    st.tuples(st.just("append"), st.integers(-1, 3)),
    st.tuples(st.just("recover_rbw"), st.integers(-1, 3)),
    st.tuples(st.just("recover_close"), st.integers(-1, 3)),
    st.tuples(st.just("recover_append"), st.integers(-1, 3)),
    st.tuples(st.just("init_recovery"), st.integers(-1, 3)),
    st.tuples(st.just("update_recovery"), st.integers(0, 300)),
    st.tuples(st.just("restart"), st.just(0)),
)


def step(life: ReplicaLife, name: str, number: int) -> ReplicaLife:
    """One operation; a client that names the replica as it is (but for its stamp)."""
    stamp = life.generation_stamp + number
    named = Block(1, life.generation_stamp, life.on_disk)
    match name:
        case "write" if life.is_open:
            length = life.on_disk + number
            return replace(life, received=length, on_disk=length)
        case "ack" if life.is_open:
            return replace(life, acked=max(life.acked, min(number, life.on_disk)))
        case "finalize":
            return lives.finalize(life)
        case "append":
            return lives.append(life, named, stamp, life.on_disk)
        case "recover_rbw":
            return lives.recover_rbw(life, named, stamp, life.acked, life.received).life
        case "recover_close":
            return lives.recover_close(life, named, stamp, life.on_disk)
        case "recover_append":
            return lives.recover_append(life, named, stamp, life.on_disk)
        case "init_recovery":
            return lives.init_recovery(life, named, max(stamp, life.recovery_id + number))
        case "update_recovery":
            new_length = max(life.acked, min(number, life.on_disk))
            return lives.update_recovery(life, life.on_disk, life.recovery_id, new_length).life
        case "restart" if life.state is RBW:
            return lives.restarted(life, life.on_disk)
    return life


@given(st.lists(OPERATIONS, max_size=40))
def test_no_life_loses_acked_bytes_or_goes_back_in_generation(
    operations: list[tuple[str, int]],
) -> None:
    life = ReplicaLife(1, 10, RBW)
    for name, number in operations:
        before = life
        try:
            life = step(life, name, number)
        except CairnError:
            assert life is before
            continue
        assert life.generation_stamp >= before.generation_stamp, name
        assert life.on_disk >= before.acked, name
        assert life.block_id == 1
        if before.state is FINALIZED and name not in ("append", "recover_append"):
            assert life.state in (FINALIZED, RUR), name
