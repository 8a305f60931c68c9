"""Record what real Hadoop peers say to each other, into ``tests/wire/golden``.

Not run by the tests: they read the recorded files. To record anew (half a minute; needs
Java, the jars of hadoop-hdfs with all they depend on, and hdfs-native)::

    python tests/wire/capture_golden.py --hadoop-lib DIRECTORY-OF-JARS

Starts an Apache NameNode and DataNode on free ports of 127.0.0.1 with their data in a
temporary directory, and between them and their clients recording proxies on 127.0.0.5. The
DataNode registers as host ``127.0.0.5`` and clients are told to use host names, so they come
through its proxy without a byte being changed. Each connection becomes two files,
``<who>_<step>_<namenode|datanode>_<number>.c2s`` (client to server) and ``.s2c``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cairnfs.testing import free_port

GOLDEN = Path(__file__).parent / "golden"
REAL, FRONT = "127.0.0.1", "127.0.0.5"
USER = "cairn"
# Packets of 7 chunks, so that a small file still makes several.
PACKET_BYTES = 4096
LOG4J = """log4j.rootLogger=WARN,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{2}: %m%n
"""


def data_of(size: int) -> bytes:
    """What the recorded files hold (the tests make it again)."""
    return hashlib.shake_128(b"cairn golden").digest(size)


class Recorder:
    """A proxy on FRONT:port before REAL:port that keeps the bytes of each connection."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.connections: list[tuple[bytearray, bytearray]] = []
        self._listener = socket.create_server((FRONT, port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection((REAL, self.port))
            sent, received = bytearray(), bytearray()
            self.connections.append((sent, received))
            for source, target, record in ((client, server, sent), (server, client, received)):
                threading.Thread(target=_pump, args=(source, target, record), daemon=True).start()

    def take(self, step: str) -> None:
        """Write the connections made since the last step to files."""
        connections, self.connections = self.connections, []
        for number, (sent, received) in enumerate(connections):
            base = GOLDEN / f"{step}_{self.name}_{number}"
            base.with_suffix(".c2s").write_bytes(sent)
            base.with_suffix(".s2c").write_bytes(received)


def _pump(source: socket.socket, target: socket.socket, record: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            record += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def write_conf(directory: Path, values: dict[str, str]) -> Path:
    # The jars lack the web applications that both servers insist on finding.
    for application in ("hdfs", "datanode", "static"):
        (directory / "webapps" / application).mkdir(parents=True)
    (directory / "log4j.properties").write_text(LOG4J)
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>"
        for name, value in values.items()
    )
    for file in ("core-site.xml", "hdfs-site.xml"):
        (directory / file).write_text(f"<configuration>{properties}</configuration>")
    return directory


class Hadoop:
    """Java processes that see one configuration."""

    def __init__(self, lib: Path, conf: Path) -> None:
        self._command = ["java", "-Xmx256m", "-cp", f"{lib}/*:{conf}"]
        self._env = {**os.environ, "HADOOP_USER_NAME": USER}

    def run(self, main: str, *arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            [*self._command, main, *arguments],
            input=stdin,
            env=self._env,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{main} {arguments}: {done.stderr.decode()[-3000:]}")
        return done.stdout

    def shell(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return self.run("org.apache.hadoop.fs.FsShell", *arguments, stdin=stdin)

    @contextlib.contextmanager
    def daemon(self, main: str, log: Path) -> Iterator[None]:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*self._command, main], env=self._env, stdout=output, stderr=output
            )
            try:
                yield
            finally:
                process.terminate()
                process.wait(30)


def wait_until(what: str, holds: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"timed out: {what}")
        time.sleep(0.2)


def record_java(hadoop: Hadoop, take: Callable[[str], None]) -> None:
    data = data_of(20_000)
    steps: dict[str, tuple[tuple[str, ...], bytes]] = {
        "java_mkdir": (("-mkdir", "-p", "/golden/dir"), b""),
        "java_put": (("-put", "-", "/golden/java"), data),
        "java_get": (("-cat", "/golden/java"), b""),
        "java_append": (("-appendToFile", "-", "/golden/java"), data[:3000]),
        "java_tail": (("-tail", "/golden/java"), b""),
        "java_checksum": (("-checksum", "/golden/java"), b""),
        "java_blocks": (("-Ddfs.blocksize=4096", "-put", "-", "/golden/blocks"), data),
        "java_blocks_checksum": (("-checksum", "/golden/blocks"), b""),
        "java_empty": (("-touchz", "/golden/empty"), b""),
        "java_empty_checksum": (("-checksum", "/golden/empty"), b""),
        "java_composite": (
            (
                "-Ddfs.checksum.combine.mode=COMPOSITE_CRC",
                "-checksum",
                "/golden/java",
            ),
            b"",
        ),
        "java_crc32": (
            (
                "-Ddfs.checksum.type=CRC32",
                "-Ddfs.bytes-per-checksum=1024",
                "-put",
                "-",
                "/golden/crc32",
            ),
            data[:5000],
        ),
        "java_ls": (("-ls", "/golden"), b""),
        "java_du": (("-du", "-s", "/golden"), b""),
        "java_df": (("-df", "/"), b""),
        "java_mv": (("-mv", "/golden/crc32", "/golden/moved"), b""),
        "java_chmod": (("-chmod", "600", "/golden/moved"), b""),
        "java_rm": (("-rm", "-skipTrash", "/golden/moved"), b""),
    }
    printed = b""
    for step, (arguments, stdin) in steps.items():
        output = hadoop.shell(*arguments, stdin=stdin)
        print(step, output[-100:])
        take(step)
        if "-checksum" in arguments:
            printed += output
    (GOLDEN / "checksums.txt").write_bytes(printed)
    # An error: what a NameNode's exception looks like.
    with contextlib.suppress(SystemExit):
        hadoop.shell("-mkdir", "/golden/java/child")
    take("java_error")


def record_native(namenode: str, take: Callable[[str], None]) -> None:
    import hdfs_native

    data = data_of(20_000)

    def client() -> hdfs_native.Client:
        return hdfs_native.Client(namenode, {"dfs.client.use.datanode.hostname": "true"})

    with client().create("/golden/native") as writer:
        writer.write(data)
    take("native_put")
    with client().read("/golden/native") as reader:
        assert reader.read(-1) == data
    take("native_get")
    with client().read("/golden/native") as reader:
        assert reader.read_range(7000, 1000) == data[7000:8000]
    take("native_pread")
    with client().append("/golden/native") as writer:
        writer.write(data[:3000])
    take("native_append")
    with client().create("/golden/synced") as writer:
        writer.write(data[:700])
        writer.hsync()
        writer.write(data[700:1500])
    take("native_hsync")
    calls: dict[str, Callable[[hdfs_native.Client], object]] = {
        "native_ls": lambda c: list(c.list_status("/golden")),
        "native_stat": lambda c: c.get_file_info("/golden/native"),
        "native_mkdir": lambda c: c.mkdirs("/golden/dirs"),
        "native_mv": lambda c: c.rename("/golden/native", "/golden/moved"),
        "native_rm": lambda c: c.delete("/golden/moved"),
    }
    for step, call in calls.items():
        print(step, call(client()))
        take(step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hadoop-lib", type=Path, required=True)
    lib = parser.parse_args().hadoop_lib
    home = Path(tempfile.mkdtemp(prefix="capture-golden-"))
    for old in (*GOLDEN.glob("*.c2s"), *GOLDEN.glob("*.s2c")):
        old.unlink()
    os.environ["HADOOP_USER_NAME"] = USER
    rpc_port, xfer_port = free_port(), free_port()
    shared = {
        "hadoop.tmp.dir": str(home / "data"),
        "dfs.replication": "1",
        "dfs.client.use.datanode.hostname": "true",
        "dfs.client-write-packet-size": str(PACKET_BYTES),
        "dfs.namenode.fs-limits.min-block-size": "512",
    }
    front = f"hdfs://{FRONT}:{rpc_port}"
    behind = {
        "dfs.namenode.rpc-address": f"{REAL}:{rpc_port}",
        "dfs.namenode.http-address": f"{REAL}:0",
        "dfs.datanode.address": f"{REAL}:{xfer_port}",
        "dfs.datanode.http.address": f"{REAL}:0",
        "dfs.datanode.ipc.address": f"{REAL}:0",
        "dfs.datanode.hostname": FRONT,
        "dfs.heartbeat.interval": "1",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
    }
    server = Hadoop(
        lib,
        write_conf(
            home / "server", {**shared, **behind, "fs.defaultFS": f"hdfs://{REAL}:{rpc_port}"}
        ),
    )
    node = Hadoop(
        lib,
        write_conf(
            home / "node",
            {
                **shared,
                **{key: value for key, value in behind.items() if "rpc-address" not in key},
                "fs.defaultFS": front,
            },
        ),
    )
    client = Hadoop(lib, write_conf(home / "client", {**shared, "fs.defaultFS": front}))
    server.run("org.apache.hadoop.hdfs.server.namenode.NameNode", "-format", "-force")
    print("working in", home)
    package = "org.apache.hadoop.hdfs.server"
    with server.daemon(f"{package}.namenode.NameNode", home / "namenode.log"):
        wait_until("the NameNode's port", lambda: _is_open(rpc_port))
        namenode, datanode = Recorder("namenode", rpc_port), Recorder("datanode", xfer_port)
        with node.daemon(f"{package}.datanode.DataNode", home / "datanode.log"):
            wait_until(
                "the DataNode's registration",
                lambda: any(b"blockReport" in sent for sent, _ in namenode.connections),
            )
            held = namenode.connections
            namenode.connections = []

            def take(step: str) -> None:
                namenode.take(step)
                datanode.take(step)

            record_java(client, take)
            record_native(front, take)
        # Last, so that it holds registration, heartbeats, reports and received blocks.
        namenode.connections = held
        namenode.take("java_register")
    shutil.rmtree(home)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((REAL, port)) == 0


if __name__ == "__main__":
    main()
