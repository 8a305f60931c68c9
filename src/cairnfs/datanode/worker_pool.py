"""Threads for active transfers: started when needed, used again, ended when idle."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from cairnfs.log import our_fault

logger = logging.getLogger(__name__)

# An idle thread waits so long for its next transfer.
_IDLE_S = 30.0


class WorkerPool:
    """Runs jobs in threads; never more than ``threads_max`` at once. Thread safe.

    A job is a callable; what it raises is a defect of ours and is logged as such."""

    def __init__(self, name: str, threads_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        # Jobs that are queued or run, and threads that are there or about to be.
        self._jobs_open = 0
        self._started = 0

    @property
    def busy(self) -> int:
        """Jobs that run or wait for a thread that is just starting."""
        return self._jobs_open

    def submit(self, job: Callable[[], None]) -> bool:
        """Run ``job`` soon; False if all threads are busy."""
        with self._lock:
            if self._jobs_open >= self._threads_max:
                return False
            self._jobs_open += 1
            if self._jobs_open > len(self._threads):
                self._started += 1
                thread = threading.Thread(
                    target=self._work, name=f"{self._name}-{self._started}", daemon=True
                )
                self._threads.add(thread)
                thread.start()
        self._jobs.put(job)
        return True

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    # A job that was just submitted may count on this thread.
                    if self._jobs_open >= len(self._threads):
                        continue
                    self._threads.discard(me)
                    return
            if job is None:
                return
            try:
                job()
            except Exception:
                our_fault(logger, "a transfer ended with an unexpected error", exc_info=True)
            finally:
                del job
                with self._lock:
                    self._jobs_open -= 1

    def stop(self, timeout_s: float) -> bool:
        """End the threads once their jobs are done; whether all did in time. No job may be
        submitted any more."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in threads)
