"""Hadoop's jars and the Java that runs them, as ``make java`` put them there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / ".cache" / "hadoop" / "lib"

FSSHELL = "org.apache.hadoop.fs.FsShell"
NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"

# Short-lived JVMs: the second compiler and parallel collectors cost more than they give.
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")

LOG4J = """\
log4j.rootLogger={level},console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{{ISO8601}} %p %c{{2}}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
log4j.logger.http.requests=ERROR
"""


class PeerMissing(Exception):
    """A peer is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Hadoop:
    """Where things are."""

    java: str
    lib: Path

    def command(
        self, main: str, conf: Path, *arguments: str, options: tuple[str, ...] = QUICK_START
    ) -> list[str]:
        """The command that runs ``main`` with the configuration in ``conf``."""
        return [self.java, *options, "-cp", f"{conf}:{self.lib}/*", main, *arguments]


def find() -> Hadoop:
    """Hadoop as installed by ``make java``. Raises ``PeerMissing``."""
    java = shutil.which("java")
    if java is None:
        raise PeerMissing("there is no java here; `make java` installs it")
    if not any(LIB.glob("hadoop-hdfs-client-*.jar")):
        raise PeerMissing(f"Hadoop's jars are not in {LIB}; `make java` fetches them")
    return Hadoop(java, LIB)


def write_site(path: Path, values: dict[str, str]) -> None:
    """Write one of Hadoop's XML files."""
    properties = "\n".join(
        f"  <property><name>{name}</name><value>{value}</value></property>"
        for name, value in values.items()
    )
    path.write_text(f'<?xml version="1.0"?>\n<configuration>\n{properties}\n</configuration>\n')


def write_log4j(conf: Path, level: str = "INFO") -> None:
    """Let Java log to stderr from ``level`` upwards."""
    (conf / "log4j.properties").write_text(LOG4J.format(level=level))
