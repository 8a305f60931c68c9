"""Runs a real Apache HDFS from its jars (``CAIRN_HADOOP_JARS`` may name another folder)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from cairnfs.testing import free_port

_NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_LOG4J = """
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
_DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"


def jars() -> str | None:
    """The class path of Hadoop's jars, as ``make java`` installs them, or None."""
    installed = Path(__file__).resolve().parents[2] / ".cache" / "hadoop" / "lib"
    folder = Path(os.environ.get("CAIRN_HADOOP_JARS") or installed)
    return f"{folder}/*" if folder.is_dir() else None


class ApacheHdfs:
    """One NameNode and some DataNodes, each a process, under ``folder``."""

    def __init__(self, folder: Path, datanodes: int) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"hdfs://127.0.0.1:{self.port}"
        self._namenode: subprocess.Popen[bytes] | None = None
        self._datanodes: dict[int, subprocess.Popen[bytes]] = {}
        self._ports: dict[int, int] = {}
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
        self._ports[index] = free_port()
        self._configure(
            name,
            {
                "dfs.datanode.data.dir": f"file://{self.folder}/{name}/data",
                "dfs.datanode.address": f"127.0.0.1:{self._ports[index]}",
                "dfs.datanode.ipc.address": "127.0.0.1:0",
                "dfs.datanode.http.address": "127.0.0.1:0",
            },
        )
        self._datanodes[index] = self._spawn(name, _DATANODE)

    def kill_datanode(self, index: int) -> None:
        process = self._datanodes.pop(index)
        process.send_signal(signal.SIGKILL)
        process.wait()

    @property
    def ports(self) -> set[int]:
        """Where the DataNodes that should be up listen for data."""
        return {self._ports[index] for index in self._datanodes}

    def datanode_of(self, xfer_port: int) -> int:
        """Which of the processes listens on ``xfer_port``."""
        return next(index for index in self._datanodes if self._ports[index] == xfer_port)

    def shell(self, *words: str) -> bytes:
        """What Hadoop's own shell prints for ``words``."""
        main = "org.apache.hadoop.fs.FsShell"
        return subprocess.run(
            [*self._java("nn"), main, *words], check=True, stdout=subprocess.PIPE
        ).stdout

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
