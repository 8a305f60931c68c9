"""Threads for work of the control plane that may take long, awaited on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from cairnfs.datanode.worker_pool import WorkerPool
from cairnfs.errors import ServerTooBusy
from cairnfs.limits import CONTROL_THREADS_MAX

T = TypeVar("T")

# Work under way gets so long to end when the node stops; the threads are daemons.
_STOP_S = 5.0


class ControlThreads:
    """A pool of daemon threads. Unlike ``asyncio.to_thread``'s they do not keep a process
    alive that stops in the middle of a long copy."""

    def __init__(self, threads_max: int = CONTROL_THREADS_MAX) -> None:
        self._pool = WorkerPool("control", threads_max)
        self._places = asyncio.Semaphore(threads_max)

    async def run(self, work: Callable[[], T]) -> T:
        """Do ``work`` in a thread, after others if all are busy; what it returns or raises.

        Raises ``ServerTooBusy`` where abandoned work holds all threads."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def job() -> None:
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:
                failure = error
            # The loop may have ended meanwhile: then nobody waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, failure)

        async with self._places:
            if not self._pool.submit(job):
                raise ServerTooBusy("all control threads of this DataNode are busy; try again")
            return await future

    async def stop(self) -> None:
        """Wait a while for what is under way, then leave it behind."""
        await asyncio.to_thread(self._pool.stop, _STOP_S)
