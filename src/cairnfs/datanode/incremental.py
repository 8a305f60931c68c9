"""What a NameNode has yet to be told about replicas: the incremental block report.

One :class:`PendingFacts` for each NameNode. It keeps the newest fact of each replica,
hands out batches, and takes back what could not be delivered without letting it cover
anything newer. Batches may be in flight side by side, but never two whose order matters
for one replica: a NameNode with several handler threads may swap them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from cairnfs.limits import REPORT_FACTS_PENDING_MAX, REPORT_FACTS_PER_CALL_MAX
from cairnfs.types import Block, DatanodeStorage


class FactStatus(enum.IntEnum):
    """What happened to a replica; numbers of ``ReceivedDeletedBlockInfoProto``."""

    RECEIVING = 1
    RECEIVED = 2
    DELETED = 3


@dataclass(frozen=True, slots=True)
class ReplicaFact:
    """Something that happened to one replica of one storage."""

    storage: DatanodeStorage
    block: Block
    status: FactStatus
    delete_hint: str = ""

    def covers(self, older: ReplicaFact) -> bool:
        """Whether ``older`` need not be told any more.

        A DataNode holds one replica of a block. Only the removal of a former one (of an
        older generation, or of another storage after a move) says nothing about it."""
        return self.status is not FactStatus.DELETED or (
            self.block.generation_stamp >= older.block.generation_stamp
            and self.storage.storage_uuid == older.storage.storage_uuid
        )


@dataclass(frozen=True, slots=True)
class FactBatch:
    """Facts of one incremental report, in the order in which they happened."""

    number: int
    facts: tuple[ReplicaFact, ...]


@dataclass(slots=True)
class PendingFacts:
    """Facts that wait, and facts that are on their way.

    ``facts_max`` bounds what waits; beyond it all is forgotten and :attr:`overflowed`
    says that only a full report can tell the NameNode the truth again."""

    facts_max: int = REPORT_FACTS_PENDING_MAX
    overflowed: bool = False
    # By block id: the newest fact that waits; the facts on their way, oldest first.
    _waiting: dict[int, ReplicaFact] = field(default_factory=dict)
    _sent: dict[int, tuple[ReplicaFact, ...]] = field(default_factory=dict)
    _in_flight: dict[int, FactBatch] = field(default_factory=dict)
    _next_number: int = 1
    _urgent: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def batches_in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def urgent(self) -> bool:
        """A received replica waits, which a client's ``complete`` may be waiting for."""
        return self._urgent > 0

    def add(self, fact: ReplicaFact) -> None:
        """Take a new fact; it replaces an older one of the same replica."""
        block_id = fact.block.block_id
        old = self._waiting.get(block_id)
        if old is not None:
            if not fact.covers(old):
                return
            del self._waiting[block_id]
            self._urgent -= old.status is FactStatus.RECEIVED
        if len(self._waiting) >= self.facts_max:
            self.forget()
            self.overflowed = True
            return
        self._waiting[block_id] = fact
        self._urgent += fact.status is FactStatus.RECEIVED

    def take(self) -> FactBatch | None:
        """The next batch to send, or None where nothing can go now.

        Settle it with :meth:`delivered` or :meth:`failed`."""
        chosen: list[ReplicaFact] = []
        for block_id, fact in self._waiting.items():
            if all(_may_overtake(fact, sent) for sent in self._sent.get(block_id, ())):
                chosen.append(fact)
                if len(chosen) == REPORT_FACTS_PER_CALL_MAX:
                    break
        if not chosen:
            return None
        for fact in chosen:
            block_id = fact.block.block_id
            del self._waiting[block_id]
            self._sent[block_id] = (*self._sent.get(block_id, ()), fact)
            self._urgent -= fact.status is FactStatus.RECEIVED
        batch = FactBatch(self._next_number, tuple(chosen))
        self._next_number += 1
        self._in_flight[batch.number] = batch
        return batch

    def delivered(self, number: int) -> None:
        """The NameNode has taken batch ``number``."""
        self._settle(number)

    def failed(self, number: int) -> None:
        """Batch ``number`` may not have arrived: its facts wait again, before newer ones.

        Telling a NameNode a fact twice does no harm."""
        older = {
            fact.block.block_id: fact
            for fact in self._settle(number)
            if fact.block.block_id not in self._waiting
        }
        if len(older) + len(self._waiting) > self.facts_max:
            self.forget()
            self.overflowed = True
            return
        self._urgent += sum(fact.status is FactStatus.RECEIVED for fact in older.values())
        self._waiting = older | self._waiting

    def forget(self) -> None:
        """Drop what waits (a full report says it all)."""
        self._waiting.clear()
        self._urgent = 0
        self.overflowed = False

    def _settle(self, number: int) -> list[ReplicaFact]:
        """Take a batch off the road; those of its facts that no later one has covered."""
        batch = self._in_flight.pop(number, None)
        newest: list[ReplicaFact] = []
        for fact in batch.facts if batch is not None else ():
            block_id = fact.block.block_id
            sent = self._sent.pop(block_id)
            if sent[-1] is fact:
                newest.append(fact)
            rest = tuple(other for other in sent if other is not fact)
            if rest:
                self._sent[block_id] = rest
        return newest


def _may_overtake(fact: ReplicaFact, sent: ReplicaFact) -> bool:
    """Whether a NameNode that sees ``fact`` before ``sent`` ends up with the truth.

    It ignores "being received" for a replica that it knows as finished; every other pair
    must keep its order."""
    return (
        sent.status is FactStatus.RECEIVING
        and fact.status is FactStatus.RECEIVED
        and sent.block.generation_stamp == fact.block.generation_stamp
    )
