"""Threads for active transfers: started when needed, used again, ended when idle."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from cairnfs.log import our_fault

logger = logging.getLogger(__name__)

# An idle thread waits so long for its next transfer.
_IDLE_S = 30.0

Job = Callable[[], None]


class _Worker:
    """One thread, and the job that it is to do next (None: end)."""

    __slots__ = ("job", "thread", "wake")

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        # Held while there is nothing to do.
        self.wake = threading.Lock()
        self.wake.acquire()
        self.thread: threading.Thread

    def give(self, job: Job | None) -> None:
        self.job = job
        self.wake.release()


class WorkerPool:
    """Runs jobs in threads; never more than ``threads_max`` at once. Thread safe.

    A job is a callable; what it raises is a defect of ours and is logged as such. It goes to
    the thread that became idle last, whose caches are warm, and wakes no other: of threads
    that wait on one queue a second one wakes for nothing and takes the interpreter away."""

    def __init__(self, name: str, threads_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._busy = 0
        self._started = 0
        self._stopping = False

    @property
    def busy(self) -> int:
        """Jobs that run or are about to."""
        return self._busy

    def submit(self, job: Job) -> bool:
        """Run ``job`` soon; False if all threads are busy."""
        with self._lock:
            if self._busy >= self._threads_max:
                return False
            self._busy += 1
            if self._idle:
                self._idle.pop().give(job)
                return True
            self._started += 1
            worker = _Worker(job)
            worker.thread = threading.Thread(
                target=self._work,
                args=(worker,),
                name=f"{self._name}-{self._started}",
                daemon=True,
            )
            self._workers.add(worker)
            # Before the lock is given back: whoever stops the pool joins what stands in it.
            worker.thread.start()
        return True

    def _work(self, me: _Worker) -> None:
        while me.job is not None:
            try:
                me.job()
            except Exception:
                our_fault(logger, "a transfer ended with an unexpected error", exc_info=True)
            me.job = None
            with self._lock:
                self._busy -= 1
                if self._stopping:
                    break
                self._idle.append(me)
            if not me.wake.acquire(timeout=_IDLE_S):
                with self._lock:
                    if me in self._idle:
                        self._idle.remove(me)
                        break
                # It was given a job in this moment.
                me.wake.acquire()
        with self._lock:
            self._workers.discard(me)

    def stop(self, timeout_s: float) -> bool:
        """End the threads once their jobs are done; whether all did in time. No job may be
        submitted any more."""
        with self._lock:
            self._stopping = True
            workers = list(self._workers)
            while self._idle:
                self._idle.pop().give(None)
        for worker in workers:
            worker.thread.join(timeout_s)
        return not any(worker.thread.is_alive() for worker in workers)
