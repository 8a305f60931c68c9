"""The same file system for programs without asyncio: each call waits for its result.

What only concerns the NameNode runs at once, in the caller's thread (:mod:`.direct`). Where
data moves, and where several threads call at once, a thread runs an event loop that does
the work: read-ahead, acknowledgements and lease renewals go on while the caller does
something else. Safe to use from several threads, one file object from one thread at a time.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from cairnfs.client.address import Target, default_user, resolve
from cairnfs.client.calls import PROTOCOL, Link
from cairnfs.client.direct import DirectClock, DirectLink, run_directly
from cairnfs.client.entry import Entry
from cairnfs.client.filesystem import Entries, configuration
from cairnfs.client.filesystem import FileSystem as AsyncFileSystem
from cairnfs.client.plain_namenode import PlainNamenode
from cairnfs.config.configuration import Configuration
from cairnfs.types import ContentSummary, DatanodeInfo, FsServerDefaults, LocatedBlock

if TYPE_CHECKING:
    from cairnfs.client.answers import FsStatus
    from cairnfs.client.calls import NamenodeCalls
    from cairnfs.client.file_objects import FileIn, FileOut
    from cairnfs.client.filesystem import Conf
    from cairnfs.client.loop_thread import LoopThread
    from cairnfs.client.namenode import Namenode
    from cairnfs.wire.block_checksum import FileChecksum

T = TypeVar("T")
_STEP_ENTRIES = 1000


class _DirectFileSystem(AsyncFileSystem):
    """One whose calls to the NameNode need no event loop; it opens no files."""

    def _new_namenode(self, calls: NamenodeCalls, client_name: str) -> Namenode:
        return cast("Namenode", PlainNamenode(calls, client_name))

    def _dial(self, host: str, port: int, client_id: bytes) -> Link:
        return DirectLink(
            host,
            port,
            PROTOCOL,
            user=self.user,
            client_id=client_id,
            timeout_ms=self.settings.rpc_timeout_ms,
            connect_timeout_ms=self.settings.connect_timeout_ms,
        )


class FileSystem:
    """A file system; made by :func:`cairnfs.connect`. For what the methods mean and raise see
    :class:`cairnfs.client.filesystem.FileSystem`, whose methods of the same names they are."""

    def __init__(self, target: Target, conf: Configuration, user: str) -> None:
        self.uri = target.uri
        self.user = user
        self.conf = conf
        self.closed = False
        self._target = target
        self._direct = _DirectFileSystem(target, conf, user, clock=DirectClock())
        self.home = self._direct.home
        # Held by the thread whose call runs directly.
        self._direct_lock = threading.Lock()
        self._start_lock = threading.Lock()
        self._looping: tuple[LoopThread, AsyncFileSystem] | None = None

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        conf: Conf = None,
        user: str | None = None,
        *,
        wait_ms: int | None = None,
    ) -> FileSystem:
        known = configuration(conf)
        fs = cls(resolve(url, known), known, user or default_user())
        if wait_ms is not None:
            try:
                fs.wait_ready(wait_ms)
            except BaseException:
                fs.close()
                raise
        return fs

    def _loop_and_fs(self) -> tuple[LoopThread, AsyncFileSystem]:
        """The thread with the loop and the file system in it, started when first needed."""
        with self._start_lock:
            if self._looping is None:
                from cairnfs.client.loop_thread import LoopThread

                fs = AsyncFileSystem(
                    self._target,
                    self.conf,
                    self.user,
                    client_name=self._direct.namenode.client_name,
                )
                self._looping = LoopThread(self.close), fs
            return self._looping

    def _check(self) -> None:
        if self.closed:
            raise ValueError(f"the file system {self.uri} is closed")

    def _run(self, ask: Callable[[AsyncFileSystem], Coroutine[Any, Any, T]]) -> T:
        """A call that only concerns the NameNode."""
        self._check()
        if self._direct_lock.acquire(blocking=False):
            try:
                return run_directly(ask(self._direct))
            finally:
                self._direct_lock.release()
        # Another thread is in a call just now; the loop carries any number at once.
        return self._move(ask)

    def _move(self, ask: Callable[[AsyncFileSystem], Coroutine[Any, Any, T]]) -> T:
        """A call that moves data, waits long or needs others to go on meanwhile."""
        self._check()
        loop, fs = self._loop_and_fs()
        return loop.run(ask(fs))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """More of what :meth:`_move` began: calls of an open file."""
        if self._looping is None:
            work.close()
            raise ValueError(f"the file system {self.uri} is closed")
        return self._looping[0].run(work)

    def close(self) -> None:
        """Close all connections and end the thread; files open for writing are abandoned."""
        if self.closed:
            return
        self.closed = True
        with self._direct_lock:
            run_directly(self._direct.close())
        looping, self._looping = self._looping, None
        if looping is not None:
            loop, fs = looping
            try:
                loop.run(fs.close())
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

    def run(self, ask: Callable[[AsyncFileSystem], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of yours in the loop, with the asynchronous file system."""
        return self._move(ask)

    def path(self, path: str) -> str:
        return self._direct.path(path)

    def list(self, path: str) -> Iterator[Entry]:
        return self._each(lambda fs: fs.list(path))

    def walk(self, top: str) -> Iterator[tuple[str, Entries, Entries]]:
        # One at a time: the caller may take directories out of what it is given.
        return self._each(lambda fs: fs.walk(top), step=1)

    def _each(
        self, ask: Callable[[AsyncFileSystem], AsyncIterator[T]], step: int = _STEP_ENTRIES
    ) -> Iterator[T]:
        """Items of an asynchronous iterator, which belongs to one of the file systems."""
        items = ask(self._direct)

        async def some() -> Sequence[T]:
            found = []
            async for item in items:
                found.append(item)
                if len(found) == step:
                    break
            return found

        while True:
            self._check()
            with self._direct_lock:
                found = run_directly(some())
            if not found:
                return
            yield from found

    # --- looking -----------------------------------------------------------------------------

    def wait_ready(self, wait_ms: int) -> None:
        self._run(lambda fs: fs.wait_ready(wait_ms))

    def stat(self, path: str) -> Entry:
        return self._run(lambda fs: fs.stat(path))

    def stat_or_none(self, path: str) -> Entry | None:
        return self._run(lambda fs: fs.stat_or_none(path))

    def exists(self, path: str) -> bool:
        return self._run(lambda fs: fs.exists(path))

    def is_dir(self, path: str) -> bool:
        return self._run(lambda fs: fs.is_dir(path))

    def is_file(self, path: str) -> bool:
        return self._run(lambda fs: fs.is_file(path))

    def listdir(self, path: str) -> Entries:
        return self._run(lambda fs: fs.listdir(path))

    def glob(self, pattern: str) -> Entries:
        return self._run(lambda fs: fs.glob(pattern))

    def content_summary(self, path: str) -> ContentSummary:
        return self._run(lambda fs: fs.content_summary(path))

    def check_access(self, path: str, action: int) -> None:
        self._run(lambda fs: fs.check_access(path, action))

    def status(self) -> FsStatus:
        return self._run(lambda fs: fs.status())

    def datanodes(self, kind: str = "ALL") -> tuple[DatanodeInfo, ...]:
        return self._run(lambda fs: fs.datanodes(kind))

    def server_defaults(self) -> FsServerDefaults:
        return self._run(lambda fs: fs.server_defaults())

    def locations(
        self, path: str, offset: int = 0, length: int | None = None
    ) -> tuple[LocatedBlock, ...]:
        return self._run(lambda fs: fs.locations(path, offset, length))

    def checksum(self, path: str, length: int | None = None) -> FileChecksum:
        return self._move(lambda fs: fs.checksum(path, length))

    # --- changing the tree -------------------------------------------------------------------

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self._run(lambda fs: fs.mkdir(path, mode))

    def mkdirs(self, path: str, mode: int = 0o777) -> None:
        self._run(lambda fs: fs.mkdirs(path, mode))

    def delete(self, path: str, recursive: bool = False) -> bool:
        return self._run(lambda fs: fs.delete(path, recursive))

    def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        self._run(lambda fs: fs.rename(source, target, overwrite=overwrite))

    def move(self, source: str, target: str) -> bool:
        return self._run(lambda fs: fs.move(source, target))

    def chmod(self, path: str, mode: int) -> None:
        self._run(lambda fs: fs.chmod(path, mode))

    def chown(self, path: str, owner: str | None = None, group: str | None = None) -> None:
        self._run(lambda fs: fs.chown(path, owner, group))

    def set_times(self, path: str, modified_ms: int = -1, accessed_ms: int = -1) -> None:
        self._run(lambda fs: fs.set_times(path, modified_ms, accessed_ms))

    def set_replication(self, path: str, replication: int) -> bool:
        return self._run(lambda fs: fs.set_replication(path, replication))

    def truncate(self, path: str, length: int) -> bool:
        return self._run(lambda fs: fs.truncate(path, length))

    def concat(self, target: str, sources: Sequence[str]) -> None:
        self._run(lambda fs: fs.concat(target, sources))

    def recover_lease(self, path: str) -> bool:
        return self._run(lambda fs: fs.recover_lease(path))

    def wait_closed(self, path: str, wait_ms: int = 60_000) -> bool:
        return self._run(lambda fs: fs.wait_closed(path, wait_ms))

    # --- data --------------------------------------------------------------------------------

    def open_read(self, path: str, *, verify: bool = True) -> FileIn:
        """A file to read; ``open(path, "rb")`` with the type said exactly."""
        from cairnfs.client.file_objects import FileIn

        return FileIn(self._move(lambda fs: fs.open(path, verify=verify)), self._in_loop)

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

        writer = self._move(
            lambda fs: fs.create(
                path,
                overwrite=overwrite,
                mode=mode,
                replication=replication,
                block_size=block_size,
                parents=parents,
            )
        )
        return FileOut(writer, self._in_loop)

    def append(self, path: str, *, new_block: bool = False) -> FileOut:
        from cairnfs.client.file_objects import FileOut

        writer = self._move(lambda fs: fs.append(path, new_block=new_block))
        return FileOut(writer, self._in_loop)

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
        return self._move(lambda fs: fs.read_bytes(path))

    def write_bytes(self, path: str, data: bytes, *, overwrite: bool = True) -> None:
        self._move(lambda fs: fs.write_bytes(path, data, overwrite=overwrite))
