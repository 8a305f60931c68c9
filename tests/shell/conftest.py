"""A cluster for all tests of the shell, ours and Hadoop's own shell."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hadoop as hadoop_home
import pytest
from hadoop import PeerMissing
from shell_runner import Shell

if TYPE_CHECKING:
    from java_client import JavaClient

CAIRN = Path(sys.executable).with_name("cairn")
_STOP_S = 30


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a NameNode with three DataNodes, all of which end with the tests."""
    directory = tmp_path_factory.mktemp("shell-cluster")
    command = [CAIRN, "up", "--dir", directory / "data", "--port", "0", "--http-port", "0"]
    settings = ["-D", "dfs.namenode.fs-limits.min-block-size=1024"]
    with subprocess.Popen(
        [*command, *settings], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            greeting = process.stdout.readline().decode()
            found = re.search(r"hdfs://\S+", greeting)
            assert found, greeting
            yield found[0]
        finally:
            process.terminate()
            process.wait(_STOP_S)


@pytest.fixture(scope="session")
def shell(cluster_url: str) -> Shell:
    """Runs ``cairn fs`` against the cluster."""
    return Shell(cluster_url)


@pytest.fixture
def folder(request: pytest.FixtureRequest, shell: Shell) -> str:
    """A new directory for one test, named after it."""
    name = "/" + "".join(c if c.isalnum() else "-" for c in request.node.name)
    outcome = shell("-mkdir", "-p", name)
    assert outcome.code == 0, outcome
    return name


@pytest.fixture(scope="session")
def java(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JavaClient]:
    """Hadoop's own shell."""
    try:
        home = hadoop_home.find()
    except PeerMissing as error:
        if pytestconfig.getoption("--peers") == "required":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    # It needs py4j, which only the peers' tests have.
    from java_client import JavaClient

    conf = tmp_path_factory.mktemp("java-conf")
    hadoop_home.write_log4j(conf, "ERROR")
    client = JavaClient(home, conf)
    yield client
    client.close()
