"""Every verb that people use of Hadoop's FsShell, with its output and exit code."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster_processes import ProcessCluster
from hadoop import Hadoop
from java_client import Outcome, fs_process

Shell = Callable[..., Outcome]


def ok(outcome: Outcome) -> str:
    """What a command that must succeed printed."""
    assert outcome.code == 0, outcome
    return outcome.text


def refused(outcome: Outcome, words: str, code: int = 1) -> None:
    assert outcome.code == code, outcome
    assert words in outcome.errors, outcome


def put(fs: Shell, path: str, data: bytes) -> None:
    ok(fs("-put", "-f", "-", path, stdin=data))


# --- directories and listings --------------------------------------------------------------------


@pytest.mark.requirement("F01")
def test_mkdir(fs: Shell, folder: str) -> None:
    ok(fs("-mkdir", f"{folder}/a"))
    refused(fs("-mkdir", f"{folder}/a"), "File exists")
    refused(fs("-mkdir", f"{folder}/x/y"), "No such file or directory")
    ok(fs("-mkdir", "-p", f"{folder}/x/y/z"))
    ok(fs("-mkdir", "-p", f"{folder}/x/y/z"))
    put(fs, f"{folder}/file", b"")
    refused(fs("-mkdir", f"{folder}/file/sub"), "is not a directory")
    refused(fs("-mkdir", f"{folder}/file"), "Is not a directory")


@pytest.mark.requirement("F01")
def test_ls(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/data", b"x" * 3000)
    ok(fs("-mkdir", f"{folder}/sub"))
    put(fs, f"{folder}/sub/inner", b"12345")
    lines = ok(fs("-ls", folder)).splitlines()
    assert lines[0] == "Found 2 items"
    user = re.escape(lines[1].split()[2])
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.fullmatch(rf"-rw-r--r--   3 {user} supergroup +3000 {moment} {folder}/data", lines[1])
    assert re.fullmatch(rf"drwxr-xr-x   - {user} supergroup +0 {moment} {folder}/sub", lines[2])
    assert ok(fs("-ls", "-C", folder)).splitlines() == [f"{folder}/data", f"{folder}/sub"]
    assert "2.9 K" in ok(fs("-ls", "-h", f"{folder}/data"))
    assert ok(fs("-ls", "-R", "-C", folder)).splitlines() == [
        f"{folder}/data",
        f"{folder}/sub",
        f"{folder}/sub/inner",
    ]
    assert ok(fs("-ls", "-d", "-C", folder)) == f"{folder}\n"
    assert ok(fs("-ls", "-S", "-r", "-C", folder)).splitlines()[-1] == f"{folder}/data"
    refused(fs("-ls", f"{folder}/none"), f"`{folder}/none': No such file or directory")


def test_ls_of_patterns(fs: Shell, folder: str) -> None:
    for name in ("a1", "a2", "b1"):
        put(fs, f"{folder}/{name}", b"")
    assert ok(fs("-ls", "-C", f"{folder}/a*")).split() == [f"{folder}/a1", f"{folder}/a2"]
    assert ok(fs("-ls", "-C", f"{folder}/{{a,b}}1")).split() == [f"{folder}/a1", f"{folder}/b1"]
    assert ok(fs("-ls", "-C", f"{folder}/[!a]1")).split() == [f"{folder}/b1"]
    refused(fs("-ls", f"{folder}/z*"), "No such file or directory")


def test_a_listing_of_many_pages(fs: Shell, folder: str, tmp_path: Path) -> None:
    names = [f"entry-{number:05}" for number in range(1100)]
    ok(fs("-touchz", *(f"{folder}/{name}" for name in names)))
    assert ok(fs("-ls", "-C", folder)).split() == [f"{folder}/{name}" for name in names]
    assert ok(fs("-count", folder)).split()[:3] == ["1", "1100", "0"]


@pytest.mark.parametrize("name", ["with blank", "umläut", "日本語", "a+b%20c", "a'b\"c", "semi;&"])
def test_odd_names(fs: Shell, folder: str, name: str) -> None:
    put(fs, f"{folder}/{name}", name.encode())
    assert ok(fs("-ls", "-C", folder)) == f"{folder}/{name}\n"
    assert ok(fs("-cat", f"{folder}/{name}")) == name
    ok(fs("-mv", f"{folder}/{name}", f"{folder}/{name}2"))
    ok(fs("-rm", "-skipTrash", f"{folder}/{name}2"))
    assert ok(fs("-ls", folder)) == ""


# --- bytes in and out ----------------------------------------------------------------------------


@pytest.mark.requirement("A01", "F01")
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 65_536, 1_000_003])
def test_put_and_get(fs: Shell, folder: str, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "local").write_bytes(data)
    ok(fs("-put", str(tmp_path / "local"), f"{folder}/remote"))
    ok(fs("-get", f"{folder}/remote", str(tmp_path / "back")))
    assert (tmp_path / "back").read_bytes() == data
    refused(fs("-put", str(tmp_path / "local"), f"{folder}/remote"), "File exists")
    refused(fs("-get", f"{folder}/remote", str(tmp_path / "back")), "File exists")
    ok(fs("-put", "-f", str(tmp_path / "local"), f"{folder}/remote"))
    refused(fs("-put", str(tmp_path / "none"), f"{folder}/x"), "No such file or directory")
    refused(fs("-get", f"{folder}/none", str(tmp_path / "x")), "No such file or directory")


@pytest.mark.requirement("A12")
def test_a_file_of_many_blocks_with_a_block_size_of_its_own(fs: Shell, folder: str) -> None:
    data = os.urandom(5 * (1 << 20) + 12_345)
    small = {"dfs.blocksize": "1m", "dfs.replication": "2"}
    ok(fs("-put", "-", f"{folder}/f", stdin=data, settings=small))
    assert fs("-cat", f"{folder}/f").output == data
    assert ok(fs("-stat", "%o %r %b %n %F", f"{folder}/f")).split() == [
        "1048576",
        "2",
        str(len(data)),
        "f",
        "regular",
        "file",
    ]


def test_a_tree(fs: Shell, folder: str, tmp_path: Path) -> None:
    for name in ("a", "b/c", "b/d/e"):
        place = tmp_path / "tree" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    ok(fs("-put", str(tmp_path / "tree"), folder))
    ok(fs("-get", f"{folder}/tree", str(tmp_path / "back")))
    for name in ("a", "b/c", "b/d/e"):
        assert (tmp_path / "back" / name).read_text() == name


def test_the_other_names_of_put_and_get(fs: Shell, folder: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    ok(fs("-copyFromLocal", str(tmp_path / "x"), f"{folder}/a"))
    ok(fs("-moveFromLocal", str(tmp_path / "x"), f"{folder}/b"))
    assert not (tmp_path / "x").exists()
    ok(fs("-copyToLocal", f"{folder}/b", str(tmp_path / "y")))
    assert (tmp_path / "y").read_text() == "x"


def test_put_keeps_times_and_modes_where_asked(fs: Shell, folder: str, tmp_path: Path) -> None:
    source = tmp_path / "x"
    source.write_text("x")
    source.chmod(0o604)
    os.utime(source, (1_000_000_000, 1_100_000_000))
    ok(fs("-put", "-p", str(source), f"{folder}/x"))
    assert ok(fs("-stat", "%Y %X %a", f"{folder}/x")) == "1100000000000 1000000000000 604\n"


def test_text_head_tail_getmerge(fs: Shell, folder: str, tmp_path: Path) -> None:
    data = b"".join(b"line %05d\n" % number for number in range(1000))
    put(fs, f"{folder}/f", data)
    assert fs("-text", f"{folder}/f").output == data
    assert fs("-head", f"{folder}/f").output == data[:1024]
    assert fs("-tail", f"{folder}/f").output == data[-1024:]
    put(fs, f"{folder}/g", b"more")
    ok(fs("-getmerge", f"{folder}/f", f"{folder}/g", str(tmp_path / "both")))
    assert (tmp_path / "both").read_bytes() == data + b"more"
    assert fs("-cat", f"{folder}/g", f"{folder}/g").output == b"moremore"
    refused(fs("-cat", f"{folder}/none"), "No such file or directory")
    refused(fs("-cat", folder), "Is a directory")


@pytest.mark.requirement("C01")
def test_append(fs: Shell, folder: str, tmp_path: Path) -> None:
    expected = b""
    put(fs, f"{folder}/f", b"")
    for size in (1, 511, 1000, 0, 70_000, 3):
        part = os.urandom(size)
        ok(fs("-appendToFile", "-", f"{folder}/f", stdin=part))
        expected += part
        assert fs("-cat", f"{folder}/f").output == expected
    (tmp_path / "x").write_bytes(b"local")
    ok(fs("-appendToFile", str(tmp_path / "x"), f"{folder}/new"))
    assert fs("-cat", f"{folder}/new").output == b"local"


def test_append_over_block_borders(fs: Shell, folder: str) -> None:
    small = {"dfs.blocksize": "1m"}
    first, second = os.urandom((1 << 20) - 100), os.urandom((1 << 20) + 300)
    ok(fs("-put", "-", f"{folder}/f", stdin=first, settings=small))
    ok(fs("-appendToFile", "-", f"{folder}/f", stdin=second))
    ok(fs("-appendToFile", "-", f"{folder}/f", stdin=b"end"))
    assert fs("-cat", f"{folder}/f").output == first + second + b"end"


@pytest.mark.requirement("A16")
def test_checksum_does_not_depend_on_how_it_was_written(fs: Shell, folder: str) -> None:
    data = os.urandom(300_001)
    put(fs, f"{folder}/a", data)
    put(fs, f"{folder}/b", data[:100_001])
    ok(fs("-appendToFile", "-", f"{folder}/b", stdin=data[100_001:]))
    put(fs, f"{folder}/c", data[:-1] + b"?")
    kinds, sums = zip(
        *(ok(fs("-checksum", f"{folder}/{n}")).split()[1:] for n in "abc"), strict=True
    )
    assert set(kinds) == {"MD5-of-0MD5-of-512CRC32C"}
    assert sums[0] == sums[1] != sums[2]


def test_checksum_of_known_bytes(fs: Shell, folder: str) -> None:
    import crc32c

    data = bytes(range(256)) * 5
    put(fs, f"{folder}/f", data)
    crcs = b"".join(
        crc32c.crc32c(data[at : at + 512]).to_bytes(4, "big") for at in range(0, len(data), 512)
    )
    # Hadoop's client hashes its whole buffer of 32 bytes, whatever it holds.
    block = hashlib.md5(hashlib.md5(crcs).digest() + bytes(16)).hexdigest()
    words = ok(fs("-checksum", f"{folder}/f")).split()
    # Type's name; then bytes per CRC, CRCs per block and the MD5 over the blocks' MD5s.
    assert words[2] == f"{512:08x}{0:016x}{block}"


# --- moving, copying, removing -------------------------------------------------------------------


@pytest.mark.requirement("F01")
def test_mv(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/a", b"a")
    ok(fs("-mkdir", f"{folder}/d"))
    ok(fs("-mv", f"{folder}/a", f"{folder}/b"))
    ok(fs("-mv", f"{folder}/b", f"{folder}/d"))
    assert ok(fs("-ls", "-C", f"{folder}/d")) == f"{folder}/d/b\n"
    put(fs, f"{folder}/b", b"other")
    refused(fs("-mv", f"{folder}/b", f"{folder}/d"), "File exists")
    refused(fs("-mv", f"{folder}/none", f"{folder}/x"), "No such file or directory")
    refused(fs("-mv", f"{folder}/d", f"{folder}/d/sub"), f"`{folder}/d")
    refused(fs("-mv", f"{folder}/b", f"{folder}/no/such"), f"`{folder}/no/such'")
    ok(fs("-mv", f"{folder}/d", f"{folder}/e"))
    assert ok(fs("-cat", f"{folder}/e/b")) == "a"


def test_cp(fs: Shell, folder: str) -> None:
    data = os.urandom(200_000)
    put(fs, f"{folder}/a", data)
    ok(fs("-cp", f"{folder}/a", f"{folder}/b"))
    assert fs("-cat", f"{folder}/b").output == data
    refused(fs("-cp", f"{folder}/a", f"{folder}/b"), "File exists")
    ok(fs("-cp", "-f", f"{folder}/a", f"{folder}/b"))
    ok(fs("-mkdir", f"{folder}/d"))
    ok(fs("-cp", f"{folder}/a", f"{folder}/b", f"{folder}/d"))
    ok(fs("-cp", f"{folder}/d", f"{folder}/e"))
    assert ok(fs("-ls", "-C", f"{folder}/e")).split() == [f"{folder}/e/a", f"{folder}/e/b"]


@pytest.mark.requirement("A18")
def test_rm(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/a", b"")
    ok(fs("-mkdir", "-p", f"{folder}/d/e"))
    assert ok(fs("-rm", f"{folder}/a")) == f"Deleted {folder}/a\n"
    refused(fs("-rm", f"{folder}/a"), f"`{folder}/a': No such file or directory")
    ok(fs("-rm", "-f", f"{folder}/a"))
    refused(fs("-rm", f"{folder}/d"), "Is a directory")
    refused(fs("-rmdir", f"{folder}/d"), "Directory is not empty")
    ok(fs("-rmdir", f"{folder}/d/e"))
    ok(fs("-rm", "-r", "-skipTrash", f"{folder}/d"))
    assert ok(fs("-ls", folder)) == ""


def test_the_trash(fs: Shell, folder: str) -> None:
    on = {"fs.trash.interval": "60"}
    put(fs, f"{folder}/a", b"precious")
    ok(fs("-rm", f"{folder}/a", settings=on))
    trash = f"/user/{stat(fs, '%u', folder)}/.Trash"
    assert ok(fs("-cat", f"{trash}/Current{folder}/a")) == "precious"
    ok(fs("-expunge", "-immediate", settings=on))
    assert fs("-find", trash, "-name", "a").text == ""


# --- attributes ----------------------------------------------------------------------------------


def stat(fs: Shell, form: str, path: str) -> str:
    return ok(fs("-stat", form, path)).strip()


@pytest.mark.requirement("F01")
def test_chmod(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/f", b"")
    ok(fs("-chmod", "640", f"{folder}/f"))
    assert stat(fs, "%a %A", f"{folder}/f") == "640 rw-r-----"
    ok(fs("-chmod", "u+x,g-r,o=rw", f"{folder}/f"))
    assert stat(fs, "%a", f"{folder}/f") == "706"
    ok(fs("-mkdir", "-p", f"{folder}/d/e"))
    ok(fs("-chmod", "-R", "1777", f"{folder}/d"))
    assert stat(fs, "%a", f"{folder}/d") == "1777"
    assert ok(fs("-ls", "-d", f"{folder}/d")).startswith("drwxrwxrwt")
    assert stat(fs, "%a", f"{folder}/d/e") == "1777"
    refused(fs("-chmod", "755", f"{folder}/none"), "No such file or directory")


def test_chown_and_chgrp(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/f", b"")
    ok(fs("-chown", "ann:crew", f"{folder}/f"))
    assert stat(fs, "%u %g", f"{folder}/f") == "ann crew"
    ok(fs("-chown", "bob", f"{folder}/f"))
    assert stat(fs, "%u %g", f"{folder}/f") == "bob crew"
    ok(fs("-chgrp", "-R", "team", folder))
    assert stat(fs, "%u %g", f"{folder}/f") == "bob team"
    refused(fs("-chown", "eve", f"{folder}/f", user="bob"), "chown: changing ownership of")


def test_touch(fs: Shell, folder: str) -> None:
    ok(fs("-touchz", f"{folder}/f"))
    assert stat(fs, "%b %F", f"{folder}/f") == "0 regular file"
    put(fs, f"{folder}/g", b"x")
    refused(fs("-touchz", f"{folder}/g"), "Not a zero-length file")
    ok(fs("-touch", "-t", "20200102:030405", f"{folder}/g"))
    seconds = time.mktime((2020, 1, 2, 3, 4, 5, 0, 0, -1))
    assert stat(fs, "%Y", f"{folder}/g") == str(round(seconds) * 1000)
    ok(fs("-touch", "-a", "-t", "20210102:030405", f"{folder}/g"))
    assert stat(fs, "%x %y", f"{folder}/g").startswith("2021-01-02")
    ok(fs("-touch", f"{folder}/new"))
    ok(fs("-touch", "-c", f"{folder}/none"))
    assert fs("-test", "-e", f"{folder}/none").code == 1


@pytest.mark.requirement("A09")
def test_setrep(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/f", b"data")
    assert ok(fs("-setrep", "2", f"{folder}/f")) == f"Replication 2 set: {folder}/f\n"
    assert stat(fs, "%r", f"{folder}/f") == "2"
    refused(fs("-setrep", "0", f"{folder}/f"), "replication must be >= 1", 255)
    refused(fs("-setrep", "2", f"{folder}/none"), "No such file or directory")


def test_setrep_waits_until_it_is_so(fs: Shell, folder: str) -> None:
    ok(fs("-put", "-", f"{folder}/f", stdin=b"data" * 1000, settings={"dfs.replication": "1"}))
    text = ok(fs("-setrep", "-w", "3", f"{folder}/f"))
    assert text.startswith(f"Replication 3 set: {folder}/f\nWaiting for {folder}/f ...")
    assert text.endswith(" done\n")


@pytest.mark.requirement("F01")
def test_count_du_df(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/a", b"x" * 1000)
    ok(fs("-mkdir", f"{folder}/d"))
    put(fs, f"{folder}/d/b", b"y" * 500)
    assert ok(fs("-count", folder)).split() == ["2", "2", "1500", folder]
    assert ok(fs("-count", "-q", folder)).split() == [
        *("none", "inf", "none", "inf", "2", "2", "1500", folder)
    ]
    assert [line.split() for line in ok(fs("-du", folder)).splitlines()] == [
        ["1000", "3000", f"{folder}/a"],
        ["500", "1500", f"{folder}/d"],
    ]
    assert ok(fs("-du", "-s", "-h", folder)).split() == ["1.5", "K", "4.4", "K", folder]
    header, line = ok(fs("-df", folder)).splitlines()
    assert header.split() == ["Filesystem", "Size", "Used", "Available", "Use%"]
    assert int(line.split()[1]) > int(line.split()[3]) > 0
    refused(fs("-count", f"{folder}/none"), "No such file or directory")
    refused(fs("-du", f"{folder}/none"), "No such file or directory")


def test_the_test_verb(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/f", b"x")
    put(fs, f"{folder}/empty", b"")
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
        ("-r", f"{folder}/f"): 0,
        ("-w", f"{folder}/f"): 0,
    }
    assert {key: fs("-test", *key).code for key in answers} == answers


def test_find(fs: Shell, folder: str) -> None:
    ok(fs("-mkdir", "-p", f"{folder}/a/b"))
    put(fs, f"{folder}/a/b/name.txt", b"")
    assert ok(fs("-find", folder, "-name", "*.txt")) == f"{folder}/a/b/name.txt\n"
    assert len(ok(fs("-find", folder)).splitlines()) == 4


@pytest.mark.requirement("C01")
def test_truncate(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/f", b"0123456789" * 100)
    ok(fs("-truncate", "-w", "1000", f"{folder}/f"))
    ok(fs("-truncate", "-w", "505", f"{folder}/f"))
    assert fs("-cat", f"{folder}/f").output == (b"0123456789" * 51)[:505]
    ok(fs("-truncate", "-w", "0", f"{folder}/f"))
    assert stat(fs, "%b", f"{folder}/f") == "0"


# --- permissions ---------------------------------------------------------------------------------


@pytest.mark.requirement("F07")
def test_permissions_are_enforced(fs: Shell, folder: str) -> None:
    put(fs, f"{folder}/secret", b"s")
    ok(fs("-chmod", "600", f"{folder}/secret"))
    denied = "Permission denied: user=bob, access="
    refused(fs("-cat", f"{folder}/secret", user="bob"), denied + "READ")
    refused(fs("-put", "-", f"{folder}/x", user="bob", stdin=b"x"), denied + "WRITE")
    refused(fs("-mkdir", f"{folder}/x", user="bob"), denied + "WRITE")
    refused(fs("-rm", "-skipTrash", f"{folder}/secret", user="bob"), denied + "WRITE")
    refused(fs("-chmod", "777", f"{folder}/secret", user="bob"), "Permission denied")
    ok(fs("-mkdir", f"{folder}/closed"))
    ok(fs("-chmod", "700", f"{folder}/closed"))
    refused(fs("-ls", f"{folder}/closed", user="bob"), denied + "READ_EXECUTE")
    refused(fs("-ls", f"{folder}/closed/x", user="bob"), denied + "EXECUTE")


def test_the_sticky_bit(fs: Shell, folder: str) -> None:
    ok(fs("-mkdir", f"{folder}/tmp"))
    ok(fs("-chmod", "1777", f"{folder}/tmp"))
    ok(fs("-touchz", f"{folder}/tmp/anns", user="ann"))
    refused(
        fs("-rm", "-skipTrash", f"{folder}/tmp/anns", user="bob"),
        "Permission denied by sticky bit",
    )
    refused(
        fs("-mv", f"{folder}/tmp/anns", f"{folder}/tmp/mine", user="bob"),
        "Permission denied by sticky bit",
    )
    ok(fs("-rm", "-skipTrash", f"{folder}/tmp/anns", user="ann"))


# --- as a process --------------------------------------------------------------------------------


@pytest.mark.requirement("F01")
def test_as_users_start_it(
    hadoop: Hadoop, cluster: ProcessCluster, folder: str, tmp_path: Path
) -> None:
    """The command itself, configured by files alone: streams and exit codes."""
    data = os.urandom(2_000_000)
    (tmp_path / "f").write_bytes(data)
    assert fs_process(hadoop, cluster.conf, "-put", str(tmp_path / "f"), folder).code == 0
    assert fs_process(hadoop, cluster.conf, "-cat", f"{folder}/f").output == data
    missing = fs_process(hadoop, cluster.conf, "-ls", f"{folder}/none")
    assert missing.code == 1
    assert f"ls: `{folder}/none': No such file or directory" in missing.errors
    assert fs_process(hadoop, cluster.conf, "-nonsense").code == 255
