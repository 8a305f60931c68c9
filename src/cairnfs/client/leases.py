"""Keeps the leases of a client's open files alive, with one task and only while there are any."""

from __future__ import annotations

import asyncio
import logging

from cairnfs.client.namenode import Namenode
from cairnfs.client.writer import FileWriter
from cairnfs.clock import Clock
from cairnfs.errors import CairnError
from cairnfs.log import peer_fault

logger = logging.getLogger(__name__)

# Half of the soft limit (60 s) after which others may take a file over, as in Hadoop.
RENEWAL_MS = 30_000


class LeaseRenewer:
    """Renews every ``interval_ms``. All files of one client share one lease."""

    def __init__(self, namenode: Namenode, clock: Clock, interval_ms: int = RENEWAL_MS) -> None:
        self._namenode = namenode
        self._clock = clock
        self._interval_ms = interval_ms
        self._task: asyncio.Task[None] | None = None
        self.open_files: set[FileWriter] = set()

    def add(self, writer: FileWriter) -> None:
        self.open_files.add(writer)
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def remove(self, writer: FileWriter) -> None:
        self.open_files.discard(writer)
        if not self.open_files and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await self._clock.sleep_ms(self._interval_ms)
            try:
                await self._namenode.renew_lease()
            except CairnError as error:
                # The writers find out by themselves if the lease is lost in the end.
                peer_fault(
                    logger, "the lease of %s is not renewed: %s", self._namenode.client_name, error
                )

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
