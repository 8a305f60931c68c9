"""Priorities, shares, deadlines and promises."""

from __future__ import annotations

import pytest

from cairnfs.blocks.intents import Intents
from cairnfs.blocks.needed import NeededReplication, Priority, priority_of
from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.pending import PendingCopies
from cairnfs.types import DatanodeID, DatanodeStorage


def make_storage(number: int) -> StorageDescriptor:
    host = f"10.0.0.{number}"
    node = DatanodeDescriptor(DatanodeID(host, host, f"dn-{number}", 1, 2, 3), "/r", 0)
    storage = StorageDescriptor(number, DatanodeStorage(f"DS-{number}"), node, counted=True)
    node.storages[storage.uuid] = storage
    return storage


@pytest.mark.requirement("A07")
@pytest.mark.parametrize(
    ("live", "out", "required", "priority"),
    [
        (0, 0, 3, Priority.CORRUPT_OR_MISSING),
        (0, 1, 3, Priority.HIGHEST),
        (1, 0, 3, Priority.HIGHEST),
        (1, 0, 2, Priority.HIGHEST),
        (2, 0, 10, Priority.VERY_LOW_REDUNDANCY),
        (2, 0, 3, Priority.LOW_REDUNDANCY),
        (3, 0, 3, Priority.BADLY_DISTRIBUTED),
    ],
)
def test_priorities(live: int, out: int, required: int, priority: Priority) -> None:
    assert priority_of(live, out, required) == priority


@pytest.mark.requirement("A07")
def test_most_at_risk_come_first_and_nobody_starves() -> None:
    needed = NeededReplication()
    for block_id in range(100):
        needed.put(block_id, Priority.HIGHEST)
    for block_id in range(100, 200):
        needed.put(block_id, Priority.LOW_REDUNDANCY)
    needed.put(999, Priority.CORRUPT_OR_MISSING)
    taken = needed.candidates(40)
    levels = [level for _, level in taken]
    assert levels == sorted(levels)
    assert levels.count(Priority.HIGHEST) >= 20
    assert levels.count(Priority.LOW_REDUNDANCY) >= 5
    assert len(taken) == 40
    # What cannot be helped now goes behind the others: all are tried in turn.
    seen = {block_id for block_id, _ in taken}
    for _ in range(20):
        seen |= {block_id for block_id, _ in needed.candidates(40)}
    assert seen == set(range(200))


def test_unused_shares_are_used() -> None:
    needed = NeededReplication()
    for block_id in range(50):
        needed.put(block_id, Priority.HIGHEST)
    assert len(needed.candidates(40)) == 40
    assert len(needed.candidates(80)) == 50


def test_a_block_is_in_one_level() -> None:
    needed = NeededReplication()
    needed.put(1, Priority.LOW_REDUNDANCY)
    needed.put(1, Priority.HIGHEST)
    assert (len(needed), needed.count(Priority.LOW_REDUNDANCY)) == (1, 0)
    assert (needed.level(1), list(needed.blocks(Priority.HIGHEST))) == (Priority.HIGHEST, [1])
    needed.discard(1)
    needed.discard(1)
    assert 1 not in needed
    assert needed.level(1) is None


@pytest.mark.requirement("A10")
def test_promises_are_kept_once() -> None:
    intents, one, two = Intents(), make_storage(1), make_storage(2)
    intents.promise(7, one, 100)
    intents.promise(7, one, 100)
    intents.promise(7, two, 100)
    intents.promise(8, two, 50)
    assert (one.scheduled_bytes, two.scheduled_bytes, len(intents)) == (100, 150, 3)
    assert intents.expected(7, one.node)
    assert intents.settle(7, one.node)
    assert not intents.settle(7, one.node)
    assert not intents.settle(9, one.node)
    intents.drop(7)
    intents.drop(7)
    assert (one.scheduled_bytes, two.scheduled_bytes, len(intents)) == (0, 50, 1)
    assert not intents.expected(7, two.node)


@pytest.mark.requirement("A07")
def test_copies_that_do_not_arrive_are_named_once() -> None:
    intents = Intents()
    pending = PendingCopies(intents, timeout_ms=1_000)
    source, one, two = make_storage(1).node, make_storage(2), make_storage(3)
    pending.begin(7, source, [one, two], 100, now_ms=0)
    assert pending.count(7) == 2
    assert pending.targets(7) == [one, two]
    assert source.outgoing == one.node.incoming == {7}
    assert pending.arrived(7, one.node)
    assert not pending.arrived(7, one.node)
    # Another copy to the same node has its own time.
    pending.begin(7, source, [one], 100, now_ms=500)
    assert pending.expire(999) == []
    assert pending.expire(1_000) == [(7, "dn-3")]
    assert pending.expire(1_499) == []
    assert pending.expire(1_500) == [(7, "dn-2")]
    assert (len(pending), len(intents)) == (0, 0)
    assert source.outgoing == set()


def test_a_lost_node_ends_its_copies() -> None:
    intents = Intents()
    pending = PendingCopies(intents, timeout_ms=1_000)
    source, one, two = make_storage(1).node, make_storage(2), make_storage(3)
    pending.begin(7, source, [one], 100, now_ms=0)
    pending.begin(8, one.node, [two], 100, now_ms=0)
    pending.begin(9, two.node, [make_storage(4)], 100, now_ms=0)
    assert pending.drop_node(one.node) == {7, 8}
    assert (pending.count(7), pending.count(8), pending.count(9)) == (0, 0, 1)
    pending.drop_block(9)
    assert (len(pending), len(intents)) == (0, 0)
