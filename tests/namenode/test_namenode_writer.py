"""Group commit: order, isolation of failures, answers only when durable."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cairnfs.clock import SystemClock
from cairnfs.errors import NotFound, RetriableError, StorageError
from cairnfs.namenode.turn import Turn
from cairnfs.namenode.writer import Operation, Writer
from cairnfs.store.interface import Batch
from cairnfs.store.memory import MemoryStore
from cairnfs.store.sync_pace import STALL_US, SyncPace


class JournalledStore:
    """A durable store whose sync the test holds back."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.last_sequence = 0
        self.durable_sequence = 0
        self.may_sync = threading.Event()
        self.sync_error: Exception | None = None
        self.syncs = 0

    def batch(self) -> Batch:
        return self.store.batch()

    def commit(self, batch: Batch) -> int:
        batch.commit()
        self.last_sequence += 1
        return self.last_sequence

    def sync(self) -> int:
        assert self.may_sync.wait(10)
        if self.sync_error is not None:
            raise self.sync_error
        self.syncs += 1
        self.durable_sequence = self.last_sequence
        return self.durable_sequence


def slow_disk() -> SyncPace:
    """Every sync is made in the thread."""
    pace = SyncPace()
    pace.took(STALL_US)
    return pace


def put(key: bytes) -> Operation[bytes]:
    def operation(turn: Turn) -> bytes:
        turn.namespace.put(key, b"1")
        return key

    return operation


@pytest.mark.requirement("A04")
async def test_answers_wait_for_the_journal_and_share_a_sync() -> None:
    journal = JournalledStore()
    writer = Writer(journal, MemoryStore(), SystemClock(), lambda error: None, pace=slow_disk())
    answers = [writer.run(put(b"k%d" % i)) for i in range(50)]
    while journal.last_sequence == 0:  # noqa: ASYNC110 - one pass of the loop at a time
        await asyncio.sleep(0)
    assert not any(answer.done() for answer in answers)
    journal.may_sync.set()
    assert await asyncio.gather(*answers) == [b"k%d" % i for i in range(50)]
    assert journal.syncs == 1
    assert writer.batches == 1
    await writer.close()


async def test_a_failed_operation_is_undone_alone() -> None:
    journal = JournalledStore()
    journal.may_sync.set()
    replicas = MemoryStore()
    writer = Writer(journal, replicas, SystemClock(), lambda error: None, pace=slow_disk())

    def fails(turn: Turn) -> bytes:
        turn.namespace.put(b"bad", b"1")
        turn.replicas.put(b"bad", b"1")
        raise NotFound("no such file")

    results = await asyncio.gather(
        writer.run(put(b"a")), writer.run(fails), writer.run(put(b"b")),
        return_exceptions=True,
    )  # fmt: skip
    assert results[0] == b"a"
    assert isinstance(results[1], NotFound)
    assert results[2] == b"b"
    snapshot = journal.store.snapshot()
    assert [snapshot.get(k) for k in (b"a", b"bad", b"b")] == [b"1", None, b"1"]
    assert replicas.snapshot().get(b"bad") is None
    await writer.close()


async def test_volatile_changes_do_not_wait_for_the_journal() -> None:
    journal = JournalledStore()
    writer = Writer(journal, MemoryStore(), SystemClock(), lambda error: None, pace=slow_disk())
    durable = writer.run(put(b"a"))
    volatile = writer.run(lambda turn: b"seen", volatile=True)
    assert await volatile == b"seen"
    assert not durable.done()
    journal.may_sync.set()
    assert await durable == b"a"
    await writer.close()


async def test_a_failed_sync_answers_nobody_with_success() -> None:
    journal = JournalledStore()
    journal.sync_error = StorageError("fdatasync: Input/output error")
    failures: list[BaseException] = []
    writer = Writer(journal, MemoryStore(), SystemClock(), failures.append, pace=slow_disk())
    first = writer.run(put(b"a"))
    journal.may_sync.set()
    with pytest.raises(RetriableError, match="Input/output"):
        await first
    with pytest.raises(RetriableError):
        await writer.run(put(b"b"))
    assert failures == [journal.sync_error]
    await writer.close()


async def test_a_quick_disk_is_synced_at_once() -> None:
    journal = JournalledStore()
    journal.may_sync.set()
    writer = Writer(journal, MemoryStore(), SystemClock(), lambda error: None)
    sync_threads: list[str] = []
    sync = journal.sync

    def named_sync() -> int:
        sync_threads.append(threading.current_thread().name)
        return sync()

    journal.sync = named_sync  # type: ignore[method-assign]
    assert await writer.run(put(b"a")) == b"a"
    assert sync_threads == [threading.current_thread().name]
    assert journal.durable_sequence == 1
    await writer.close()


async def test_a_sync_that_fails_at_once_answers_nobody_with_success() -> None:
    journal = JournalledStore()
    journal.may_sync.set()
    journal.sync_error = StorageError("fdatasync: Input/output error")
    failures: list[BaseException] = []
    writer = Writer(journal, MemoryStore(), SystemClock(), failures.append)
    answers = [writer.run(put(b"a")), writer.run(put(b"b"))]
    for error in await asyncio.gather(*answers, return_exceptions=True):
        assert isinstance(error, RetriableError)
        assert "Input/output" in str(error)
    with pytest.raises(RetriableError):
        await writer.run(put(b"c"))
    assert failures == [journal.sync_error]
    await writer.close()
