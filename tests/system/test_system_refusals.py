"""What cannot be started says so in one sentence, ends with exit code 1 and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from system_world import (
    Process,
    Start,
    cairn,
    datanode_values,
    defines,
    digest_of_tree,
    namenode_values,
    port_of,
    refusal,
    unprivileged,
)

pytestmark = pytest.mark.requirement("D03")


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["up", "--nonsense"], "No such option '--nonsense'"),
        (["up", "--datanodes", "99"], "99 is not in the range 1<=x<=64"),
        (["up", "--port", "70000"], "70000 is not in the range"),
        (["namenode", "-D", "nokey"], "write -D KEY=VALUE"),
        (["datanode", "--conf", "/does/not/exist"], "'/does/not/exist' does not exist"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], says: str) -> None:
    done = cairn(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.startswith("Usage: cairn")
    assert "Traceback" not in done.stderr


def test_help_names_the_verbs_and_their_options() -> None:
    done = cairn("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("up ", "namenode", "datanode", "fs", "shell"))
    done = cairn("up", "--help")
    assert done.returncode == 0
    options = ("--dir", "--datanodes", "--port", "--http-port", "--listen", "--conf", "-D")
    assert all(option in done.stdout for option in options)
    assert cairn("--version").stdout.startswith("cairn ")


# --- configuration --------------------------------------------------------------------------------


@pytest.mark.requirement("A30")
@pytest.mark.parametrize("role", ["namenode", "datanode", "up"])
def test_a_bad_value_names_where_it_stands(role: str, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "hdfs-site.xml").write_text(
        "<configuration>\n<property><name>dfs.replication</name><value>three</value></property>\n"
        "</configuration>\n"
    )
    own = ["--dir", tmp_path / "data"] if role == "up" else []
    said = refusal(cairn(role, "--conf", conf, *own))
    assert f"{conf}/hdfs-site.xml:2" in said
    assert "dfs.replication = 'three'" in said
    assert not (tmp_path / "data" / "name").exists()


@pytest.mark.requirement("A30")
def test_a_bad_value_in_yaml_a_flag_or_the_environment_is_named(tmp_path: Path) -> None:
    (tmp_path / "cairn.yaml").write_text("dfs:\n  replication: 3\n  heartbeat:\n    interval: x\n")
    said = refusal(cairn("namenode", "--conf", tmp_path))
    assert f"{tmp_path}/cairn.yaml:4" in said
    assert "dfs.heartbeat.interval" in said
    assert "dfs.replication" in refusal(cairn("namenode", "-D", "dfs.replication=x"))
    said = refusal(cairn("datanode", env={"CAIRN_DFS_REPLICATION": "x"}))
    assert "CAIRN_DFS_REPLICATION" in said


@pytest.mark.requirement("A30")
def test_broken_files_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "hdfs-site.xml").write_text("<configuration>\n<property>\n")
    assert f"{tmp_path}/hdfs-site.xml" in refusal(cairn("namenode", "--conf", tmp_path))
    (tmp_path / "hdfs-site.xml").unlink()
    (tmp_path / "cairn.yaml").write_text("dfs: [\n")
    assert f"{tmp_path}/cairn.yaml" in refusal(cairn("datanode", "--conf", tmp_path))


@pytest.mark.requirement("A30")
def test_an_unknown_key_is_named_in_a_warning(start: Start, name_dir: Path) -> None:
    values = {**namenode_values(name_dir), "dfs.replicatoin": 3}
    namenode = start("namenode", *defines(values))
    namenode.wait_for("serving RPC")
    assert "dfs.replicatoin" in namenode.output()
    assert "did you mean dfs.replication?" in namenode.output()
    assert namenode.stop() == 0


# --- the NameNode ---------------------------------------------------------------------------------


def test_an_unformatted_name_directory(tmp_path: Path) -> None:
    said = refusal(cairn("namenode", *defines(namenode_values(tmp_path / "none"))))
    assert str(tmp_path / "none") in said
    assert "--format" in said
    assert not (tmp_path / "none").exists()


def test_nothing_is_formatted_twice(name_dir: Path) -> None:
    before = digest_of_tree(name_dir)
    said = refusal(cairn("namenode", "--format", *defines(namenode_values(name_dir))))
    assert "not empty" in said
    assert digest_of_tree(name_dir) == before


def test_what_belongs_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    (foreign / "namespace").mkdir(parents=True)
    (foreign / "namespace" / "thesis.txt").write_text("ten years of work")
    before = digest_of_tree(foreign)
    values = defines(namenode_values(foreign))
    assert str(foreign) in refusal(cairn("namenode", *values))
    assert str(foreign) in refusal(cairn("namenode", "--format", *values))
    assert digest_of_tree(foreign) == before


def test_a_name_directory_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    values = defines(namenode_values(file))
    assert str(file) in refusal(cairn("namenode", *values))
    assert str(file) in refusal(cairn("namenode", "--format", *values))
    assert file.read_text() == "x"


def test_a_name_directory_in_use(namenode: Process, name_dir: Path) -> None:
    said = refusal(cairn("namenode", *defines(namenode_values(name_dir))))
    assert f"in use by process {namenode.pid}" in said
    assert str(name_dir) in said
    assert namenode.running
    assert namenode.stop() == 0


def test_a_name_directory_that_cannot_be_read(name_dir: Path) -> None:
    os.chmod(name_dir, 0)
    try:
        done = cairn("namenode", *defines(namenode_values(name_dir)), before=unprivileged())
        said = refusal(done)
        assert str(name_dir) in said
        assert "ermission denied" in said
    finally:
        os.chmod(name_dir, 0o700)


@pytest.mark.parametrize("port", ["rpc_port", "http_port"])
def test_a_port_in_use(port: str, name_dir: Path, busy_port: int, start: Start) -> None:
    said = refusal(cairn("namenode", *defines(namenode_values(name_dir, **{port: busy_port}))))
    assert f"127.0.0.1:{busy_port}" in said
    # The directory was let go, and is as good as before.
    again = start("namenode", *defines(namenode_values(name_dir)))
    again.wait_for("serving RPC")
    assert again.stop() == 0


# --- the DataNode ---------------------------------------------------------------------------------


@pytest.mark.requirement("A19")
@pytest.mark.parametrize(
    "key", ["dfs.datanode.address", "dfs.datanode.ipc.address", "dfs.datanode.http.address"]
)
def test_a_datanodes_port_in_use(key: str, tmp_path: Path, busy_port: int) -> None:
    values = {**datanode_values(tmp_path, 1), key: f"127.0.0.1:{busy_port}"}
    assert f"127.0.0.1:{busy_port}" in refusal(cairn("datanode", *defines(values)))


@pytest.mark.requirement("A19")
def test_volumes_that_are_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    for second in (data, tmp_path / "link"):
        values = {**datanode_values(tmp_path, 1), "dfs.datanode.data.dir": f"{data},{second}"}
        said = refusal(cairn("datanode", *defines(values)))
        assert str(data) in said or str(second) in said


@pytest.mark.requirement("A19")
def test_a_volume_that_is_not_ours(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "thesis.txt").write_text("ten years of work")
    said = refusal(cairn("datanode", *defines(datanode_values(tmp_path, 1))))
    assert str(data) in said
    assert "thesis.txt" in said
    assert digest_of_tree(data) == {"thesis.txt": b"ten years of work"}


@pytest.mark.requirement("A19")
def test_a_meta_home_that_is_not_ours(tmp_path: Path) -> None:
    meta = tmp_path / "meta"
    meta.mkdir()
    (meta / "thesis.txt").write_text("ten years of work")
    said = refusal(cairn("datanode", *defines(datanode_values(tmp_path, 1))))
    assert str(meta) in said
    assert digest_of_tree(meta) == {"thesis.txt": b"ten years of work"}


@pytest.mark.requirement("A19")
def test_a_volume_that_is_a_file_or_cannot_be_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("x")
    values = defines(datanode_values(tmp_path, 1))
    assert str(data) in refusal(cairn("datanode", *values))
    data.unlink()
    data.mkdir(mode=0)
    try:
        said = refusal(cairn("datanode", *values, before=unprivileged()))
        assert str(data) in said
        assert "ermission denied" in said
    finally:
        data.chmod(0o700)


@pytest.mark.requirement("A19")
def test_a_data_directory_in_use(datanode: Process, namenode: Process, tmp_path: Path) -> None:
    first = datanode_values(tmp_path / "dn", port_of(namenode))
    for values in (
        {**first, "cairn.datanode.meta.home": tmp_path / "other-meta"},
        {**first, "dfs.datanode.data.dir": tmp_path / "other-data"},
    ):
        said = refusal(cairn("datanode", *defines(values)))
        assert str(tmp_path / "dn") in said
        assert str(datanode.pid) in said
    assert datanode.running
    assert datanode.stop() == 0


@pytest.mark.requirement("A19")
def test_a_volume_of_another_cluster(
    datanode: Process, namenode: Process, tmp_path: Path, start: Start
) -> None:
    assert datanode.stop() == 0
    before = digest_of_tree(tmp_path / "dn" / "data")
    other = tmp_path / "other-name"
    assert cairn("namenode", "--format", *defines(namenode_values(other))).returncode == 0
    foreign = start("namenode", *defines(namenode_values(other)))
    said = refusal(cairn("datanode", *defines(datanode_values(tmp_path / "dn", port_of(foreign)))))
    assert "belongs to cluster CID-" in said
    assert digest_of_tree(tmp_path / "dn" / "data") == before
    # With its own NameNode it goes on.
    again = start("datanode", *defines(datanode_values(tmp_path / "dn", port_of(namenode))))
    again.wait_for("serving data transfer")
    assert again.stop() == 0


# --- cairn up -------------------------------------------------------------------------------------


def test_up_leaves_a_foreign_directory_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("ten years of work")
    said = refusal(cairn("up", "--dir", foreign, "--port", 0, "--http-port", 0))
    assert str(foreign) in said
    assert sorted(os.listdir(foreign)) == ["thesis.txt"]


def test_up_where_no_directory_can_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for place in (file, file / "below", Path("/proc/nothing")):
        said = refusal(cairn("up", "--dir", place, "--port", 0, "--http-port", 0))
        assert str(file) in said or "/proc/nothing" in said


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_up_with_a_port_in_use(option: str, tmp_path: Path, busy_port: int) -> None:
    ports = {"--port": 0, "--http-port": 0, option: busy_port}
    words = [word for pair in ports.items() for word in pair]
    said = refusal(cairn("up", "--dir", tmp_path / "c", "--datanodes", 1, *words))
    assert f"127.0.0.1:{busy_port}" in said


def test_up_says_why_a_datanode_does_not_start(tmp_path: Path) -> None:
    home = tmp_path / "c" / "datanode1"
    (home / "data").mkdir(parents=True)
    (home / "data" / "thesis.txt").write_text("ten years of work")
    (tmp_path / "c" / "cairn-cluster.json").write_text('{"version": 1}\n')
    ports = ("--port", 0, "--http-port", 0)
    said = refusal(cairn("up", "--dir", tmp_path / "c", "--datanodes", 1, *ports))
    assert "datanode1" in said
    assert "thesis.txt" in said
