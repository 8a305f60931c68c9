"""What a measure works with: one maker's servers, sizes, a directory, and the book."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bench.figures import Book, Maker, Row
from bench.processes import with_descendants
from bench.rpc_load import cpu_seconds

ROOT = Path(__file__).resolve().parents[1]
# The tests start the same processes.
sys.path.insert(0, str(ROOT / "tests" / "peers"))

from cluster_processes import CAIRN, ClusterError, ProcessCluster  # noqa: E402
from hadoop import FSSHELL, Hadoop, write_log4j  # noqa: E402

_PIECE_BYTES = 8 << 20
# As an administrator would set both up; everything else is each maker's default.
_SETTINGS = {
    "dfs.replication": "3",
    "dfs.blocksize": str(128 << 20),
    "dfs.namenode.handler.count": "32",
    "dfs.heartbeat.interval": "3",
    # With three nodes Apache's takes one for overloaded now and then, and a file of the tree
    # is a replica short for longer than one can wait.
    "dfs.namenode.redundancy.considerLoad": "false",
    "dfs.namenode.heartbeat.recheck-interval": "300000",
}
SERVER_OPTIONS = ("-Xmx1g",)
SHELL_OPTIONS = ("-Xmx1g",)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each measure does."""

    file_bytes: int = 2 << 30
    read_calls: int = 100_000
    listing_calls: int = 20_000
    change_calls: int = 60_000
    serial_calls: int = 4_000
    mix_calls: int = 60_000
    warm_calls: int = 100_000
    small_files: int = 1_000
    random_reads: int = 4_000
    namespace_files: int = 1_000_000
    raw_passes: int = 4

    @staticmethod
    def quick() -> Sizes:
        return Sizes(
            file_bytes=512 << 20,
            read_calls=30_000,
            listing_calls=6_000,
            change_calls=20_000,
            serial_calls=1_000,
            mix_calls=20_000,
            warm_calls=20_000,
            small_files=100,
            random_reads=1_000,
            namespace_files=100_000,
            raw_passes=2,
        )

    @staticmethod
    def tiny() -> Sizes:
        """To see that the code works; its figures mean nothing."""
        return Sizes(
            file_bytes=(128 << 20) + 70_001,
            read_calls=1_280,
            listing_calls=256,
            change_calls=512,
            serial_calls=50,
            mix_calls=1_280,
            warm_calls=256,
            small_files=20,
            random_reads=64,
            namespace_files=2_000,
            raw_passes=1,
        )

    def with_files(self, files: int | None) -> Sizes:
        return self if files is None else replace(self, namespace_files=files)


@dataclass(frozen=True)
class Source:
    """A local file of random bytes, in the page cache."""

    path: Path
    size: int

    @staticmethod
    def make(path: Path, size: int) -> Source:
        block = os.urandom(min(size, 64 << 20))
        with path.open("wb") as file:
            left = size
            while left:
                # Every piece differs, so that blocks cannot be taken for one another.
                left -= file.write(block[: min(left, len(block))])
                block = block[4099:] + block[:4099]
            file.flush()
            os.fsync(file.fileno())
        return Source(path, size)

    @cached_property
    def digest(self) -> bytes:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def pieces(self) -> Iterator[bytes]:
        """As ``bytes``: hdfs-native takes any other buffer one Python integer at a time."""
        with self.path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece


class Cluster:
    """Servers of one maker as processes; a context manager that leaves nothing running."""

    def __init__(
        self,
        directory: Path,
        hadoop: Hadoop,
        maker: Maker,
        datanodes: int = 3,
        *,
        keep: bool = False,
        cairn: Path = CAIRN,
    ) -> None:
        self.directory = directory
        # Left for whoever wants to read its logs.
        self.keep = keep
        self.processes = ProcessCluster(
            directory, hadoop, maker, [maker] * datanodes, dict(_SETTINGS), SERVER_OPTIONS, cairn
        )
        for role in self.processes.roles:
            # Nothing is logged for each call, also no audit: Apache's default would cost it.
            write_log4j(role.conf, "WARN")
        self.url = self.processes.url
        self.port = self.processes.rpc_port
        self.conf = self.processes.conf

    def __enter__(self) -> Cluster:
        try:
            self.processes.format()
            if self.processes.datanodes:
                self.processes.start()
            else:
                self.start_namenode()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start_namenode(self) -> None:
        """Start it and wait for its port."""
        self.processes.namenode.start()
        self.processes.wait_for(self._listens, "NameNode that listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def remove(self) -> None:
        self.processes.kill()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def check_alive(self) -> None:
        """Raises ``ClusterError`` if a server ended by itself."""
        for role in self.processes.roles:
            role.check_alive()

    def namenode_pids(self) -> list[int]:
        return with_descendants([self.processes.namenode.pid])

    def datanode_pids(self) -> list[int]:
        return with_descendants(role.pid for role in self.processes.datanodes)

    def pids(self) -> list[int]:
        return self.namenode_pids() + self.datanode_pids()

    def datanode_cpu_seconds(self) -> float:
        return cpu_seconds(self.datanode_pids())

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pids())


@dataclass
class World:
    """One maker's turn in one run."""

    maker: Maker
    hadoop: Hadoop
    directory: Path
    sizes: Sizes
    source: Source
    book: Book
    keep: bool = False
    # The command of the build of Cairn that is measured.
    cairn: Path = CAIRN
    _cluster: Cluster | None = None
    # Names of files and directories that no other measure of this turn takes.
    _serial: Iterator[int] = field(default_factory=lambda: iter(range(1 << 30)))

    @property
    def cluster(self) -> Cluster:
        assert self._cluster is not None, "this measure runs without a cluster"
        return self._cluster

    def new_cluster(self, name: str, datanodes: int = 3) -> Cluster:
        return Cluster(
            self.directory / name,
            self.hadoop,
            self.maker,
            datanodes,
            keep=self.keep,
            cairn=self.cairn,
        )

    def use(self, cluster: Cluster | None) -> None:
        self._cluster = cluster

    def name(self, prefix: str) -> str:
        return f"{prefix}{next(self._serial)}"

    def record(self, row: Row, value: float) -> None:
        self.book.record(row, self.maker, value)

    @contextmanager
    def attempt(self, *rows: Row) -> Iterator[None]:
        """What goes wrong inside is written down for ``rows``, instead of a figure."""
        try:
            yield
        except Exception as error:
            self.book.fail(rows, self.maker, f"{type(error).__name__}: {error}")


def judge_logs(world: World) -> None:
    """Note it if a server of Cairn's logged a fault of its own."""
    try:
        world.cluster.processes.check_no_fault()
    except ClusterError as error:
        world.book.note(f"a server of Cairn's logged a fault: {str(error)[:500]}")


def eventually(check: Callable[[], None], seconds: float = 20.0) -> None:
    """Reports of DataNodes may trail: let ``check`` pass within some time, or raise its error."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return check()
        except Exception:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def quiet_disk() -> None:
    """Nothing of the last measure is left to be written."""
    os.sync()


@dataclass(frozen=True, slots=True)
class Measure:
    """A family of rows. ``run`` uses a cluster with 3 DataNodes unless ``alone``."""

    name: str
    run: Callable[[World], None]
    alone: bool = False


__all__ = [
    "FSSHELL",
    "ROOT",
    "SERVER_OPTIONS",
    "SHELL_OPTIONS",
    "Cluster",
    "ClusterError",
    "Hadoop",
    "Measure",
    "ProcessCluster",
    "Sizes",
    "Source",
    "World",
    "eventually",
    "judge_logs",
    "quiet_disk",
]
