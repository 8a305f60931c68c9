"""Roles as processes, killed at the end of a test if they still run."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from system_world import (
    Process,
    SmallDisk,
    Start,
    cairn,
    datanode_values,
    defines,
    namenode_values,
    port_of,
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command: ``start("namenode", "-D", ...)``."""
    running: list[Process] = []

    def begin(*arguments: object, **keywords: object) -> Process:
        output = tmp_path / f"output-{len(running)}.log"
        process = Process(output, *arguments, **keywords)  # type: ignore[arg-type]
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture
def name_dir(tmp_path: Path) -> Path:
    """A formatted, empty namespace."""
    directory = tmp_path / "name"
    done = cairn("namenode", "--format", *defines(namenode_values(directory)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("formatted cluster CID-")
    return directory


@pytest.fixture
def namenode(start: Start, name_dir: Path) -> Process:
    """A NameNode that serves."""
    process = start("namenode", *defines(namenode_values(name_dir)))
    process.wait_for(r"serving RPC on port \d+")
    return process


@pytest.fixture
def datanode(start: Start, namenode: Process, tmp_path: Path) -> Process:
    """A DataNode that is registered with it."""
    process = start("datanode", *defines(datanode_values(tmp_path / "dn", port_of(namenode))))
    process.wait_for("serving data transfer")
    namenode.wait_for("DatanodeRegistered")
    return process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 48 MB in a mount namespace of its own, gone with the test."""
    disk = SmallDisk(tmp_path / "small", 48)
    yield disk
    disk.close()
