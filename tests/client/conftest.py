"""A real Apache HDFS for the client to talk to, where its jars are (``CAIRN_HADOOP_JARS``)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_LOG4J = """
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
_DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"


def jars() -> str | None:
    """The class path of Hadoop's jars, or None."""
    folder = os.environ.get("CAIRN_HADOOP_JARS", "")
    return f"{folder}/*" if folder and Path(folder).is_dir() else None


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class ApacheHdfs:
    """One NameNode and some DataNodes, each a process, under ``folder``."""

    def __init__(self, folder: Path, datanodes: int) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"hdfs://127.0.0.1:{self.port}"
        self._namenode: subprocess.Popen[bytes] | None = None
        self._datanodes: dict[int, subprocess.Popen[bytes]] = {}
        self._count = datanodes

    def start(self) -> None:
        self._configure("nn", {"dfs.namenode.name.dir": f"file://{self.folder}/name"})
        subprocess.run(
            [*self._java("nn"), _NAMENODE, "-format", "-nonInteractive"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._namenode = self._spawn("nn", _NAMENODE)
        for index in range(self._count):
            self.start_datanode(index)

    def start_datanode(self, index: int) -> None:
        name = f"dn{index}"
        self._configure(name, {"dfs.datanode.data.dir": f"file://{self.folder}/{name}/data"})
        self._datanodes[index] = self._spawn(name, _DATANODE)

    def kill_datanode(self, index: int) -> None:
        process = self._datanodes.pop(index)
        process.send_signal(signal.SIGKILL)
        process.wait()

    @property
    def datanodes(self) -> list[int]:
        return sorted(self._datanodes)

    def datanode_of(self, xfer_port: int) -> int:
        """Which of the processes listens on ``xfer_port``."""
        for index, process in self._datanodes.items():
            found = subprocess.run(
                ["grep", "-l", f"address.port={xfer_port}$", self.folder / f"dn{index}" / "ports"],
                capture_output=True,
            )
            if found.returncode == 0 and process.poll() is None:
                return index
        raise LookupError(xfer_port)

    def stop(self) -> None:
        processes = [*self._datanodes.values()]
        if self._namenode is not None:
            processes.append(self._namenode)
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()

    def _configure(self, name: str, more: dict[str, str]) -> None:
        folder = self.folder / name
        # Hadoop's web servers refuse to start without these, and its jars have none.
        for web in ("hdfs", "datanode"):
            (folder / "webapps" / web).mkdir(parents=True, exist_ok=True)
        (folder / "log4j.properties").write_text(_LOG4J)
        values = {
            "fs.defaultFS": self.url,
            "dfs.namenode.http-address": "127.0.0.1:0",
            "dfs.namenode.fs-limits.min-block-size": "512",
            "dfs.namenode.safemode.extension": "0",
            "dfs.heartbeat.interval": "1",
            "dfs.namenode.heartbeat.recheck-interval": "1000",
            "dfs.namenode.avoid.write.stale.datanode": "true",
            "dfs.permissions.superusergroup": "root",
            "hadoop.tmp.dir": f"{folder}/tmp",
            **more,
        }
        if name.startswith("dn"):
            ports = {
                key: free_port()
                for key in ("dfs.datanode.address", "dfs.datanode.ipc.address")
            }
            values |= {key: f"127.0.0.1:{port}" for key, port in ports.items()}
            values["dfs.datanode.http.address"] = "127.0.0.1:0"
            lines = [f"{key}.port={port}\n" for key, port in ports.items()]
            (folder / "ports").write_text("".join(lines))
        properties = "".join(
            f"<property><name>{key}</name><value>{value}</value></property>"
            for key, value in values.items()
        )
        for file in ("core-site.xml", "hdfs-site.xml"):
            (folder / file).write_text(f"<configuration>{properties}</configuration>")

    def _java(self, name: str) -> list[str]:
        java = shutil.which("java")
        class_path = jars()
        assert java is not None
        assert class_path is not None
        options = ["-Xmx160m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        return [java, *options, "-cp", f"{class_path}:{self.folder / name}"]

    def _spawn(self, name: str, main: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*self._java(name), main],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )


@pytest.fixture(scope="session")
def apache_hdfs(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[ApacheHdfs]:
    """Apache's NameNode with four DataNodes; tests may kill some and start them again."""
    if jars() is None or shutil.which("java") is None:
        missing = pytest.fail if pytestconfig.getoption("--peers") == "required" else pytest.skip
        missing("set CAIRN_HADOOP_JARS to a folder with Hadoop's jars (and install Java)")
    cluster = ApacheHdfs(tmp_path_factory.mktemp("apache"), 4)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
