"""colinmarc/hdfs (Go, no Java): its command line, verb by verb, and its library."""

from __future__ import annotations

import getpass
import hashlib
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_processes import Maker, ProcessCluster
from go_client import GoClient, GoError, GoLibrary
from hadoop import Hadoop
from java_client import JavaClient, Outcome

pytestmark = pytest.mark.requirement("F01")

BLOCK = 1 << 18
# Five blocks, the last one partly filled, and no multiple of a chunk.
SIZE = 4 * BLOCK + 12_345
ME = getpass.getuser()

Shell = Callable[..., Outcome]


@pytest.fixture(scope="module")
def cluster(
    hadoop: Hadoop, maker: Maker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessCluster]:
    """Three DataNodes and small blocks: this client's command line takes the server's default."""
    settings = {"dfs.blocksize": str(BLOCK)}
    directory = tmp_path_factory.mktemp("go-cluster")
    with ProcessCluster(directory, hadoop, maker, [maker] * 3, settings) as running:
        yield running


@pytest.fixture
def hdfs(go: GoClient, cluster: ProcessCluster) -> Shell:
    """``hdfs("ls", "/")`` runs the command line."""

    def run(*arguments: str, **options: object) -> Outcome:
        return go.fs(cluster.url, *arguments, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def library(go: GoClient, cluster: ProcessCluster) -> Iterator[GoLibrary]:
    with go.library(cluster.url, ME) as found:
        yield found


@pytest.fixture
def closed(java: JavaClient, cluster: ProcessCluster) -> Iterator[Callable[[str], None]]:
    """Wait until the DataNodes have cut the last block of a truncated file."""
    file_system = java.file_system(cluster.url)

    def wait(path: str) -> None:
        deadline = time.monotonic() + 30
        while not file_system.isFileClosed(java.path(path)):
            assert time.monotonic() < deadline, path
            time.sleep(0.02)

    yield wait
    file_system.close()


def ok(outcome: Outcome) -> str:
    """What a command that must succeed printed; it says nothing else."""
    assert (outcome.code, outcome.errors) == (0, ""), outcome
    return outcome.text


def refused(outcome: Outcome, words: str) -> None:
    """A command ended with 1 and just this sentence."""
    assert (outcome.code, outcome.errors) == (1, f"{words}\n"), outcome


def put(hdfs: Shell, path: str, data: bytes) -> None:
    ok(hdfs("put", "-", path, stdin=data))


# --- directories and listings --------------------------------------------------------------------


def test_mkdir(hdfs: Shell, folder: str) -> None:
    ok(hdfs("mkdir", f"{folder}/a"))
    refused(hdfs("mkdir", f"{folder}/a"), f"mkdir {folder}/a: file already exists")
    refused(hdfs("mkdir", f"{folder}/x/y"), f"mkdir {folder}/x/y: file does not exist")
    ok(hdfs("mkdir", "-p", f"{folder}/x/y/z", f"{folder}/a"))
    ok(hdfs("test", "-d", f"{folder}/x/y/z"))


def test_ls(hdfs: Shell, folder: str) -> None:
    put(hdfs, f"{folder}/data", b"x" * 3000)
    put(hdfs, f"{folder}/.hidden", b"")
    put(hdfs, f"{folder}/sub/inner", b"12345")
    assert ok(hdfs("ls", folder)).split() == ["data", "sub"]
    assert ok(hdfs("ls", "-a", folder)).split() == [".", "..", ".hidden", "data", "sub"]
    assert ok(hdfs("ls", f"{folder}/data")) == f"{folder}/data\n"
    lines = ok(hdfs("ls", "-l", folder)).splitlines()
    moment = r"\w{3} +\d+ +\d\d:\d\d"
    for line, wanted in zip(
        lines,
        (
            rf"-rw-r--r-- +{ME} +supergroup +3000 +{moment} +data",
            rf"drwxr-xr-x +{ME} +supergroup +0 +{moment} +sub",
        ),
        strict=True,
    ):
        assert re.fullmatch(wanted, line.strip())
    assert " 2.9K " in ok(hdfs("ls", "-lh", f"{folder}/data"))
    # Of each directory below, its name and what it holds.
    assert ok(hdfs("ls", "-R", folder)).split() == ["data", "sub", f"{folder}/sub:", "inner"]
    assert ok(hdfs("ls", f"{folder}/*a*")).split() == [f"{folder}/data"]
    refused(hdfs("ls", f"{folder}/none"), f"stat {folder}/none: file does not exist")
    refused(hdfs("ls", f"{folder}/z*"), f"stat {folder}/z*: file does not exist")


def test_a_listing_of_many_pages(hdfs: Shell, fs: Shell, folder: str) -> None:
    names = [f"entry-{number:05}" for number in range(1100)]
    assert fs("-touchz", *(f"{folder}/{name}" for name in names)).code == 0
    assert ok(hdfs("ls", folder)).split() == names
    assert len(ok(hdfs("ls", "-l", folder)).splitlines()) == 1100


# --- bytes in and out ----------------------------------------------------------------------------


@pytest.mark.requirement("A01", "A12")
@pytest.mark.parametrize("size", [0, 1, 512, 65_536, 65_537, BLOCK - 1, BLOCK, BLOCK + 1, SIZE])
def test_put_cat_get(hdfs: Shell, fs: Shell, folder: str, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "local").write_bytes(data)
    ok(hdfs("put", str(tmp_path / "local"), f"{folder}/remote"))
    assert hdfs("cat", f"{folder}/remote").output == data
    ok(hdfs("get", f"{folder}/remote", str(tmp_path / "back")))
    back = (tmp_path / "back").read_bytes()
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
    assert fs("-stat", "%b %o %r", f"{folder}/remote").text == f"{size} {BLOCK} 3\n"
    refused(
        hdfs("put", str(tmp_path / "local"), f"{folder}/remote"),
        f"mkdir {folder}/remote: file already exists",
    )
    # Into a directory it goes under its own name.
    ok(hdfs("put", str(tmp_path / "local"), folder))
    assert hdfs("cat", f"{folder}/local").output == data
    assert hdfs("cat", f"{folder}/local", f"{folder}/remote").output == data + data


def test_a_tree(hdfs: Shell, folder: str, tmp_path: Path) -> None:
    for name in ("a", "b/c", "b/d/e"):
        place = tmp_path / "tree" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    ok(hdfs("put", str(tmp_path / "tree"), f"{folder}/tree"))
    ok(hdfs("get", f"{folder}/tree", str(tmp_path / "back")))
    for name in ("a", "b/c", "b/d/e"):
        assert (tmp_path / "back" / name).read_text() == name
    # Without a target: here, under the same name.
    (tmp_path / "here").mkdir()
    ok(hdfs("get", f"{folder}/tree/a", cwd=tmp_path / "here"))
    assert (tmp_path / "here" / "a").read_text() == "a"


def test_getmerge(hdfs: Shell, folder: str, tmp_path: Path) -> None:
    parts = [os.urandom(BLOCK + 5), b"", b"tail"]
    for number, part in enumerate(parts):
        put(hdfs, f"{folder}/part-{number}", part)
    ok(hdfs("mkdir", f"{folder}/passed-over"))
    ok(hdfs("getmerge", folder, str(tmp_path / "all")))
    assert (tmp_path / "all").read_bytes() == b"".join(parts)
    ok(hdfs("getmerge", "-n", folder, str(tmp_path / "lines")))
    assert (tmp_path / "lines").read_bytes() == b"".join(part + b"\n" for part in parts)


def test_head_and_tail(hdfs: Shell, folder: str) -> None:
    lines = [b"line %06d\n" % number for number in range(40_000)]
    data = b"".join(lines)
    assert len(data) > BLOCK
    put(hdfs, f"{folder}/f", data)
    assert hdfs("head", f"{folder}/f").output == b"".join(lines[:10])
    assert hdfs("head", "-n", "30000", f"{folder}/f").output == b"".join(lines[:30_000])
    assert hdfs("head", "-c", "1000", f"{folder}/f").output == data[:1000]
    assert hdfs("tail", f"{folder}/f").output == b"".join(lines[-10:])
    assert hdfs("tail", "-n", "1", f"{folder}/f").output == lines[-1]
    count = len(data) - BLOCK + 3
    assert hdfs("tail", "-c", str(count), f"{folder}/f").output == data[BLOCK - 3 :]


@pytest.mark.requirement("A16")
@pytest.mark.parametrize("size", [1, 1000, BLOCK, SIZE])
def test_checksum_is_javas(hdfs: Shell, fs: Shell, folder: str, size: int) -> None:
    """Java prints bytes per CRC and CRCs per block before the same MD5."""
    data = os.urandom(size)
    put(hdfs, f"{folder}/f", data)
    java = fs("-checksum", f"{folder}/f").text.split()
    assert java[1] == "MD5-of-0MD5-of-512CRC32C" if size <= BLOCK else "MD5-of-512MD5"
    assert ok(hdfs("checksum", f"{folder}/f")).split() == [java[2][-32:], f"{folder}/f"]


# --- moving, removing, attributes ----------------------------------------------------------------


def test_mv(hdfs: Shell, folder: str) -> None:
    put(hdfs, f"{folder}/a", b"a")
    put(hdfs, f"{folder}/other", b"other")
    ok(hdfs("mkdir", f"{folder}/d"))
    ok(hdfs("mv", f"{folder}/a", f"{folder}/b"))
    ok(hdfs("mv", f"{folder}/b", f"{folder}/d"))
    assert ok(hdfs("cat", f"{folder}/d/b")) == "a"
    refused(
        hdfs("mv", "-n", f"{folder}/other", f"{folder}/d/b"),
        f"rename {folder}/d/b: file already exists",
    )
    ok(hdfs("mv", f"{folder}/other", f"{folder}/d/b"))
    assert ok(hdfs("cat", f"{folder}/d/b")) == "other"
    refused(
        hdfs("mv", f"{folder}/none", f"{folder}/x"), f"rename {folder}/none: file does not exist"
    )
    refused(
        hdfs("mv", f"{folder}/d", f"{folder}/no/such"), f"rename {folder}/d: file does not exist"
    )
    ok(hdfs("mkdir", f"{folder}/empty"))
    ok(hdfs("mv", "-T", f"{folder}/d", f"{folder}/empty"))
    assert ok(hdfs("ls", "-R", folder)).split() == ["empty", f"{folder}/empty:", "b"]


def test_rm(hdfs: Shell, folder: str) -> None:
    put(hdfs, f"{folder}/d/e/f", b"x")
    put(hdfs, f"{folder}/f", b"x")
    ok(hdfs("rm", f"{folder}/f"))
    refused(hdfs("rm", f"{folder}/f"), f"remove {folder}/f: file does not exist")
    ok(hdfs("rm", "-f", f"{folder}/f"))
    refused(hdfs("rm", f"{folder}/d"), f"remove {folder}/d: file is a directory")
    ok(hdfs("rm", "-r", f"{folder}/d"))
    assert ok(hdfs("ls", folder)) == ""


def test_touch(hdfs: Shell, fs: Shell, folder: str) -> None:
    ok(hdfs("touch", f"{folder}/f"))
    assert fs("-stat", "%b %F", f"{folder}/f").text == "0 regular file\n"
    assert fs("-touch", "-t", "20200102:030405", f"{folder}/f").code == 0
    began = int(time.time())
    ok(hdfs("touch", f"{folder}/f"))
    for time_ms in fs("-stat", "%X %Y", f"{folder}/f").text.split():
        assert began <= int(time_ms) // 1000 <= time.time()
    refused(hdfs("touch", "-c", f"{folder}/none"), f"stat {folder}/none: file does not exist")


def test_chmod(hdfs: Shell, fs: Shell, folder: str) -> None:
    put(hdfs, f"{folder}/d/f", b"")
    ok(hdfs("chmod", "640", f"{folder}/d/f"))
    assert fs("-stat", "%a", f"{folder}/d/f").text == "640\n"
    ok(hdfs("chmod", "-R", "1777", f"{folder}/d"))
    assert fs("-stat", "%a", f"{folder}/d", f"{folder}/d/f").text == "1777\n1777\n"
    refused(hdfs("chmod", "600", f"{folder}/none"), f"stat {folder}/none: file does not exist")


def test_chown(hdfs: Shell, fs: Shell, folder: str) -> None:
    put(hdfs, f"{folder}/d/f", b"")
    ok(hdfs("chown", "ann:crew", f"{folder}/d/f"))
    assert fs("-stat", "%u %g", f"{folder}/d/f").text == "ann crew\n"
    # A name alone is the group's, too.
    ok(hdfs("chown", "-R", "bob", f"{folder}/d"))
    assert fs("-stat", "%u %g", f"{folder}/d", f"{folder}/d/f").text == "bob bob\nbob bob\n"
    refused(
        hdfs("chown", "eve:eve", f"{folder}/d/f", user="bob"),
        f"chown {folder}/d/f: permission denied",
    )


def test_du(hdfs: Shell, folder: str) -> None:
    put(hdfs, f"{folder}/a", b"x" * 1000)
    put(hdfs, f"{folder}/d/b", b"y" * 2000)
    assert ok(hdfs("du", folder)).split() == [
        *("1000", f"{folder}/a", "2000", f"{folder}/d/b", "2000", f"{folder}/d", "3000", folder)
    ]
    assert ok(hdfs("du", "-s", folder)).split() == ["3000", folder]
    assert ok(hdfs("du", "-sh", folder)).split() == ["2.9K", folder]


def test_df(hdfs: Shell, fs: Shell, cluster: ProcessCluster) -> None:
    header, line = ok(hdfs("df")).splitlines()
    assert header.split() == ["Filesystem", "Size", "Used", "Available", "Use%"]
    name, size, used, free, share = line.split()
    assert name == cluster.url.removeprefix("hdfs://")
    # Java asks for the same numbers; what is free changes while others work.
    java = fs("-df").text.splitlines()[1].split()
    assert size == java[1]
    assert int(size) > int(free) > 0
    assert int(used) > 0
    assert share == f"{100 * int(used) // int(size)}%"


def test_the_test_verb(hdfs: Shell, folder: str) -> None:
    put(hdfs, f"{folder}/f", b"x")
    put(hdfs, f"{folder}/empty", b"")
    answers = {
        ("-e", folder): 0,
        ("-e", f"{folder}/none"): 1,
        ("-d", folder): 0,
        ("-d", f"{folder}/f"): 1,
        ("-f", f"{folder}/f"): 0,
        ("-f", folder): 1,
        ("-s", f"{folder}/f"): 0,
        ("-s", f"{folder}/empty"): 1,
        ("-z", f"{folder}/empty"): 0,
        ("-z", f"{folder}/f"): 1,
    }
    assert {key: hdfs("test", *key).code for key in answers} == answers


@pytest.mark.requirement("C01")
def test_truncate(hdfs: Shell, closed: Callable[[str], None], folder: str) -> None:
    data = os.urandom(2 * BLOCK + 100)
    put(hdfs, f"{folder}/f", data)
    ok(hdfs("truncate", str(BLOCK), f"{folder}/f"))
    assert hdfs("cat", f"{folder}/f").output == data[:BLOCK]
    ok(hdfs("truncate", "1000", f"{folder}/f"))
    closed(f"{folder}/f")
    assert hdfs("cat", f"{folder}/f").output == data[:1000]


# --- what it says when it cannot -----------------------------------------------------------------


def test_a_file_that_is_not_there(hdfs: Shell, folder: str, tmp_path: Path) -> None:
    none = f"{folder}/none"
    refused(hdfs("cat", none), f"open {none}: file does not exist")
    refused(hdfs("head", none), f"open {none}: file does not exist")
    refused(hdfs("checksum", none), f"open {none}: file does not exist")
    refused(hdfs("get", none, str(tmp_path / "x")), f"open {none}: file does not exist")
    refused(hdfs("getmerge", none, str(tmp_path / "x")), f"open {none}: file does not exist")
    refused(hdfs("du", none), f"stat {none}: file does not exist")
    refused(hdfs("chown", "ann", none), f"stat {none}: file does not exist")
    refused(hdfs("truncate", "0", none), f"truncate {none}: file does not exist")
    refused(hdfs("cat", folder), f"cat {folder}: file is a directory")
    put(hdfs, f"{folder}/f", b"")
    # Below a file there is nothing for the superuser, and nothing is told to anybody else.
    below = f"{folder}/f/below"
    refused(hdfs("cat", below), f"open {below}: file does not exist")
    refused(hdfs("cat", below, user="bob"), f"open {below}: permission denied")


@pytest.mark.requirement("F07")
def test_permission_denied(hdfs: Shell, folder: str, tmp_path: Path) -> None:
    secret, closed = f"{folder}/secret", f"{folder}/closed"
    put(hdfs, secret, b"s")
    put(hdfs, f"{closed}/f", b"s")
    ok(hdfs("chmod", "600", secret))
    ok(hdfs("chmod", "700", closed))
    (tmp_path / "x").write_bytes(b"x")

    def denied(words: str, *arguments: str, stdin: bytes = b"") -> None:
        refused(hdfs(*arguments, user="bob", stdin=stdin), words)

    denied(f"create {folder}/x: permission denied", "put", str(tmp_path / "x"), f"{folder}/x")
    denied(f"create {folder}/x: permission denied", "put", "-", f"{folder}/x", stdin=b"x")
    denied(f"mkdir {folder}/x: permission denied", "mkdir", f"{folder}/x")
    denied(f"create {folder}/x: permission denied", "touch", f"{folder}/x")
    denied(f"remove {secret}: permission denied", "rm", secret)
    denied(f"rename {secret}: permission denied", "mv", secret, f"{folder}/mine")
    denied(f"chmod {secret}: permission denied", "chmod", "777", secret)
    denied(f"truncate {secret}: permission denied", "truncate", "0", secret)
    denied(f"readdir {closed}: permission denied", "ls", closed)
    denied(f"stat {closed}/f: permission denied", "ls", f"{closed}/f")
    denied(f"content summary {closed}: permission denied", "du", "-s", closed)
    # This client does not put what DataNodes and block locations answer into words.
    said = hdfs("cat", secret, user="bob")
    assert said.code == 1
    assert "org.apache.hadoop.security.AccessControlException" in said.errors


def test_a_namenode_that_is_not_there(go: GoClient) -> None:
    from cairnfs.testing import free_port

    said = go.fs(f"hdfs://127.0.0.1:{free_port()}", "ls", "/")
    assert said.code == 1
    assert "connection refused" in said.errors


# --- with other clients --------------------------------------------------------------------------


@pytest.mark.requirement("A01")
def test_what_java_writes_is_read(hdfs: Shell, fs: Shell, folder: str) -> None:
    data = os.urandom(SIZE)
    assert fs("-put", "-", f"{folder}/f", stdin=data).code == 0
    assert fs("-appendToFile", "-", f"{folder}/f", stdin=data[:1000]).code == 0
    assert hdfs("cat", f"{folder}/f").output == data + data[:1000]


@pytest.mark.requirement("A01")
def test_what_it_writes_is_read_by_java(hdfs: Shell, fs: Shell, folder: str) -> None:
    data = os.urandom(SIZE)
    put(hdfs, f"{folder}/f", data)
    assert fs("-cat", f"{folder}/f").output == data
    assert fs("-appendToFile", "-", f"{folder}/f", stdin=data[:1000]).code == 0
    assert hdfs("cat", f"{folder}/f").output == data + data[:1000]


@pytest.mark.requirement("A01")
def test_hdfs_native_both_ways(hdfs: Shell, cluster: ProcessCluster, folder: str) -> None:
    hdfs_native = pytest.importorskip("hdfs_native")
    client = hdfs_native.Client(cluster.url)
    data = os.urandom(SIZE)
    with client.create(f"{folder}/native", hdfs_native.WriteOptions(block_size=BLOCK)) as file:
        file.write(data)
    assert hdfs("cat", f"{folder}/native").output == data
    put(hdfs, f"{folder}/go", data)
    assert client.read(f"{folder}/go").read() == data


# --- the library ---------------------------------------------------------------------------------


def error_of(call: Callable[[], object]) -> GoError:
    with pytest.raises(GoError) as found:
        call()
    return found.value


def write(library: GoLibrary, path: str, *parts: bytes, replication: int = 3) -> None:
    library("create", path, replication=replication, blockSize=BLOCK, mode=0o644)
    for part in parts:
        library("write", path, data=part)
    library("close", path)


@pytest.mark.requirement("A01", "A09", "A12")
def test_create_with_its_own_block_size_replication_and_mode(
    library: GoLibrary, fs: Shell, folder: str
) -> None:
    path = f"{folder}/f"
    data = os.urandom(300_000)
    library("create", path, replication=2, blockSize=1 << 16, mode=0o640)
    for start in range(0, len(data), 7_001):
        assert library("write", path, data=data[start : start + 7_001]) > 0
    library("close", path)
    assert library.data("read", path) == data
    assert fs("-stat", "%o %r %a", path).text == f"{1 << 16} 2 640\n"
    assert error_of(lambda: library("create default", path)).kind == "exist"
    assert (
        error_of(
            lambda: library("create", f"{folder}/no/f", replication=1, blockSize=BLOCK, mode=0o644)
        ).kind
        == "not exist"
    )
    # A block smaller than the NameNode allows.
    small = error_of(
        lambda: library("create", f"{folder}/g", replication=1, blockSize=512, mode=0o644)
    )
    assert (small.kind, small.exception) == ("", "java.io.IOException")


@pytest.mark.requirement("A21")
def test_flush_shows_others_what_was_written(
    library: GoLibrary, java: JavaClient, cluster: ProcessCluster, folder: str
) -> None:
    path = f"{folder}/f"
    data = os.urandom(BLOCK + 100_000)
    seen = BLOCK + 1000
    library("create default", path)
    library("write", path, data=data[:seen])
    library("flush", path)
    file_system = java.file_system(cluster.url)
    deadline = time.monotonic() + 20
    # It sends without waiting for an answer.
    while True:
        stream = file_system.open(java.path(path))
        found = bytes(stream.readNBytes(len(data)))
        stream.close()
        if len(found) == seen or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert found == data[:seen]
    library("write", path, data=data[seen:])
    library("close", path)
    assert library.data("read", path) == data
    file_system.close()


@pytest.mark.requirement("C01")
def test_append(library: GoLibrary, fs: Shell, folder: str) -> None:
    path = f"{folder}/f"
    write(library, path)
    expected = b""
    # From the middle of a chunk, from a chunk's end, over a block's end, from a block's end.
    for size in (1, 511, 1000, 70_000, BLOCK, 2 * BLOCK - 71_512 - BLOCK, 3):
        part = os.urandom(size)
        library("append", path)
        library("write", path, data=part)
        library("close", path)
        expected += part
        assert library.data("read", path) == expected
    assert fs("-cat", path).output == expected
    assert error_of(lambda: library("append", f"{folder}/none")).kind == "not exist"


@pytest.mark.requirement("C01")
def test_a_file_has_one_writer(
    library: GoLibrary, go: GoClient, cluster: ProcessCluster, folder: str
) -> None:
    path = f"{folder}/f"
    library("create default", path)
    library("write", path, data=b"mine")
    with go.library(cluster.url, ME) as other:
        refusal = error_of(
            lambda: other("create", path, replication=3, blockSize=BLOCK, mode=0o644)
        )
        assert refusal.kind == "exist"
        refusal = error_of(lambda: other("append", path))
        assert refusal.exception == "org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException"
    library("close", path)
    assert library.data("read", path) == b"mine"


def test_stat(library: GoLibrary, folder: str) -> None:
    write(library, f"{folder}/f", b"x" * 1000)
    library("chmod", f"{folder}/f", mode=0o604)
    library("chown", f"{folder}/f", user="ann", group="crew")
    library("chtimes", f"{folder}/f", seconds=[1_000_000_000, 1_100_000_000])
    assert library("stat", f"{folder}/f") == {
        "path": f"{folder}/f",
        "size": 1000,
        "mode": "-rw----r--",
        "dir": False,
        "owner": "ann",
        "group": "crew",
        "mtime": 1_100_000_000,
        "atime": 1_000_000_000,
    }
    root = library("stat", "/")
    assert (root["dir"], root["owner"]) == (True, ME)
    assert error_of(lambda: library("stat", f"{folder}/none")).kind == "not exist"


def test_read_dir_and_walk(library: GoLibrary, fs: Shell, folder: str) -> None:
    library("mkdir all", f"{folder}/b/c", mode=0o750)
    library("mkdir", f"{folder}/a", mode=0o700)
    write(library, f"{folder}/b/c/f", b"12345")
    many = [f"{number:04}" for number in range(1050)]
    assert fs("-touchz", *(f"{folder}/a/{name}" for name in many)).code == 0
    assert [entry["path"] for entry in library("list", folder)] == ["a", "b"]
    for count in (0, 1, 100, 1000, 5000):
        if count != 1:
            assert [entry["path"] for entry in library("list", f"{folder}/a", count=count)] == many
    assert [entry["path"] for entry in library("list", f"{folder}/b", count=1)] == ["c"]
    walked = [(entry["path"], entry["mode"], entry["size"]) for entry in library("walk", folder)]
    assert walked[:2] == [(folder, "drwxr-xr-x", 0), (f"{folder}/a", "drwx------", 0)]
    assert walked[2:1052] == [(f"{folder}/a/{name}", "-rw-r--r--", 0) for name in many]
    assert walked[1052:] == [
        (f"{folder}/b", "drwxr-x---", 0),
        (f"{folder}/b/c", "drwxr-x---", 0),
        (f"{folder}/b/c/f", "-rw-r--r--", 5),
    ]
    assert error_of(lambda: library("list", f"{folder}/none")).kind == "not exist"
    assert library("summary", folder) == {
        "size": 5,
        "consumed": 15,
        "files": 1051,
        "directories": 4,
    }


@pytest.mark.requirement("C05")
def test_read_at_random_offsets(library: GoLibrary, folder: str) -> None:
    path = f"{folder}/f"
    data = os.urandom(SIZE)
    write(library, path, data)
    chance = random.Random(7)
    for _ in range(100):
        start = chance.randrange(len(data))
        length = chance.choice([1, 500, 70_000, 2 * BLOCK])
        found = library.data("read at", path, offset=start, length=length)
        assert found == data[start : start + length]
    assert library.data("read at", path, offset=SIZE, length=10) == b""
    assert library.data("read at", path, offset=BLOCK - 1, length=2) == data[BLOCK - 1 : BLOCK + 1]


@pytest.mark.requirement("A18")
def test_rename_and_remove(library: GoLibrary, folder: str) -> None:
    a, b, d = f"{folder}/a", f"{folder}/b", f"{folder}/d"
    write(library, a, b"a")
    write(library, b, b"b")
    library("mkdir", d, mode=0o755)
    # It always overwrites.
    library("rename", a, to=b)
    assert library.data("read", b) == b"a"
    assert error_of(lambda: library("rename", a, to=b)).kind == "not exist"
    assert error_of(lambda: library("rename", b, to=f"{folder}/no/such")).kind == "not exist"
    library("rename", b, to=f"{d}/b")
    into_itself = error_of(lambda: library("rename", d, to=f"{d}/d"))
    assert into_itself.exception == "java.io.IOException"
    write(library, b, b"b")
    # A file does not take the place of a directory.
    assert error_of(lambda: library("rename", b, to=d)).exception == "java.io.IOException"
    assert error_of(lambda: library("remove", d)).kind == "not empty"
    assert error_of(lambda: library("mkdir", d, mode=0o755)).kind == "exist"
    library("remove all", d)
    library("remove all", d)
    library("remove", b)
    assert error_of(lambda: library("remove", b)).kind == "not exist"
    assert library("list", folder) == []


@pytest.mark.requirement("C01")
def test_truncating(library: GoLibrary, closed: Callable[[str], None], folder: str) -> None:
    path = f"{folder}/f"
    data = os.urandom(3 * BLOCK)
    write(library, path, data)
    # Whether it is done: what ends with a block is, anything else the DataNodes have to cut.
    assert library("truncate", path, length=2 * BLOCK) is True
    assert library.data("read", path) == data[: 2 * BLOCK]
    assert library("truncate", path, length=BLOCK + 1000) is False
    closed(path)
    assert library.data("read", path) == data[: BLOCK + 1000]
    assert error_of(lambda: library("truncate", f"{folder}/none", length=0)).kind == "not exist"


def test_stat_fs_and_defaults(library: GoLibrary, fs: Shell, folder: str) -> None:
    write(library, f"{folder}/f", b"x" * BLOCK)
    found = library("stat fs")
    assert found["Capacity"] > found["Remaining"] > 0
    assert found["Used"] > 0
    assert (found["CorruptBlocks"], found["MissingBlocks"]) == (0, 0)
    defaults = library("defaults")
    assert (defaults["BlockSize"], defaults["Replication"]) == (BLOCK, 3)
    assert (defaults["BytesPerChecksum"], defaults["WritePacketSize"]) == (512, 65_536)
    assert defaults["EncryptDataTransfer"] is False


@pytest.mark.requirement("F07")
def test_the_library_is_refused(
    library: GoLibrary, go: GoClient, cluster: ProcessCluster, folder: str
) -> None:
    path = f"{folder}/f"
    write(library, path, b"x")
    library("chmod", path, mode=0o600)
    with go.library(cluster.url, "bob") as bob:
        refused_calls: list[Callable[[], object]] = [
            lambda: bob("create default", f"{folder}/g"),
            lambda: bob("append", path),
            lambda: bob("mkdir", f"{folder}/d", mode=0o755),
            lambda: bob("remove", path),
            lambda: bob("rename", path, to=f"{folder}/mine"),
            lambda: bob("chmod", path, mode=0o777),
            lambda: bob("chown", path, user="bob", group="bob"),
            lambda: bob("truncate", path, length=0),
            lambda: bob("chtimes", path, seconds=[1, 1]),
        ]
        assert [error_of(call).kind for call in refused_calls] == ["permission"] * 9
        # Nobody has interpreted this one for it.
        denied = error_of(lambda: bob("read", path))
        assert denied.exception == "org.apache.hadoop.security.AccessControlException"
