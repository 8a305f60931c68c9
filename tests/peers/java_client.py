"""Hadoop's Java client in one long-lived JVM: a command costs milliseconds, not a JVM's start.

The JVM runs Hadoop's unmodified classes; py4j, which PySpark brings, is the door into it.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hadoop import FSSHELL, QUICK_START, Hadoop
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command answered."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class JavaClient:
    """FsShell and FileSystem of Hadoop's own client."""

    def __init__(self, hadoop: Hadoop, conf: Path) -> None:
        """Start the JVM; ``conf`` holds its log4j.properties."""
        py4j_jar = next(Path(sys.prefix, "share", "py4j").glob("py4j*.jar"))
        port, token, self._process = launch_gateway(
            port=0,
            jarpath=str(py4j_jar),
            classpath=f"{conf}:{hadoop.lib}/*",
            javaopts=[*QUICK_START, "-Xmx512m"],
            java_path=hadoop.java,
            die_on_exit=True,
            enable_auth=True,
            return_proc=True,
            redirect_stderr=subprocess.DEVNULL,
        )
        self._gateway = JavaGateway(
            gateway_parameters=GatewayParameters(port=port, auth_token=token, auto_convert=True)
        )
        self.jvm: Any = self._gateway.jvm
        self._system = self.jvm.java.lang.System
        self._streams = (
            self._system.out,
            self._system.err,
            getattr(self._system, "in"),
        )

    def close(self) -> None:
        self._gateway.shutdown()
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    # --- FsShell ---------------------------------------------------------------------------

    def fs(
        self,
        url: str,
        *arguments: str,
        stdin: bytes = b"",
        user: str | None = None,
        settings: dict[str, str] | None = None,
    ) -> Outcome:
        """Run ``hdfs dfs ARGUMENTS`` against ``url`` as ``user``."""
        output, errors = (self.jvm.java.io.ByteArrayOutputStream() for _ in range(2))
        print_stream = self.jvm.java.io.PrintStream
        self._log_in(user)
        try:
            self._system.setOut(print_stream(output, True))
            self._system.setErr(print_stream(errors, True))
            self._system.setIn(self.jvm.java.io.ByteArrayInputStream(stdin))
            shell = self.jvm.org.apache.hadoop.fs.FsShell(self.configuration(url, settings))
            code = self.jvm.org.apache.hadoop.util.ToolRunner.run(shell, self.strings(arguments))
        finally:
            self._system.setOut(self._streams[0])
            self._system.setErr(self._streams[1])
            self._system.setIn(self._streams[2])
            self._log_in(None)
        # As a process would end.
        return Outcome(code & 0xFF, bytes(output.toByteArray()), errors.toString())

    def configuration(self, url: str, settings: dict[str, str] | None = None) -> Any:
        conf = self.jvm.org.apache.hadoop.hdfs.HdfsConfiguration()
        conf.set("fs.defaultFS", url)
        for name, value in (settings or {}).items():
            conf.set(name, value)
        return conf

    def strings(self, texts: tuple[str, ...]) -> Any:
        return self._array(self.jvm.java.lang.String, list(texts))

    def paths(self, paths: list[Any]) -> Any:
        """A Java array of ``Path``."""
        return self._array(self.jvm.org.apache.hadoop.fs.Path, paths)

    def enums(self, *values: Any) -> Any:
        """A Java array of ``Options.Rename``."""
        return self._array(getattr(self.jvm.org.apache.hadoop.fs, "Options$Rename"), list(values))

    def _array(self, kind: Any, values: list[Any]) -> Any:
        array = self._gateway.new_array(kind, len(values))
        for index, value in enumerate(values):
            array[index] = value
        return array

    def _log_in(self, user: str | None) -> None:
        groups = self.jvm.org.apache.hadoop.security.UserGroupInformation
        groups.setLoginUser(groups.createRemoteUser(user) if user else None)

    # --- FileSystem ------------------------------------------------------------------------

    def file_system(self, url: str, **settings: str) -> Any:
        """A new ``DistributedFileSystem``; the caller closes it."""
        return self.jvm.org.apache.hadoop.fs.FileSystem.newInstance(
            self.jvm.java.net.URI(url),
            self.configuration(url, {k.replace("_", "."): v for k, v in settings.items()}),
        )

    def path(self, text: str) -> Any:
        return self.jvm.org.apache.hadoop.fs.Path(text)


def fs_process(
    hadoop: Hadoop, conf: Path, *arguments: str, stdin: bytes = b"", user: str = ""
) -> Outcome:
    """The same as a process of its own, as a user starts it."""
    done = subprocess.run(
        hadoop.command(FSSHELL, conf, *arguments),
        input=stdin,
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        | ({"HADOOP_USER_NAME": user} if user else {}),
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
