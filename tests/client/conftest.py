"""A real Apache HDFS for the client to talk to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from client_apache_hdfs import ApacheHdfs, jars


@pytest.fixture(scope="session")
def apache_hdfs(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[ApacheHdfs]:
    """Apache's NameNode with four DataNodes; tests may kill some and start them again."""
    if jars() is None or shutil.which("java") is None:
        missing = pytest.fail if pytestconfig.getoption("--peers") == "required" else pytest.skip
        missing("Hadoop is not installed: run make java")
    cluster = ApacheHdfs(tmp_path_factory.mktemp("apache"), 4)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
