"""An event loop in a thread of its own, for programs that have none."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines in its loop, from any other thread. To be stopped by :meth:`stop`.

    ``at_exit`` is called when the interpreter ends before that: what waits for this thread
    later would wait for ever."""

    def __init__(self, at_exit: Callable[[], None]) -> None:
        self._at_exit = weakref.WeakMethod(at_exit)
        atexit.register(self._exit)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="cairn-client", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``; if the wait is interrupted, ``work`` is cancelled."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                concurrent.futures.wait([future], timeout=1)
            raise

    def _exit(self) -> None:
        at_exit = self._at_exit()
        if at_exit is not None:
            at_exit()

    def stop(self) -> None:
        atexit.unregister(self._exit)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
