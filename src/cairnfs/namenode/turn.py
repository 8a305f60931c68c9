"""One batch of changes: what its operations write to, and when they happen."""

from __future__ import annotations

from cairnfs.store.interface import Batch, Store


class Turn:
    """Shared by all operations of a batch. ``now_ms`` is wall time, ``steady_ms`` never
    goes back.

    The replica store's batch is begun when it is first asked for: most changes of the
    namespace never look at replicas, and beginning and ending it costs 10 us."""

    __slots__ = ("_replica_store", "_replicas", "namespace", "now_ms", "steady_ms")

    def __init__(self, namespace: Batch, replica_store: Store, now_ms: int, steady_ms: int) -> None:
        self.namespace = namespace
        self.now_ms = now_ms
        self.steady_ms = steady_ms
        self._replica_store = replica_store
        self._replicas: Batch | None = None

    @property
    def replicas(self) -> Batch:
        """The batch of the replica store."""
        batch = self._replicas
        if batch is None:
            batch = self._replicas = self._replica_store.batch()
        return batch

    def savepoint(self) -> tuple[int, int]:
        """Where both batches stand."""
        replicas = self._replicas
        return self.namespace.savepoint(), 0 if replicas is None else replicas.savepoint()

    def rollback(self, savepoint: tuple[int, int]) -> None:
        """Undo what was done since."""
        self.namespace.rollback(savepoint[0])
        if self._replicas is not None:
            self._replicas.rollback(savepoint[1])

    def end_replicas(self, *, commit: bool) -> None:
        """Commit (or give up) what was written to the replica store, if anything was."""
        replicas, self._replicas = self._replicas, None
        if replicas is None:
            return
        if commit and replicas.changes:
            replicas.commit()
        else:
            replicas.abort()
