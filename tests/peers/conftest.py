"""Real Hadoop: clients, servers, and the clusters that the tests of this folder run against.

``--against=apache`` runs the very same tests against Apache's own servers, which shows that
what they expect is what HDFS does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import go_client
import hadoop as hadoop_home
import pytest
from cluster_processes import Maker, ProcessCluster
from go_client import GoClient
from hadoop import Hadoop, PeerMissing
from java_client import JavaClient, Outcome

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--against",
        choices=("cairn", "apache"),
        default="cairn",
        help="whose servers the tests of real clients run against",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.peers)
            # A client of native code that hangs hears no signal: end the run, do not stall it.
            limit = item.get_closest_marker("timeout")
            seconds = limit.args[0] if limit else 180
            item.add_marker(pytest.mark.timeout(seconds, method="thread"), append=False)


def missing(config: pytest.Config, reason: str) -> None:
    """A peer is not here: fail where it must be, skip where it may be missing."""
    if config.getoption("--peers") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def hadoop(pytestconfig: pytest.Config) -> Hadoop:
    try:
        return hadoop_home.find()
    except PeerMissing as error:
        missing(pytestconfig, str(error))
        raise


@pytest.fixture(scope="session")
def java(hadoop: Hadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaClient]:
    """Hadoop's Java client."""
    conf = tmp_path_factory.mktemp("java-conf")
    hadoop_home.write_log4j(conf, "ERROR")
    client = JavaClient(hadoop, conf)
    yield client
    client.close()


@pytest.fixture(scope="session")
def go(pytestconfig: pytest.Config) -> GoClient:
    """The Go client colinmarc/hdfs."""
    try:
        return go_client.find()
    except PeerMissing as error:
        missing(pytestconfig, str(error))
        raise


@pytest.fixture(scope="session")
def maker(pytestconfig: pytest.Config) -> Maker:
    """Whose servers are tested."""
    found: Maker = pytestconfig.getoption("--against")
    return found


@pytest.fixture(scope="session")
def cluster(
    hadoop: Hadoop, maker: Maker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessCluster]:
    """A NameNode and three DataNodes that every test may use and none may disturb."""
    directory = tmp_path_factory.mktemp("cluster")
    with ProcessCluster(directory, hadoop, maker, [maker] * 3) as running:
        yield running


@pytest.fixture
def own_cluster(
    hadoop: Hadoop, maker: Maker, tmp_path: Path
) -> Iterator[Callable[..., ProcessCluster]]:
    """Make a cluster for one test, which may kill what it likes."""
    made: list[ProcessCluster] = []

    def make(datanodes: int = 3, **settings: str) -> ProcessCluster:
        names = {name.replace("__", "-").replace("_", "."): text for name, text in settings.items()}
        found = ProcessCluster(
            tmp_path / f"cluster{len(made)}", hadoop, maker, [maker] * datanodes, names
        )
        made.append(found)
        return found.__enter__()

    yield make
    for each in made:
        each.__exit__(None, None, None)


@pytest.fixture
def folder(request: pytest.FixtureRequest, cluster: ProcessCluster, java: JavaClient) -> str:
    """A new directory on ``cluster`` for one test, named after it."""
    name = f"{request.path.stem}-{request.node.name}".removeprefix("test_peers_")
    name = "/" + "".join(c if c.isalnum() else "-" for c in name)
    assert java.fs(cluster.url, "-mkdir", "-p", name).code == 0
    return name


@pytest.fixture
def fs(cluster: ProcessCluster, java: JavaClient) -> Callable[..., Outcome]:
    """``fs("-ls", "/")`` runs Hadoop's FsShell against ``cluster``."""

    def run(*arguments: str, **options: Any) -> Outcome:
        return java.fs(cluster.url, *arguments, **options)

    return run


@pytest.fixture(scope="session")
def spark(
    pytestconfig: pytest.Config, cluster: ProcessCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A Spark session on two threads of one JVM, with ``cluster`` as its file system."""
    try:
        from spark_session import session
    except ImportError as error:
        missing(pytestconfig, f"pyspark is not installed ({error}); `make install-test` does it")
        raise
    with session(cluster.url, tmp_path_factory.mktemp("spark")) as found:
        yield found
