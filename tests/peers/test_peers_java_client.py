"""What FsShell does not show of Hadoop's Java client: open files, leases, locations, renames."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cluster_processes import ProcessCluster
from java_client import JavaClient
from py4j.protocol import Py4JJavaError

BLOCK = 1 << 20


@pytest.fixture
def file_system(java: JavaClient, cluster: ProcessCluster) -> Iterator[Any]:
    found = java.file_system(cluster.url)
    yield found
    found.close()


@pytest.fixture
def other(java: JavaClient, cluster: ProcessCluster) -> Iterator[Any]:
    """A second client, with a lease holder's name of its own."""
    found = java.file_system(cluster.url)
    yield found
    found.close()


def create(java: JavaClient, file_system: Any, path: str, replication: int = 3) -> Any:
    return file_system.create(java.path(path), True, 4096, replication, BLOCK)


def read(java: JavaClient, file_system: Any, path: str, length: int) -> bytes:
    """The first ``length`` bytes, and the proof that there are no more."""
    stream = file_system.open(java.path(path))
    data = bytes(stream.readNBytes(length))
    assert stream.read() == -1
    stream.close()
    return data


def java_class(error: pytest.ExceptionInfo[Py4JJavaError]) -> str:
    """The Java exception's class; a RemoteException counts as what it carries."""
    cause = error.value.java_exception
    name: str = cause.getClass().getSimpleName()
    return str(cause.getClassName()).rpartition(".")[2] if name == "RemoteException" else name


@pytest.mark.requirement("A21", "A23")
def test_flushed_bytes_are_read_while_the_file_is_open(
    java: JavaClient, file_system: Any, other: Any, folder: str
) -> None:
    data = os.urandom(2 * BLOCK + 100_000)
    stream = create(java, file_system, f"{folder}/f")
    sent = 0
    for size, flush in ((10, "hflush"), (70_000, "hsync"), (BLOCK, "hflush"), (BLOCK, "hsync")):
        stream.write(data[sent : sent + size])
        sent += size
        getattr(stream, flush)()
        assert read(java, other, f"{folder}/f", sent) == data[:sent]
    stream.write(data[sent:])
    stream.close()
    assert read(java, other, f"{folder}/f", len(data)) == data


@pytest.mark.requirement("A21")
def test_hsync_can_tell_the_namenode_the_length(
    java: JavaClient, file_system: Any, folder: str
) -> None:
    flags = java.jvm.org.apache.hadoop.hdfs.client.HdfsDataOutputStream.SyncFlag
    stream = create(java, file_system, f"{folder}/f")
    stream.write(b"x" * 5000)
    stream.hsync(java.jvm.java.util.EnumSet.of(flags.UPDATE_LENGTH))
    assert file_system.getFileStatus(java.path(f"{folder}/f")).getLen() == 5000
    stream.close()


@pytest.mark.requirement("A23")
def test_one_writer(java: JavaClient, file_system: Any, other: Any, folder: str) -> None:
    path = java.path(f"{folder}/f")
    stream = create(java, file_system, f"{folder}/f")
    stream.write(b"first")
    with pytest.raises(Py4JJavaError) as error:
        other.append(path)
    assert java_class(error) in ("AlreadyBeingCreatedException", "RecoveryInProgressException")
    with pytest.raises(Py4JJavaError) as error:
        other.create(path, False)
    assert java_class(error) in ("AlreadyBeingCreatedException", "FileAlreadyExistsException")
    assert not file_system.isFileClosed(path)
    stream.close()
    assert file_system.isFileClosed(path)


@pytest.mark.requirement("A21")
def test_recover_lease(java: JavaClient, file_system: Any, other: Any, folder: str) -> None:
    path = java.path(f"{folder}/f")
    data = os.urandom(BLOCK + 1234)
    stream = create(java, file_system, f"{folder}/f")
    stream.write(data)
    stream.hflush()
    deadline = time.monotonic() + 60
    while not other.recoverLease(path):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert other.getFileStatus(path).getLen() == len(data)
    assert read(java, other, f"{folder}/f", len(data)) == data
    with pytest.raises(Py4JJavaError):
        stream.close()
    again = other.append(path)
    again.write(b"more")
    again.close()
    assert read(java, other, f"{folder}/f", len(data) + 4) == data + b"more"


@pytest.mark.requirement("A21")
def test_overwriting_ends_the_writer_before(
    java: JavaClient, file_system: Any, other: Any, folder: str
) -> None:
    stream = create(java, file_system, f"{folder}/f")
    stream.write(b"old")
    stream.hflush()
    newer = create(java, other, f"{folder}/f")
    newer.write(b"new!")
    newer.close()
    with pytest.raises(Py4JJavaError):
        stream.close()
    assert read(java, file_system, f"{folder}/f", 4) == b"new!"


@pytest.mark.requirement("A21")
def test_a_file_deleted_while_it_is_written(
    java: JavaClient, file_system: Any, other: Any, folder: str
) -> None:
    stream = create(java, file_system, f"{folder}/f")
    stream.write(b"x" * 1000)
    stream.hflush()
    assert other.delete(java.path(f"{folder}/f"), False)
    with pytest.raises(Py4JJavaError) as error:
        stream.close()
    assert java_class(error) in ("FileNotFoundException", "LeaseExpiredException")


@pytest.mark.requirement("C05")
def test_positioned_reads(java: JavaClient, file_system: Any, folder: str) -> None:
    data = os.urandom(3 * BLOCK)
    stream = create(java, file_system, f"{folder}/f")
    stream.write(data)
    stream.close()
    stream = file_system.open(java.path(f"{folder}/f"))
    for start, length in ((0, 10), (BLOCK - 5, 10), (2 * BLOCK + 513, 70_000), (100, 2 * BLOCK)):
        stream.seek(start)
        assert bytes(stream.readNBytes(length)) == data[start : start + length]
        assert stream.getPos() == start + length
    stream.close()


@pytest.mark.requirement("C08")
def test_block_locations(java: JavaClient, file_system: Any, folder: str) -> None:
    stream = create(java, file_system, f"{folder}/f", replication=2)
    stream.write(os.urandom(2 * BLOCK + 5))
    stream.close()
    found = file_system.getFileBlockLocations(java.path(f"{folder}/f"), 0, 3 * BLOCK)
    assert [(each.getOffset(), each.getLength()) for each in found] == [
        (0, BLOCK),
        (BLOCK, BLOCK),
        (2 * BLOCK, 5),
    ]
    for each in found:
        assert len(set(each.getNames())) == 2
        assert not each.isCorrupt()
    one = file_system.getFileBlockLocations(java.path(f"{folder}/f"), BLOCK + 3, 1)
    assert [each.getOffset() for each in one] == [BLOCK]


@pytest.mark.requirement("A08", "F06")
def test_the_datanode_report(java: JavaClient, file_system: Any) -> None:
    kind = java.jvm.org.apache.hadoop.hdfs.protocol.HdfsConstants.DatanodeReportType
    live = file_system.getDataNodeStats(kind.LIVE)
    assert len(live) == 3
    assert len(file_system.getDataNodeStats(kind.DEAD)) == 0
    for each in live:
        assert each.getCapacity() >= each.getRemaining() > 0
        assert each.getIpAddr() == "127.0.0.1"
    assert len({each.getDatanodeUuid() for each in live}) == 3
    status = file_system.getStatus()
    assert status.getCapacity() >= status.getRemaining() > 0


@pytest.mark.requirement("F01")
def test_both_renames(java: JavaClient, file_system: Any, folder: str) -> None:
    for name in ("a", "b"):
        stream = create(java, file_system, f"{folder}/{name}")
        stream.write(name.encode())
        stream.close()
    first, second = java.path(f"{folder}/a"), java.path(f"{folder}/b")
    assert not file_system.rename(first, second)
    assert not file_system.rename(java.path(f"{folder}/none"), java.path(f"{folder}/c"))
    assert not file_system.rename(java.path(folder), java.path(f"{folder}/c"))
    context = java.jvm.org.apache.hadoop.fs.FileContext.getFileContext(
        file_system.getUri(), file_system.getConf()
    )
    options = java.jvm.org.apache.hadoop.fs.Options.Rename
    with pytest.raises(Py4JJavaError) as error:
        context.rename(first, second, java.enums(options.NONE))
    assert java_class(error) == "FileAlreadyExistsException"
    context.rename(first, second, java.enums(options.OVERWRITE))
    assert read(java, file_system, f"{folder}/b", 1) == b"a"


@pytest.mark.requirement("C01")
def test_concat(java: JavaClient, file_system: Any, folder: str) -> None:
    parts = [os.urandom(BLOCK), os.urandom(BLOCK), os.urandom(77)]
    for number, part in enumerate(parts):
        stream = create(java, file_system, f"{folder}/{number}")
        stream.write(part)
        stream.close()
    sources = [java.path(f"{folder}/{number}") for number in (1, 2)]
    file_system.concat(java.path(f"{folder}/0"), java.paths(sources))
    assert read(java, file_system, f"{folder}/0", 2 * BLOCK + 77) == b"".join(parts)
    assert not file_system.exists(java.path(f"{folder}/1"))


def test_a_method_that_is_not_there(java: JavaClient, file_system: Any, folder: str) -> None:
    """Whatever is not offered yet gets an answer, and the connection lives on."""
    for call in (
        lambda: file_system.listCacheDirectives(None).hasNext(),
        lambda: file_system.listEncryptionZones().hasNext(),
    ):
        try:
            call()
        except Py4JJavaError as error:
            told = str(error.java_exception)
            assert "Unknown method" in told or "RpcNoSuchMethodException" in told, told
    assert file_system.exists(java.path(folder))
