"""Facts about replicas reach a NameNode newest last, whatever is lost on the way."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from cairnfs.datanode.incremental import FactBatch, FactStatus, PendingFacts, ReplicaFact
from cairnfs.types import Block, DatanodeStorage

STORAGE = DatanodeStorage("DS-1")
RECEIVING, RECEIVED, DELETED = FactStatus.RECEIVING, FactStatus.RECEIVED, FactStatus.DELETED


def fact(
    block_id: int, status: FactStatus, stamp: int = 1000, storage: DatanodeStorage = STORAGE
) -> ReplicaFact:
    return ReplicaFact(storage, Block(block_id, stamp, 10), status)


def taken(pending: PendingFacts) -> FactBatch:
    batch = pending.take()
    assert batch is not None
    return batch


def test_newer_fact_replaces_one_that_waits() -> None:
    pending = PendingFacts()
    pending.add(fact(1, RECEIVING))
    assert not pending.urgent
    pending.add(fact(1, RECEIVED))
    assert pending.urgent
    assert taken(pending).facts == (fact(1, RECEIVED),)
    assert not pending.urgent
    assert pending.take() is None


def test_received_overtakes_receiving_but_deleted_waits_for_received() -> None:
    pending = PendingFacts()
    pending.add(fact(1, RECEIVING))
    first = taken(pending)
    pending.add(fact(1, RECEIVED))
    second = taken(pending)
    pending.add(fact(1, DELETED))
    pending.add(fact(2, RECEIVED))
    assert taken(pending).facts == (fact(2, RECEIVED),)
    pending.delivered(second.number)
    assert pending.take() is None  # RECEIVING is still on its way
    pending.delivered(first.number)
    assert taken(pending).facts == (fact(1, DELETED),)


def test_failed_batch_comes_back_before_newer_facts_and_under_them() -> None:
    pending = PendingFacts()
    pending.add(fact(1, RECEIVED))
    pending.add(fact(2, RECEIVED))
    batch = taken(pending)
    pending.add(fact(3, RECEIVED))
    pending.add(fact(1, DELETED))
    pending.failed(batch.number)
    assert pending.urgent
    assert taken(pending).facts == (fact(2, RECEIVED), fact(3, RECEIVED), fact(1, DELETED))


def test_failed_fact_that_a_later_batch_covers_does_not_come_back() -> None:
    pending = PendingFacts()
    pending.add(fact(1, RECEIVING))
    first = taken(pending)
    pending.add(fact(1, RECEIVED))
    second = taken(pending)
    pending.failed(first.number)
    assert len(pending) == 0
    pending.failed(second.number)
    assert taken(pending).facts == (fact(1, RECEIVED),)


def test_removal_of_a_former_replica_does_not_cover_the_new_one() -> None:
    pending = PendingFacts()
    pending.add(fact(1, RECEIVED, stamp=1002))
    pending.add(fact(1, DELETED, stamp=1001))
    pending.add(fact(1, DELETED, stamp=1002, storage=DatanodeStorage("DS-2")))
    assert taken(pending).facts == (fact(1, RECEIVED, stamp=1002),)


def test_overflow_forgets_and_says_so() -> None:
    pending = PendingFacts(facts_max=2)
    for block_id in (1, 2, 3):
        pending.add(fact(block_id, RECEIVED))
    assert pending.overflowed
    assert len(pending) == 0
    assert not pending.urgent


def test_overflow_by_facts_that_come_back() -> None:
    pending = PendingFacts(facts_max=2)
    pending.add(fact(1, RECEIVED))
    pending.add(fact(2, RECEIVED))
    batch = taken(pending)
    pending.add(fact(3, RECEIVED))
    pending.failed(batch.number)
    assert pending.overflowed
    assert len(pending) == 0


class LossyNamenode(RuleBasedStateMachine):
    """Batches arrive in any order, or are lost before or after arriving.

    At rest the NameNode must know of each block what happened to it last."""

    batches = Bundle("batches")

    def __init__(self) -> None:
        super().__init__()
        self.pending = PendingFacts()
        self.truth: dict[int, FactStatus] = {}
        self.known: dict[int, FactStatus] = {}

    @rule(block_id=st.integers(1, 3), status=st.sampled_from(FactStatus))
    def happens(self, block_id: int, status: FactStatus) -> None:
        if status is RECEIVING and self.truth.get(block_id) is not None:
            # A client writes to a replica that was finished or removed only under a new
            # generation, which is another replica; copies between nodes report no begin.
            return
        self.truth[block_id] = status
        self.pending.add(fact(block_id, status))

    @rule(target=batches)
    def send(self) -> FactBatch | None:
        return self.pending.take()

    @rule(batch=consumes(batches), arrives=st.booleans(), answered=st.booleans())
    def settle(self, batch: FactBatch | None, arrives: bool, answered: bool) -> None:
        if batch is None:
            return
        if arrives or answered:
            self.arrive(batch)
        if answered:
            self.pending.delivered(batch.number)
        else:
            self.pending.failed(batch.number)

    def arrive(self, batch: FactBatch) -> None:
        for one in batch.facts:
            block_id = one.block.block_id
            if one.status is RECEIVING and self.known.get(block_id) is RECEIVED:
                continue  # what every NameNode does
            self.known[block_id] = one.status

    @invariant()
    def urgency_is_counted_right(self) -> None:
        waiting = self.pending._waiting.values()
        assert self.pending.urgent == any(one.status is RECEIVED for one in waiting)

    @invariant()
    def truth_arrives_in_the_end(self) -> None:
        if self.pending.batches_in_flight == 0 and len(self.pending) == 0:
            assert self.known == self.truth


TestLossyNamenode = LossyNamenode.TestCase
TestLossyNamenode.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
