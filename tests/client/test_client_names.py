"""Addresses, paths, patterns and settings: what users write."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.client import glob, paths
from cairnfs.client.address import default_user, resolve
from cairnfs.client.entry import Entry, name_text
from cairnfs.client.filesystem import configuration
from cairnfs.client.settings import ClientSettings
from cairnfs.config import Configuration
from cairnfs.errors import ConfigurationError, InvalidPath
from cairnfs.types import ChecksumType, FileStatus, FileType

HA = {
    "dfs.nameservices": "logical,other",
    "dfs.ha.namenodes.logical": "a, b",
    "dfs.namenode.rpc-address.logical.a": "one:1",
    "dfs.namenode.rpc-address.logical.b": "two:2",
    "dfs.namenode.rpc-address.other": "three:3",
}


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "values", "authority", "addresses"),
    [
        ("hdfs://h:9000", {}, "h:9000", [("h", 9000)]),
        ("cairn://h", {}, "h", [("h", 8020)]),
        ("hdfs://h:1/some/path", {}, "h:1", [("h", 1)]),
        ("h:1", {}, "h:1", [("h", 1)]),
        ("hdfs://[::1]:1", {}, "[::1]:1", [("::1", 1)]),
        ("hdfs://a:1,b:2", {}, "a:1,b:2", [("a", 1), ("b", 2)]),
        (None, {}, "localhost:8020", [("localhost", 8020)]),
        (None, {"fs.defaultFS": "hdfs://h:7"}, "h:7", [("h", 7)]),
        ("hdfs:///p", {"fs.defaultFS": "hdfs://h:7"}, "h:7", [("h", 7)]),
        ("/p", {"fs.defaultFS": "hdfs://h:7"}, "h:7", [("h", 7)]),
        ("hdfs://logical", HA, "logical", [("one", 1), ("two", 2)]),
        ("hdfs://other", HA, "other", [("three", 3)]),
        (None, {**HA, "fs.defaultFS": "hdfs://logical"}, "logical", [("one", 1), ("two", 2)]),
    ],
)
@pytest.mark.requirement("D04")
def test_which_namenodes_an_address_means(
    url: str | None, values: dict[str, str], authority: str, addresses: list[tuple[str, int]]
) -> None:
    target = resolve(url, Configuration(values))
    assert target.authority == authority
    assert list(target.addresses) == addresses


@pytest.mark.parametrize("url", ["s3://bucket", "file:///x", "hdfs://h:port", "hdfs://h:99999"])
def test_wrong_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=url.split("//")[1].split(":")[-1] or "file"):
        resolve(url, Configuration())


@pytest.mark.requirement("D04")
def test_the_user_is_hadoops_or_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_USER_NAME", "alice")
    assert default_user() == "alice"
    monkeypatch.delenv("HADOOP_USER_NAME")
    assert default_user()
    monkeypatch.setattr(os, "geteuid", lambda: 123456789)
    assert default_user() == "123456789"


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/a//b/", "/a/b"),
        ("/a/./b/../c", "/a/c"),
        ("/../..", "/"),
        ("x", "/user/me/x"),
        (".", "/user/me"),
        ("a:b", "/user/me/a:b"),
        ("/a:b//c", "/a:b/c"),
        ("hdfs://h:1/p", "/p"),
        ("cairn://h:1", "/"),
        ("hdfs:///p", "/p"),
        ("/ü/ x ", "/ü/ x "),
    ],
)
def test_paths_become_absolute_and_normal(path: str, expected: str) -> None:
    assert paths.normal(path, "/user/me", "hdfs://h:1") == expected


@pytest.mark.parametrize("path", ["", "a\0b", "hdfs://other:1/p", "file:///p", "/" + "x" * 9000])
def test_paths_of_nowhere_are_refused(path: str) -> None:
    with pytest.raises(InvalidPath):
        paths.normal(path, "/user/me", "hdfs://h:1")


@given(st.text(alphabet="ab./:", min_size=1))
def test_normal_paths_stay_as_they_are(path: str) -> None:
    try:
        once = paths.normal(path, "/home", "hdfs://h")
    except InvalidPath:
        return
    assert paths.normal(once, "/home", "hdfs://h") == once
    assert once.startswith("/")
    assert once == "/" or paths.join(paths.parent(once), paths.base(once)) == once


# --- patterns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("*", ["", "a", ".hidden", "a\nb"], []),
        ("a*b", ["ab", "axxb"], ["a", "abc"]),
        ("a?c", ["abc"], ["ac", "abbc"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a-c]x", ["dx"], ["ax"]),
        ("[!a]x", ["bx"], ["ax"]),
        ("[]a]x", ["]x", "ax"], ["bx"]),
        ("[a\\]]x", ["]x", "ax"], []),
        ("{ab,c*}", ["ab", "c", "cde"], ["a", "b"]),
        ("{a,{b,c}d}e", ["ae", "bde", "cde"], ["be", "de"]),
        ("a,b", ["a,b"], ["a", "b"]),
        ("\\*\\{", ["*{"], ["x{"]),
        ("a.b+(c)|$", ["a.b+(c)|$"], ["axb+(c)|$"]),
    ],
)
def test_what_patterns_match(pattern: str, matches: list[str], others: list[str]) -> None:
    expression = glob.compile_name(pattern)
    assert [text for text in matches if not expression.fullmatch(text)] == []
    assert [text for text in others if expression.fullmatch(text)] == []


@pytest.mark.parametrize("pattern", ["{a", "[a", "[", "x\\", "[b-a]"])
def test_broken_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidPath):
        glob.compile_name(pattern)


@given(st.text(alphabet="ab[]{}^!-,\\*?/.", max_size=12))
def test_any_text_is_a_pattern_or_refused(pattern: str) -> None:
    try:
        for text in glob.expand(pattern):
            for name in text.split("/"):
                glob.compile_name(name)
    except InvalidPath:
        pass


def test_braces_with_slashes_are_written_out() -> None:
    assert glob.expand("/a/{b,c}") == ["/a/{b,c}"]
    assert glob.expand("/{a/x,b}/c{d,e/{f,g/h}}") == [
        "/a/x/cd",
        "/a/x/ce/f",
        "/a/x/ce/g/h",
        "/b/cd",
        "/b/ce/f",
        "/b/ce/g/h",
    ]
    with pytest.raises(InvalidPath, match="more than"):
        glob.expand("{a/,b}" * 20)


def entry(path: str, *, is_dir: bool) -> Entry:
    kind = FileType.DIRECTORY if is_dir else FileType.FILE
    return Entry(path, FileStatus(kind, b"", 0, 0o644, "u", "g", 0, 0, 1, 1, 1))


async def find(pattern: str, tree: dict[str, bool]) -> list[str]:
    """Paths in ``tree`` (path: is it a directory) that match."""

    async def stat(path: str) -> Entry | None:
        return entry(path, is_dir=tree[path]) if path in tree else None

    async def entries(path: str) -> AsyncIterator[Entry]:
        for child, is_dir in tree.items():
            if child != path and paths.parent(child) == path:
                yield entry(child, is_dir=is_dir)

    return [found.path for found in await glob.find(pattern, stat, entries)]


TREE = {
    "/": True,
    "/a": True,
    "/a/x1": False,
    "/a/x2": False,
    "/a/sub": True,
    "/a/sub/x1": False,
    "/b": True,
    "/b/x1": False,
    "/*": False,
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/", ["/"]),
        ("/a", ["/a"]),
        ("/nothing", []),
        ("/*", ["/*", "/a", "/b"]),
        ("/*/x?", ["/a/x1", "/a/x2", "/b/x1"]),
        ("/*/*/x1", ["/a/sub/x1"]),
        ("/a/x1/*", []),
        ("/{a/sub,b}/x1", ["/a/sub/x1", "/b/x1"]),
        ("/\\*", ["/*"]),
        ("/{a,a}", ["/a"]),
        ("/q*/x", []),
    ],
)
async def test_what_a_pattern_finds(pattern: str, expected: list[str]) -> None:
    assert await find(pattern, TREE) == expected


# --- settings and entries ------------------------------------------------------------------------


@pytest.mark.requirement("D04")
def test_what_nobody_sets_is_left_to_the_namenode() -> None:
    plain = ClientSettings.of(Configuration())
    assert plain.block_size is None
    assert plain.replication is None
    assert plain.checksum_type is None
    said = ClientSettings.of(
        Configuration(
            {
                "dfs.blocksize": "64m",
                "dfs.replication": "2",
                "dfs.checksum.type": "crc32",
                "dfs.client.block.write.replace-datanode-on-failure.enable": "false",
                "fs.permissions.umask-mode": "027",
            }
        )
    )
    assert (said.block_size, said.replication) == (64 << 20, 2)
    assert said.checksum_type is ChecksumType.CRC32
    assert said.replace_policy == "NEVER"
    assert said.umask == 0o027


@pytest.mark.parametrize("mask", ["9", "-1", "1777", "rwx"])
def test_a_wrong_umask_is_refused(mask: str) -> None:
    with pytest.raises(ConfigurationError, match="umask"):
        ClientSettings.of(Configuration({"fs.permissions.umask-mode": mask}))


@pytest.mark.requirement("D04")
def test_the_environment_is_read_where_no_configuration_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("CAIRN_CONF_DIR", "HADOOP_CONF_DIR", "CAIRN_DFS_REPLICATION"):
        monkeypatch.delenv(name, raising=False)
    assert ClientSettings.of(configuration()).replication is None
    monkeypatch.setenv("CAIRN_DFS_REPLICATION", "2")
    assert ClientSettings.of(configuration()).replication == 2
    mine = Configuration()
    assert configuration(mine) is mine


def test_names_that_are_no_text_survive() -> None:
    assert name_text("ü".encode()) == "ü"
    assert os.fsencode(name_text(b"\xff\xfe")) == b"\xff\xfe"
    assert entry("/a/b", is_dir=False).name == "b"
