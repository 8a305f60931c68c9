"""Copying one file between any two file systems, several at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from cairnfs.errors import CairnError
from cairnfs.shell.failures import exists
from cairnfs.shell.item import Item
from cairnfs.shell.progress import CopyProgress, CopyStopped, FileProgress

if TYPE_CHECKING:
    from cairnfs.shell.destination import CopyVerb

# The name that Hadoop's shell writes under until a file is whole.
COPYING = "._COPYING_"
_QUEUED_MAX = 1024


class Copier:
    """Copies files, in ``threads`` threads if that is more than one. ``fail`` is told what goes
    wrong in them; a context manager that waits for all copies."""

    def __init__(self, threads: int, fail: Callable[[Exception], None]) -> None:
        self._fail = fail
        self._progress = CopyProgress()
        self._pool = (
            concurrent.futures.ThreadPoolExecutor(threads, "cairn-copy") if threads > 1 else None
        )
        self._running: set[concurrent.futures.Future[None]] = set()

    def __enter__(self) -> Copier:
        self._progress.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._check(self._running)
        finally:
            # After a Ctrl-C no copy is begun any more, and those under way give up.
            self._progress.stopped = True
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
            self._progress.__exit__()

    @staticmethod
    def _check(copies: set[concurrent.futures.Future[None]]) -> None:
        """Wait for copies. Raises what no copy should have raised."""
        for copy in copies:
            copy.result()

    def copy(self, source: Item, target: Item, verb: CopyVerb) -> None:
        if self._pool is None:
            self._copy(source, target, verb)
            return
        if len(self._running) >= _QUEUED_MAX:
            done, self._running = concurrent.futures.wait(
                self._running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            self._check(done)
        self._running.add(self._pool.submit(self._copy_and_tell, source, target, verb))

    def _copy_and_tell(self, source: Item, target: Item, verb: CopyVerb) -> None:
        try:
            self._copy(source, target, verb)
        except CopyStopped:
            pass  # by whoever interrupted the command, and knows it
        except (CairnError, OSError) as error:
            self._fail(error)

    def _copy(self, source: Item, target: Item, verb: CopyVerb) -> None:
        with self._progress.file(source.name, source.found.length) as progress:

            def fill(place: Item) -> None:
                copy_file(source, place, progress, verb.verify)

            write_target(target, fill, verb.overwrite, verb.direct)
        keep_attributes(source, target, verb.kept)
        verb.after_file(source, target)


def write_target(target: Item, fill: Callable[[Item], None], overwrite: bool, direct: bool) -> None:
    """Let ``fill`` write ``target``, under a temporary name first unless ``direct``.

    A copy that fails or is interrupted leaves nothing behind. Raises ``AlreadyExists``."""
    if target.exists and (target.is_directory or not overwrite):
        raise exists(target.text)
    if direct:
        fill(target)
        return
    place = target.suffixed(COPYING)
    try:
        fill(place)
        place.fs.replace(place.path, target.path)
    except BaseException:
        with contextlib.suppress(CairnError, OSError):
            place.fs.delete(place.path)
        raise


def copy_file(source: Item, target: Item, progress: FileProgress, verify: bool) -> None:
    """Make ``target`` have the bytes of ``source``."""
    with source.fs.open(source.path, verify) as data, target.fs.create(target.path) as out:
        out.take(source.fs, data, progress)


def copy_stream(source: IO[bytes], target: Item, overwrite: bool, direct: bool) -> None:
    """Make ``target`` have all that a stream holds."""
    with CopyProgress() as copies, copies.file(target.name, None) as progress:

        def fill(place: Item) -> None:
            with place.fs.create(place.path) as out:
                out.copy_from(source, progress)

        write_target(target, fill, overwrite, direct)


def keep_attributes(source: Item, target: Item, kept: frozenset[str]) -> None:
    """Give ``target`` the times (``t``), owner (``o``) and permission (``p``) of ``source``."""
    found = source.found
    if "t" in kept:
        target.fs.set_times(target.path, found.modification_time_ms, found.access_time_ms)
    if "o" in kept:
        target.fs.set_owner(target.path, found.owner, found.group)
    if "p" in kept:
        target.fs.set_mode(target.path, found.mode)
