"""The file system as an asyncio program sees it.

The names of what moves data are imported when data is first moved: a command that only
talks to the NameNode starts in a third of the time.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from cairnfs.client import paths
from cairnfs.client.address import Target, default_user, resolve
from cairnfs.client.calls import PROTOCOL, Dial, Link, NamenodeCalls, RetryRules
from cairnfs.client.entry import Entry, name_text
from cairnfs.client.recovering import until_true, while_recovering
from cairnfs.client.settings import ClientSettings
from cairnfs.clock import Clock, SystemClock
from cairnfs.config.configuration import Configuration
from cairnfs.errors import AlreadyExists, NotFound
from cairnfs.types import (
    ContentSummary,
    DatanodeInfo,
    FsServerDefaults,
    LocatedBlock,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cairnfs.client.answers import FsStatus
    from cairnfs.client.files import Files
    from cairnfs.client.namenode import Namenode
    from cairnfs.client.reader import FileReader
    from cairnfs.client.writer import FileWriter
    from cairnfs.wire.block_checksum import FileChecksum

    # A configuration, a folder or file with one, or None for what the environment says.
    Conf = Configuration | str | Path | None

_TIME_AS_IT_IS = -1
# The class has a method called list.
Entries = list[Entry]


def configuration(conf: Conf = None, flags: Mapping[str, str] | None = None) -> Configuration:
    """``conf`` as a configuration: read from files and the environment unless it is one."""
    if isinstance(conf, Configuration):
        return conf
    if conf is None and not flags and not _environment_says():
        return Configuration()
    from cairnfs.config.loading import load

    return load(conf, flags, check=False)


def _environment_says() -> bool:
    return any(name.startswith(("CAIRN_", "HADOOP_CONF_DIR")) for name in os.environ)


class FileSystem:
    """One file system and the user who works with it; made by :meth:`connect`.

    Paths are ``str``: absolute, relative to :attr:`home`, or URIs of this file system.
    Everything raises classes of :mod:`cairnfs.errors`; what they say is fit to print."""

    def __init__(
        self,
        target: Target,
        conf: Configuration,
        user: str,
        *,
        dial: Dial | None = None,
        clock: Clock | None = None,
        client_name: str | None = None,
    ) -> None:
        self.uri = target.uri
        self.user = user
        self.conf = conf
        self.settings = ClientSettings.of(conf)
        self.clock = clock or SystemClock()
        settings = self.settings
        rules = RetryRules(
            connect_retries=settings.connect_retries,
            connect_pause_ms=settings.connect_retry_ms,
            failovers_max=settings.failover_attempts_max,
            failover_base_ms=settings.failover_sleep_base_ms,
            failover_max_ms=settings.failover_sleep_max_ms,
            safe_mode_ms=settings.safe_mode_wait_ms,
        )
        calls = NamenodeCalls(
            target.addresses,
            dial or self._dial,
            rules,
            sleep_ms=self.clock.sleep_ms,
            now_ms=self.clock.steady_ms,
        )
        # Names the holder of leases; as with Hadoop's clients it says whose it is.
        name = client_name or f"CairnClient_{os.getpid()}_{os.urandom(6).hex()}"
        self.namenode = self._new_namenode(calls, name)
        self.home = f"{settings.home_prefix.rstrip('/')}/{user}"
        self._files: Files | None = None
        self._defaults: FsServerDefaults | None = None

    @classmethod
    async def connect(
        cls,
        url: str | None = None,
        conf: Conf = None,
        user: str | None = None,
        *,
        wait_ms: int | None = None,
    ) -> FileSystem:
        """The file system at ``url`` (``hdfs://host:port`` or a logical name; by default
        ``fs.defaultFS``), for ``user`` (by default ``HADOOP_USER_NAME`` or the login).

        Nothing is asked of the NameNode yet, unless ``wait_ms`` says for how long one that
        is not up is waited for. Raises ``ConfigurationError``, ``TransportError``."""
        known = configuration(conf)
        fs = cls(resolve(url, known), known, user or default_user())
        if wait_ms is not None:
            try:
                await fs.wait_ready(wait_ms)
            except BaseException:
                await fs.close()
                raise
        return fs

    def _new_namenode(self, calls: NamenodeCalls, client_name: str) -> Namenode:
        from cairnfs.client.namenode import Namenode

        return Namenode(calls, client_name)

    def _dial(self, host: str, port: int, client_id: bytes) -> Link:
        from cairnfs.net.rpc_client import RpcClient

        return RpcClient(
            host,
            port,
            PROTOCOL,
            user=self.user,
            timeout_ms=self.settings.rpc_timeout_ms,
            connect_timeout_ms=self.settings.connect_timeout_ms,
            client_id=client_id,
        )

    async def close(self) -> None:
        """Close all connections; files still open for writing are abandoned."""
        if self._files is not None:
            await self._files.close()
        await self.namenode.close()

    async def __aenter__(self) -> FileSystem:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def wait_ready(self, wait_ms: int) -> None:
        """Wait until a NameNode answers. Raises ``TransportError`` after ``wait_ms``."""
        await self.namenode.get_file_info("/", wait_ms=wait_ms)

    def path(self, path: str) -> str:
        """``path`` as the NameNode takes it. Raises ``InvalidPath``."""
        return paths.normal(path, self.home, self.uri)

    # --- looking -----------------------------------------------------------------------------

    async def stat(self, path: str) -> Entry:
        """What is at ``path``. Raises ``NotFound``."""
        entry = await self.stat_or_none(path)
        if entry is None:
            raise NotFound(f"{path}: No such file or directory")
        return entry

    async def stat_or_none(self, path: str) -> Entry | None:
        """What is at ``path``, None if nothing is."""
        whole = self.path(path)
        status = await self.namenode.get_file_info(whole)
        return None if status is None else Entry(whole, status)

    async def exists(self, path: str) -> bool:
        return await self.stat_or_none(path) is not None

    async def is_dir(self, path: str) -> bool:
        entry = await self.stat_or_none(path)
        return entry is not None and entry.is_dir

    async def is_file(self, path: str) -> bool:
        entry = await self.stat_or_none(path)
        return entry is not None and entry.is_file

    async def list(self, path: str) -> AsyncIterator[Entry]:
        """What a directory holds, by name, page by page; of a file, the file itself.

        Raises ``NotFound``."""
        whole = self.path(path)
        last = b""
        while True:
            page = await self.namenode.get_listing(whole, last)
            if page is None:
                raise NotFound(f"{path}: No such file or directory")
            for status in page.entries:
                # A file's own entry has no name.
                name = name_text(status.name)
                yield Entry(paths.join(whole, name) if name else whole, status)
            if not page.remaining or not page.entries:
                return
            last = page.entries[-1].name

    async def listdir(self, path: str) -> Entries:
        """As :meth:`list`, all at once."""
        return [entry async for entry in self.list(path)]

    async def walk(self, top: str) -> AsyncIterator[tuple[str, Entries, Entries]]:
        """(path, directories, others) of ``top`` and everything below it, top down.

        Directories taken out of the list are not gone into."""
        waiting = [self.path(top)]
        while waiting:
            folder = waiting.pop()
            entries = await self.listdir(folder)
            folders = [entry for entry in entries if entry.is_dir]
            others = [entry for entry in entries if not entry.is_dir]
            yield folder, folders, others
            waiting.extend(entry.path for entry in reversed(folders))

    async def glob(self, pattern: str) -> Entries:
        """What matches a pattern with Hadoop's wildcards, sorted by path; without any, what
        is at that path, if something is."""
        from cairnfs.client import glob

        return await glob.find(self.path(pattern), self.stat_or_none, self.list)

    async def content_summary(self, path: str) -> ContentSummary:
        """Totals of a subtree. Raises ``NotFound``."""
        return await self.namenode.get_content_summary(self.path(path))

    async def check_access(self, path: str, action: int) -> None:
        """Raise ``PermissionDenied`` unless the user may do all of ``action`` (4 read, 2 write,
        1 execute), ``NotFound`` if nothing is there."""
        await self.namenode.check_access(self.path(path), action)

    async def status(self) -> FsStatus:
        """Space of the file system (``df``)."""
        return await self.namenode.get_fs_stats()

    async def datanodes(self, kind: str = "ALL") -> tuple[DatanodeInfo, ...]:
        """DataNodes: ``ALL``, ``LIVE``, ``DEAD``, ``DECOMMISSIONING``, ..."""
        return await self.namenode.get_datanode_report(kind)

    async def server_defaults(self) -> FsServerDefaults:
        """What the NameNode suggests for new files; asked for once."""
        if self._defaults is None:
            self._defaults = await self.namenode.get_server_defaults()
        return self._defaults

    async def locations(
        self, path: str, offset: int = 0, length: int | None = None
    ) -> tuple[LocatedBlock, ...]:
        """The blocks of a range of a file and who holds them. Raises ``NotFound``."""
        whole = self.path(path)
        most = (1 << 63) - 1 - offset if length is None else length
        return (await self.namenode.get_block_locations(whole, offset, most)).blocks

    async def checksum(self, path: str, length: int | None = None) -> FileChecksum:
        """The checksum that ``hdfs dfs -checksum`` shows, of the first ``length`` bytes."""
        from cairnfs.client.file_checksum import file_checksum

        whole = self.path(path)
        entry = await self.stat(whole)
        if not entry.is_file:
            raise NotFound(f"{path} is no file and has no checksum")
        return await file_checksum(self._moving().context, whole, length)

    # --- changing the tree -------------------------------------------------------------------

    async def mkdir(self, path: str, mode: int = 0o777) -> None:
        """Make one directory. Raises ``AlreadyExists``, ``NotFound`` (its parent)."""
        whole = self.path(path)
        if await self.exists(whole):
            raise AlreadyExists(f"{path}: File exists")
        await self.namenode.mkdirs(whole, mode & ~self.settings.umask, mode, parents=False)

    async def mkdirs(self, path: str, mode: int = 0o777) -> None:
        """Make a directory and its parents where they are not there yet.

        Raises ``AlreadyExists`` or ``NotADirectory`` where a file is in the way."""
        whole = self.path(path)
        await self.namenode.mkdirs(whole, mode & ~self.settings.umask, mode, parents=True)

    async def delete(self, path: str, recursive: bool = False) -> bool:
        """Delete; False if nothing was there. Raises ``DirectoryNotEmpty``."""
        return await self.namenode.delete(self.path(path), recursive)

    async def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Make what is at ``source`` be at ``target``, exactly. Raises ``NotFound``,
        ``AlreadyExists``, ``DirectoryNotEmpty``."""
        await self.namenode.rename2(self.path(source), self.path(target), overwrite)

    async def move(self, source: str, target: str) -> bool:
        """As ``mv``: into ``target`` where that is a directory; False where it is refused."""
        return await self.namenode.rename(self.path(source), self.path(target))

    async def chmod(self, path: str, mode: int) -> None:
        await self.namenode.set_permission(self.path(path), mode)

    async def chown(self, path: str, owner: str | None = None, group: str | None = None) -> None:
        """Set the owner, the group, or both."""
        await self.namenode.set_owner(self.path(path), owner or None, group or None)

    async def set_times(
        self, path: str, modified_ms: int = _TIME_AS_IT_IS, accessed_ms: int = _TIME_AS_IT_IS
    ) -> None:
        """Times in ms since the epoch; -1 leaves one as it is."""
        await self.namenode.set_times(self.path(path), modified_ms, accessed_ms)

    async def set_replication(self, path: str, replication: int) -> bool:
        """False where ``path`` is no file."""
        return await self.namenode.set_replication(self.path(path), replication)

    async def truncate(self, path: str, length: int) -> bool:
        """Cut a file. False: its last block is being recovered; see :meth:`wait_closed`."""
        whole = self.path(path)
        return await while_recovering(self.clock, lambda: self.namenode.truncate(whole, length))

    async def concat(self, target: str, sources: Sequence[str]) -> None:
        """Move the blocks of ``sources``, which go away, to the end of ``target``."""
        await self.namenode.concat(self.path(target), [self.path(name) for name in sources])

    async def recover_lease(self, path: str) -> bool:
        """Take a file from its writer; True if it is closed by now."""
        return await self.namenode.recover_lease(self.path(path))

    async def wait_closed(self, path: str, wait_ms: int = 60_000) -> bool:
        """Wait until a file is closed (recovered, truncated); False if it is not in time."""
        whole = self.path(path)
        return await until_true(self.clock, lambda: self.namenode.is_file_closed(whole), wait_ms)

    # --- data --------------------------------------------------------------------------------

    def _moving(self) -> Files:
        """The part that moves data, imported when it is first needed."""
        if self._files is None:
            from cairnfs.client.files import Files

            self._files = Files(self)
        return self._files

    async def open(self, path: str, *, verify: bool = True) -> FileReader:
        """Read a file. ``verify=False`` takes data without looking at its checksums.

        Raises ``NotFound``, ``PermissionDenied``, ``NotADirectory``."""
        return await self._moving().open(self.path(path), verify=verify)

    async def create(
        self,
        path: str,
        *,
        overwrite: bool = False,
        mode: int = 0o666,
        replication: int | None = None,
        block_size: int | None = None,
        parents: bool = True,
    ) -> FileWriter:
        """Write a new file; what None says is configured, else the NameNode's default.

        Raises ``AlreadyExists``, ``AlreadyBeingCreated``, ``NotFound`` (no parent)."""
        return await self._moving().create(
            self.path(path),
            overwrite=overwrite,
            mode=mode,
            replication=replication,
            block_size=block_size,
            parents=parents,
        )

    async def append(self, path: str, *, new_block: bool = False) -> FileWriter:
        """Write on at the end of a file, in a block of its own if ``new_block``.

        Raises ``NotFound``, ``AlreadyBeingCreated``."""
        return await self._moving().append(self.path(path), new_block=new_block)

    async def read_bytes(self, path: str) -> bytes:
        """All of a file."""
        async with await self.open(path) as reader:
            return await reader.read()

    async def write_bytes(self, path: str, data: bytes, *, overwrite: bool = True) -> None:
        """Make ``data`` all of a file."""
        async with await self.create(path, overwrite=overwrite) as writer:
            await writer.write(data)
