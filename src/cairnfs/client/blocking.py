"""The same file system for programs without asyncio: each call waits for its result.

A thread runs the event loop that does the work (read-ahead, acknowledgements and lease
renewals go on while the caller does something else). Everything here is safe to use from
several threads, one file object from one thread at a time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from cairnfs.client.entry import Entry
from cairnfs.client.filesystem import Conf, Entries
from cairnfs.client.filesystem import FileSystem as AsyncFileSystem
from cairnfs.client.namenode import FsStatus
from cairnfs.config.configuration import Configuration
from cairnfs.types import ContentSummary, DatanodeInfo, FsServerDefaults, LocatedBlock

if TYPE_CHECKING:
    from cairnfs.client.file_objects import FileIn, FileOut
    from cairnfs.wire.block_checksum import FileChecksum

T = TypeVar("T")
_STEP_ENTRIES = 1000


class LoopThread:
    """An event loop in a thread of its own; :meth:`run` runs a coroutine there."""

    def __init__(self) -> None:
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

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class FileSystem:
    """A file system; made by :func:`cairnfs.connect`. For what the methods mean and raise see
    :class:`cairnfs.client.filesystem.FileSystem`, whose methods of the same names they are."""

    def __init__(self, fs: AsyncFileSystem, loop: LoopThread) -> None:
        self._fs = fs
        self._loop: LoopThread | None = loop
        self.uri = fs.uri
        self.user = fs.user
        self.home = fs.home

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        conf: Conf = None,
        user: str | None = None,
        *,
        wait_ms: int | None = None,
    ) -> FileSystem:
        loop = LoopThread()
        try:
            return cls(loop.run(AsyncFileSystem.connect(url, conf, user, wait_ms=wait_ms)), loop)
        except BaseException:
            loop.stop()
            raise

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise ValueError(f"{self.uri} is closed")
        return self._loop.run(work)

    def close(self) -> None:
        """Close all connections and end the thread; files open for writing are abandoned."""
        loop, self._loop = self._loop, None
        if loop is not None:
            try:
                loop.run(self._fs.close())
            finally:
                loop.stop()

    def __enter__(self) -> FileSystem:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def conf(self) -> Configuration:
        return self._fs.conf

    @property
    def asynchronous(self) -> AsyncFileSystem:
        """The file system behind this one; only for code that runs in :meth:`run`."""
        return self._fs

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the file system lives, and wait for it."""
        return self._run(work)

    def path(self, path: str) -> str:
        return self._fs.path(path)

    def _each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """Items of an asynchronous iterator, fetched many at a time."""

        async def some() -> list[T]:
            found: list[T] = []
            async for item in items:
                found.append(item)
                if len(found) == _STEP_ENTRIES:
                    break
            return found

        while step := self._run(some()):
            yield from step

    # --- looking -----------------------------------------------------------------------------

    def wait_ready(self, wait_ms: int) -> None:
        self._run(self._fs.wait_ready(wait_ms))

    def stat(self, path: str) -> Entry:
        return self._run(self._fs.stat(path))

    def stat_or_none(self, path: str) -> Entry | None:
        return self._run(self._fs.stat_or_none(path))

    def exists(self, path: str) -> bool:
        return self._run(self._fs.exists(path))

    def is_dir(self, path: str) -> bool:
        return self._run(self._fs.is_dir(path))

    def is_file(self, path: str) -> bool:
        return self._run(self._fs.is_file(path))

    def list(self, path: str) -> Iterator[Entry]:
        return self._each(self._fs.list(path))

    def listdir(self, path: str) -> Entries:
        return self._run(self._fs.listdir(path))

    def walk(self, top: str) -> Iterator[tuple[str, Entries, Entries]]:
        items = self._fs.walk(top)

        async def following() -> tuple[str, Entries, Entries] | None:
            return await anext(items, None)

        # One at a time: the caller may take directories out of what it is given.
        while (step := self._run(following())) is not None:
            yield step

    def glob(self, pattern: str) -> Entries:
        return self._run(self._fs.glob(pattern))

    def content_summary(self, path: str) -> ContentSummary:
        return self._run(self._fs.content_summary(path))

    def status(self) -> FsStatus:
        return self._run(self._fs.status())

    def datanodes(self, kind: str = "ALL") -> tuple[DatanodeInfo, ...]:
        return self._run(self._fs.datanodes(kind))

    def server_defaults(self) -> FsServerDefaults:
        return self._run(self._fs.server_defaults())

    def locations(
        self, path: str, offset: int = 0, length: int | None = None
    ) -> tuple[LocatedBlock, ...]:
        return self._run(self._fs.locations(path, offset, length))

    def checksum(self, path: str, length: int | None = None) -> FileChecksum:
        return self._run(self._fs.checksum(path, length))

    # --- changing the tree -------------------------------------------------------------------

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self._run(self._fs.mkdir(path, mode))

    def mkdirs(self, path: str, mode: int = 0o777) -> None:
        self._run(self._fs.mkdirs(path, mode))

    def delete(self, path: str, recursive: bool = False) -> bool:
        return self._run(self._fs.delete(path, recursive))

    def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        self._run(self._fs.rename(source, target, overwrite=overwrite))

    def move(self, source: str, target: str) -> bool:
        return self._run(self._fs.move(source, target))

    def chmod(self, path: str, mode: int) -> None:
        self._run(self._fs.chmod(path, mode))

    def chown(self, path: str, owner: str | None = None, group: str | None = None) -> None:
        self._run(self._fs.chown(path, owner, group))

    def set_times(self, path: str, modified_ms: int = -1, accessed_ms: int = -1) -> None:
        self._run(self._fs.set_times(path, modified_ms, accessed_ms))

    def set_replication(self, path: str, replication: int) -> bool:
        return self._run(self._fs.set_replication(path, replication))

    def truncate(self, path: str, length: int) -> bool:
        return self._run(self._fs.truncate(path, length))

    def concat(self, target: str, sources: Sequence[str]) -> None:
        self._run(self._fs.concat(target, sources))

    def recover_lease(self, path: str) -> bool:
        return self._run(self._fs.recover_lease(path))

    def wait_closed(self, path: str, wait_ms: int = 60_000) -> bool:
        return self._run(self._fs.wait_closed(path, wait_ms))

    # --- data --------------------------------------------------------------------------------

    def open_read(self, path: str, *, verify: bool = True) -> FileIn:
        """A file to read; ``open(path, "rb")`` with the type said exactly."""
        from cairnfs.client.file_objects import FileIn

        return FileIn(self._run(self._fs.open(path, verify=verify)), self._run)

    def create(
        self,
        path: str,
        *,
        overwrite: bool = False,
        mode: int = 0o666,
        replication: int | None = None,
        block_size: int | None = None,
        parents: bool = True,
    ) -> FileOut:
        from cairnfs.client.file_objects import FileOut

        writer = self._run(
            self._fs.create(
                path,
                overwrite=overwrite,
                mode=mode,
                replication=replication,
                block_size=block_size,
                parents=parents,
            )
        )
        return FileOut(writer, self._run)

    def append(self, path: str, *, new_block: bool = False) -> FileOut:
        from cairnfs.client.file_objects import FileOut

        return FileOut(self._run(self._fs.append(path, new_block=new_block)), self._run)

    def open(
        self,
        path: str,
        mode: str = "rb",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        replication: int | None = None,
        block_size: int | None = None,
    ) -> IO[Any]:
        """As the built-in ``open``: modes ``r``, ``w`` (anew), ``x`` (must not be there) and
        ``a`` (at the end, made where it is not there), with ``b`` or as text (UTF-8)."""
        kind = mode.replace("b", "").replace("t", "")
        if kind not in ("r", "w", "x", "a") or ("b" in mode and "t" in mode):
            raise ValueError(f"mode {mode!r} is none of r, w, x and a, with b or t")
        if "b" in mode and (encoding or errors or newline):
            raise ValueError(f"mode {mode!r} takes no encoding, errors or newline")
        raw: FileIn | FileOut
        if kind == "r":
            raw = self.open_read(path)
        elif kind == "a" and self.exists(path):
            raw = self.append(path)
        else:
            raw = self.create(
                path, overwrite=kind == "w", replication=replication, block_size=block_size
            )
        if "b" in mode:
            return cast(IO[Any], raw)
        import io

        return io.TextIOWrapper(raw, encoding or "utf-8", errors, newline)

    def read_bytes(self, path: str) -> bytes:
        return self._run(self._fs.read_bytes(path))

    def write_bytes(self, path: str, data: bytes, *, overwrite: bool = True) -> None:
        self._run(self._fs.write_bytes(path, data, overwrite=overwrite))
