"""A disk that is full refuses changes in clear words; what is stored stays, and room heals it."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest
from system_world import (
    SmallDisk,
    Start,
    cairn,
    datanode_values,
    defines,
    namenode_values,
    port_of,
    wait_until,
)

import cairnfs
from cairnfs.client.blocking import FileSystem
from cairnfs.config import Configuration
from cairnfs.errors import CairnError

ROUNDS_MAX = 20_000


@pytest.mark.requirement("A04")
def test_a_namenode_without_room_refuses_and_goes_on(
    small_disk: SmallDisk, start: Start, tmp_path: Path
) -> None:
    values = defines(namenode_values(small_disk.mount_point / "name"))
    assert cairn("namenode", "--format", *values, before=small_disk.inside).returncode == 0
    namenode = start("namenode", *values, before=small_disk.inside)
    kept = []
    with cairnfs.connect(f"hdfs://127.0.0.1:{port_of(namenode)}") as fs:
        numbers = itertools.count()
        for _ in range(100):
            kept.append(f"/dir{next(numbers)}")
            fs.mkdirs(kept[-1])
        small_disk.fill()
        refused: CairnError | None = None
        refused_path = ""
        for _ in range(ROUNDS_MAX):
            refused_path = f"/dir{next(numbers):0200d}"
            try:
                fs.mkdirs(refused_path)
            except CairnError as error:
                refused = error
                break
            kept.append(refused_path)
        assert refused is not None, "a full disk took everything"
        assert "space" in str(refused), refused
        # Reads go on, and show exactly what was acknowledged.
        assert not fs.exists(refused_path)
        assert {status.path for status in fs.list("/")} == set(kept)
        assert namenode.running
        small_disk.free()
        kept.append(f"/dir{next(numbers)}")
        fs.mkdirs(kept[-1])
    namenode.kill()
    again = start("namenode", *values, before=small_disk.inside)
    with cairnfs.connect(f"hdfs://127.0.0.1:{port_of(again)}") as fs:
        assert {status.path for status in fs.list("/")} == set(kept)
    assert again.stop() == 0
    assert "Traceback" not in namenode.output() + again.output()


def test_a_namenode_that_cannot_start_for_lack_of_room(small_disk: SmallDisk) -> None:
    small_disk.fill()
    values = defines(namenode_values(small_disk.mount_point / "name"))
    done = cairn("namenode", "--format", *values, before=small_disk.inside)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr
    small_disk.free()
    done = cairn("namenode", "--format", *values, before=small_disk.inside)
    assert done.returncode == 0, done.stderr


@pytest.mark.requirement("A19")
@pytest.mark.parametrize("meta_too", [False, True])
def test_a_datanode_without_room_refuses_and_serves(
    small_disk: SmallDisk, start: Start, tmp_path: Path, name_dir: Path, meta_too: bool
) -> None:
    values = {**namenode_values(name_dir), "dfs.replication": 1}
    namenode = start("namenode", *defines(values))
    own = datanode_values(small_disk.mount_point, port_of(namenode))
    if not meta_too:
        own["cairn.datanode.meta.home"] = tmp_path / "meta"
    datanode = start("datanode", *defines(own), before=small_disk.inside)
    namenode.wait_for("DatanodeRegistered")
    stored: dict[str, bytes] = {}
    conf = Configuration({"dfs.blocksize": "8m", "dfs.replication": "1"}, "test")
    with cairnfs.connect(f"hdfs://127.0.0.1:{port_of(namenode)}", conf) as fs:
        refused: CairnError | None = None
        for number in range(20):
            data = os.urandom(5_000_000)
            try:
                with fs.open(f"/file{number}", "wb") as out:
                    out.write(data)
            except CairnError as error:
                refused = error
                break
            stored[f"/file{number}"] = data
        assert refused is not None, "48 MB took 100 MB"
        assert stored
        for path, data in stored.items():
            with fs.open(path, "rb") as back:
                assert back.read() == data
        assert datanode.running
        for path in list(stored)[:3]:
            fs.delete(path)
            del stored[path]
    datanode.kill()
    again = start("datanode", *defines(own), before=small_disk.inside)
    again.wait_for("serving data transfer")
    with cairnfs.connect(f"hdfs://127.0.0.1:{port_of(namenode)}") as fs:
        for path, data in stored.items():
            with fs.open(path, "rb") as back:
                assert back.read() == data
    assert again.stop() == 0
    assert "Traceback" not in datanode.output() + again.output()


def write(fs: FileSystem, path: str, data: bytes) -> str:
    """Write a file, whether it is there or not; why it could not be, if so."""
    try:
        with fs.open(path, "wb") as out:
            out.write(data)
    except CairnError as error:
        return str(error)
    return ""


def test_a_disk_that_fills_up_under_a_writer(
    small_disk: SmallDisk, start: Start, tmp_path: Path, name_dir: Path
) -> None:
    """The NameNode believes that there is room; the DataNode finds out while it writes."""
    namenode = start("namenode", *defines(namenode_values(name_dir)))
    own = datanode_values(small_disk.mount_point, port_of(namenode))
    own |= {"cairn.datanode.meta.home": tmp_path / "meta"}
    datanode = start("datanode", *defines(own), before=small_disk.inside)
    namenode.wait_for("DatanodeRegistered")
    conf = Configuration({"dfs.blocksize": "8m", "dfs.replication": "1"}, "test")
    with cairnfs.connect(f"hdfs://127.0.0.1:{port_of(namenode)}", conf) as fs:
        with fs.open("/kept", "wb") as out:
            out.write(b"kept")
        small_disk.fill()
        said = write(fs, "/lost", os.urandom(5_000_000))
        assert re.search("space|could only be written", said), said
        with fs.open("/kept", "rb") as back:
            assert back.read() == b"kept"
        small_disk.free()
        # The NameNode hears of it within some heartbeats.
        wait_until(lambda: not write(fs, "/again", b"again"), "room again")
        with fs.open("/again", "rb") as back:
            assert back.read() == b"again"
    assert datanode.stop() == 0
    assert "Traceback" not in datanode.output()
