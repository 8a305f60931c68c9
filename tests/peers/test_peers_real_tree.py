"""A real tree (the jars that PySpark brings): every writer, every reader, every process killed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_processes import ProcessCluster
from hadoop import Hadoop
from java_client import JavaClient, fs_process
from spark_session import session

import cairnfs

hdfs_native = pytest.importorskip("hdfs_native")
pyspark = pytest.importorskip("pyspark")
JARS = Path(pyspark.__file__).parent / "jars"
PIECE = 4 << 20

Digests = dict[str, str]


@pytest.fixture(
    params=[
        pytest.param(100 << 20, id="100MB", marks=pytest.mark.timeout(600)),
        pytest.param(1 << 40, id="all", marks=[pytest.mark.slow, pytest.mark.timeout(2400)]),
    ]
)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A local folder with as much of the jars as the parameter says, in two levels."""
    left: int = request.param
    root = tmp_path / "tree"
    for jar in sorted(JARS.glob("*.jar")):
        left -= jar.stat().st_size
        if left < 0:
            break
        folder = root / jar.name[0]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(jar, folder / jar.name)
    return root


@pytest.fixture
def big_cluster(hadoop: Hadoop, maker: Any, tmp_path: Path) -> Iterator[ProcessCluster]:
    """Three DataNodes, two replicas, blocks of 16 MiB: many files have several."""
    settings = {"dfs.replication": "2", "dfs.blocksize": "16m"}
    with ProcessCluster(tmp_path / "cluster", hadoop, maker, [maker] * 3, settings) as running:
        yield running


def digest_of(pieces: Any) -> str:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def local_digests(tree: Path) -> Digests:
    return {
        str(path.relative_to(tree)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


class Tools:
    """Each way to write the tree and to read it back, by name."""

    def __init__(
        self, cluster: ProcessCluster, hadoop: Hadoop, java: JavaClient, spark: Any, tmp: Path
    ) -> None:
        self._cluster = cluster
        self._hadoop = hadoop
        self._java = java
        self._spark = spark
        self._tmp = tmp
        self.writers: dict[str, Callable[[Path, str], None]] = {
            "fsshell": self._fsshell_put,
            "native": self._native_put,
            "cairn": self._cairn_put,
            "spark": self._spark_put,
        }
        self.readers: dict[str, Callable[[str], Digests]] = {
            "fsshell": self._fsshell_get,
            "native": self._native_get,
            "cairn": self._cairn_get,
            "spark": self._spark_get,
        }

    def _fsshell_put(self, tree: Path, target: str) -> None:
        outcome = fs_process(self._hadoop, self._cluster.conf, "-put", str(tree), target)
        assert outcome.code == 0, outcome

    def _fsshell_get(self, target: str) -> Digests:
        back = self._tmp / "back"
        outcome = fs_process(self._hadoop, self._cluster.conf, "-get", target, str(back))
        assert outcome.code == 0, outcome
        found = local_digests(back)
        shutil.rmtree(back)
        return found

    def _native_put(self, tree: Path, target: str) -> None:
        client = hdfs_native.Client(self._cluster.url, config={"dfs.replication": "2"})
        options = hdfs_native.WriteOptions(block_size=16 << 20, replication=2)
        for name in local_digests(tree):
            with (
                (tree / name).open("rb") as source,
                client.create(f"{target}/{name}", options) as file,
            ):
                while piece := source.read(PIECE):
                    file.write(piece)

    def _native_get(self, target: str) -> Digests:
        client = hdfs_native.Client(self._cluster.url)
        return {
            status.path.removeprefix(f"{target}/"): digest_of(
                client.read(status.path).read_range_stream(0, status.length)
            )
            for status in client.list_status(target, recursive=True)
            if not status.isdir
        }

    def _cairn_put(self, tree: Path, target: str) -> None:
        with cairnfs.connect(self._cluster.url) as fs:
            for name in local_digests(tree):
                with (
                    (tree / name).open("rb") as source,
                    fs.create(f"{target}/{name}", replication=2, block_size=16 << 20) as file,
                ):
                    shutil.copyfileobj(source, file, PIECE)

    def _cairn_get(self, target: str) -> Digests:
        found = {}
        with cairnfs.connect(self._cluster.url) as fs:
            for folder, _, files in fs.walk(target):
                for entry in files:
                    path = f"{folder}/{entry.name}"
                    with fs.open_read(path) as file:
                        found[path.removeprefix(f"{target}/")] = digest_of(
                            iter(lambda file=file: file.read(PIECE), b"")
                        )
        return found

    def _spark_put(self, tree: Path, target: str) -> None:
        # Hadoop's 3.5 client, as Spark uses it for files that it ships.
        jvm, conf = self._spark._jvm, self._spark._jsc.hadoopConfiguration()
        path = jvm.org.apache.hadoop.fs.Path
        remote = path(target)
        assert jvm.org.apache.hadoop.fs.FileUtil.copy(
            path(f"file://{tree}").getFileSystem(conf),
            path(f"file://{tree}"),
            remote.getFileSystem(conf),
            remote,
            False,
            conf,
        )

    def _spark_get(self, target: str) -> Digests:
        from pyspark.sql import functions as sql

        table = self._spark.read.format("binaryFile").option("recursiveFileLookup", True)
        rows = table.load(target).select("path", sql.sha2("content", 256).alias("sum")).collect()
        return {row.path.partition(f"{target}/")[2]: row.sum for row in rows}


@pytest.mark.requirement("F01", "A01", "A04", "A05")
def test_every_writer_and_reader_while_every_process_is_killed(
    hadoop: Hadoop, java: JavaClient, big_cluster: ProcessCluster, tree: Path, tmp_path: Path
) -> None:
    expected = local_digests(tree)
    with session(big_cluster.url, tmp_path / "spark") as spark:
        tools = Tools(big_cluster, hadoop, java, spark, tmp_path)
        for writer, write in tools.writers.items():
            write(tree, f"/{writer}")
            # Nothing is told the processes: they are simply gone.
            big_cluster.restart()
        for round_ in range(2):
            wrong = [
                (writer, reader)
                for writer in tools.writers
                for reader, read in tools.readers.items()
                if read(f"/{writer}") != expected
            ]
            assert wrong == [], f"in round {round_}"
            big_cluster.restart()
