"""The one writer: changes in order, group commit, answers after they are durable.

All operations submitted during one pass of the loop run one after another in one batch of
the namespace store and one of the replica store; a failing operation is undone alone. The
batch is written to the journal, committed, and made durable: at once where the disk is
quick (what arrives meanwhile is the next batch), otherwise by a thread while the loop goes
on, and whatever is committed meanwhile shares the next sync (DESIGN section 3).
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from cairnfs.clock import Clock
from cairnfs.errors import (
    CairnError,
    DiskFull,
    LocalProtocolError,
    RetriableError,
    StorageError,
    StoreFailed,
)
from cairnfs.log import our_fault
from cairnfs.namenode.turn import Turn
from cairnfs.store.interface import Batch, Change, Store
from cairnfs.store.sync_pace import SyncPace

logger = logging.getLogger(__name__)
R = TypeVar("R")

# Operations in one batch; more wait for the next pass, so that reads get their turn.
OPERATIONS_IN_BATCH_MAX = 500


class Durable(Protocol):
    """What the writer needs of :class:`cairnfs.store.durable.DurableStore`."""

    @property
    def last_sequence(self) -> int: ...

    @property
    def durable_sequence(self) -> int: ...

    def batch(self) -> Batch: ...

    def commit(self, batch: Batch) -> int: ...

    def sync(self) -> int: ...


Operation = Callable[[Turn], R]
Settle = Callable[[R | None, BaseException | None], None]


class _Submitted:
    __slots__ = ("error", "operation", "result", "settle", "volatile")

    def __init__(self, operation: Operation[object], settle: Settle[object], volatile: bool):
        self.operation = operation
        self.settle = settle
        self.volatile = volatile
        self.result: object = None
        self.error: BaseException | None = None


class Writer:
    """Runs operations ``(turn) -> result`` on the event loop.

    ``on_failure`` is told when the journal failed: nothing more can be promised, and the
    process must stop. ``beginning`` is called before each batch, and ``committed`` with the
    namespace's changes, and what they replaced, after each commit of some."""

    def __init__(
        self,
        namespace: Durable,
        replicas: Store,
        clock: Clock,
        on_failure: Callable[[BaseException], None],
        beginning: Callable[[], None] = lambda: None,
        committed: Callable[[list[Change], list[bytes | None]], None] = lambda *_: None,
        pace: SyncPace | None = None,
    ) -> None:
        self._namespace = namespace
        self._replicas = replicas
        self._clock = clock
        self._on_failure = on_failure
        self._beginning = beginning
        self._committed = committed
        self._pace = pace or SyncPace()
        self._loop = asyncio.get_running_loop()
        self._pending: deque[_Submitted] = deque()
        self._scheduled = False
        # Answers that wait until the journal is durable up to a sequence number.
        self._unsynced: deque[tuple[int, list[_Submitted]]] = deque()
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._failed: BaseException | None = None
        self._syncer = threading.Thread(target=self._sync_loop, name="journal-sync", daemon=True)
        self._syncer.start()
        self.batches = 0
        self.operations = 0
        self.syncs = 0

    def submit(self, operation: Operation[R], settle: Settle[R], *, volatile: bool = False) -> None:
        """Run ``operation`` in the next batch and then call ``settle(result, error)``.

        A ``volatile`` operation changes replica locations only and is settled without
        waiting for the journal."""
        self._pending.append(_Submitted(operation, settle, volatile))  # type: ignore[arg-type]
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_batch)

    def run(self, operation: Operation[R], *, volatile: bool = False) -> asyncio.Future[R]:
        """The same as a future."""
        future: asyncio.Future[R] = self._loop.create_future()

        def settle(result: R | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        self.submit(operation, settle, volatile=volatile)
        return future

    async def drained(self) -> None:
        """Return when everything submitted so far is durable and settled."""
        await self.run(lambda turn: None)

    async def close(self) -> None:
        """Settle what was submitted and end the sync thread."""
        if self._failed is None:
            await self.drained()
        self._wanted.put(None)
        await asyncio.to_thread(self._syncer.join)

    # --- on the loop -----------------------------------------------------------------------

    def _run_batch(self) -> None:
        self._scheduled = False
        if self._failed is not None:
            self._refuse(self._failed)
            return
        pending = self._pending
        if len(pending) > OPERATIONS_IN_BATCH_MAX:
            group = [pending.popleft() for _ in range(OPERATIONS_IN_BATCH_MAX)]
            self._scheduled = True
            self._loop.call_soon(self._run_batch)
        else:
            group = list(pending)
            pending.clear()
        try:
            self._execute(group)
        except (DiskFull, LocalProtocolError) as error:
            # The batch was undone as a whole: nobody gets a yes, and the store is as before.
            logger.error("a batch of %d changes was not made: %s", len(group), error)
            for submitted in group:
                submitted.settle(None, error)
            return
        except Exception as error:
            # The store and the journal may differ now: stop rather than go on.
            self._fail(error)
            for submitted in group:
                submitted.settle(None, error)
            return
        self._settle_or_wait(group)

    def _execute(self, group: list[_Submitted]) -> None:
        self._beginning()
        namespace = self._namespace.batch()
        clock = self._clock
        turn = Turn(namespace, self._replicas, clock.now_ms(), clock.steady_ms())
        for submitted in group:
            mark = turn.savepoint()
            try:
                submitted.result = submitted.operation(turn)
            except Exception as error:
                turn.rollback(mark)
                submitted.error = error
        self.batches += 1
        self.operations += len(group)
        # Namespace first: after a crash between the two commits the replica map lacks
        # locations, which the next reports bring, and names no block that does not exist.
        if namespace.changes:
            try:
                self._namespace.commit(namespace)
            except BaseException:
                turn.end_replicas(commit=False)
                raise
            self._committed(namespace.changes, namespace.replaced)
            try:
                turn.end_replicas(commit=True)
            except DiskFull as error:
                # The namespace has the change: "nothing was done" would be a lie.
                raise StoreFailed(f"the map of replicas failed: {error}") from error
        else:
            namespace.abort()
            turn.end_replicas(commit=True)

    def _settle_or_wait(self, group: list[_Submitted]) -> None:
        sequence = self._namespace.last_sequence
        durable = self._namespace.durable_sequence >= sequence
        # Not while the thread has one to make: the two would wait for each other.
        if not durable and not self._unsynced and self._pace.at_once():
            durable = self._sync_at_once()
            if not durable:
                self._fail_group(group)
                return
        waiting: list[_Submitted] = []
        for submitted in group:
            if durable or submitted.volatile:
                submitted.settle(submitted.result, submitted.error)
            else:
                waiting.append(submitted)
        if waiting:
            self._unsynced.append((sequence, waiting))
            self._wanted.put(sequence)

    def _sync_at_once(self) -> bool:
        began = time.perf_counter()
        try:
            self._namespace.sync()
        except Exception as error:
            self._fail(error)
            return False
        self._pace.took((time.perf_counter() - began) * 1e6)
        self.syncs += 1
        return True

    def _fail_group(self, group: list[_Submitted]) -> None:
        assert self._failed is not None, "only after a failed sync"
        for submitted in group:
            submitted.settle(None, self._refusal(self._failed))

    def _synced(self, sequence: int) -> None:
        self.syncs += 1
        unsynced = self._unsynced
        while unsynced and unsynced[0][0] <= sequence:
            for submitted in unsynced.popleft()[1]:
                submitted.settle(submitted.result, submitted.error)

    def _fail(self, error: BaseException) -> None:
        if self._failed is None:
            self._failed = error
            if isinstance(error, StorageError):
                logger.critical("stopping, because nothing can be made durable: %s", error)
            else:
                our_fault(logger, "the writer failed; stopping: %s", error, exc_info=error)
            self._on_failure(error)
        while self._unsynced:
            for submitted in self._unsynced.popleft()[1]:
                submitted.settle(None, self._refusal(error))
        self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        pending, self._pending = self._pending, deque()
        for submitted in pending:
            submitted.settle(None, self._refusal(error))

    @staticmethod
    def _refusal(error: BaseException) -> CairnError:
        return RetriableError(f"the NameNode is stopping because its journal failed: {error}")

    # --- in the sync thread ----------------------------------------------------------------

    def _sync_loop(self) -> None:
        while True:
            wanted = self._wanted.get()
            # One sync serves all that asked meanwhile.
            while wanted is not None and not self._wanted.empty():
                wanted = self._wanted.get()
            if wanted is None:
                return
            try:
                if self._namespace.durable_sequence < wanted:
                    self._namespace.sync()
                report, argument = self._synced, self._namespace.durable_sequence
            except BaseException as error:
                self._loop.call_soon_threadsafe(self._fail, error)
                return
            self._loop.call_soon_threadsafe(report, argument)
