"""A progress bar on a terminal for copies that take a while; nothing in pipes and scripts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cairnfs.errors import CairnError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Copies that take less show nothing: neither the bar nor the time to import it.
_DELAY_S = 0.4


class CopyStopped(CairnError):
    """The command was interrupted while another thread was copying."""

    exit_code = 130


class CopyProgress:
    """What the copies of one command have done. Safe to use from its copying threads."""

    def __init__(self) -> None:
        self._wanted = sys.stderr.isatty() and sys.stdout.isatty()
        self._bar: Progress | None = None
        # Set where copies in other threads shall give up.
        self.stopped = False

    def __enter__(self) -> CopyProgress:
        return self

    def __exit__(self, *reason: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def file(self, name: str, size: int | None) -> FileProgress:
        """One more file of ``size`` bytes (None: nobody knows)."""
        return FileProgress(self, name, size, self._wanted)

    def bar(self) -> Progress:
        """The bar, shown from now on."""
        if self._bar is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self._bar


class FileProgress:
    """The copy of one file; call it with each number of bytes that went through."""

    def __init__(
        self,
        copies: CopyProgress,
        name: str,
        size: int | None,
        wanted: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._copies = copies
        self._name = name
        self._size = size
        self._shown_from = now() + _DELAY_S if wanted else float("inf")
        self._now = now
        self._count = 0
        self._task: TaskID | None = None

    def __call__(self, count: int) -> None:
        if self._copies.stopped:
            raise CopyStopped(f"{self._name}: the copy was interrupted")
        self._count += count
        if self._task is not None:
            self._copies.bar().update(self._task, completed=self._count)
        elif self._now() >= self._shown_from:
            self._task = self._copies.bar().add_task(
                # Pipes and the like say 0.
                self._name,
                total=self._size or None,
                completed=self._count,
            )

    def __enter__(self) -> FileProgress:
        return self

    def __exit__(self, *reason: object) -> None:
        if self._task is not None:
            self._copies.bar().remove_task(self._task)
