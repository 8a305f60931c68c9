"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import psutil


def file_system_of(path: Path) -> str:
    """The type of the file system that holds ``path``, e.g. ``ext4``."""
    found = ("", "unknown")
    for part in psutil.disk_partitions(all=True):
        if path.resolve().is_relative_to(part.mountpoint) and len(part.mountpoint) > len(found[0]):
            found = (part.mountpoint, part.fstype)
    return found[1]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def build_of(cairn: Path) -> str:
    """How the Cairn that ``cairn`` is the command of was built."""
    done = subprocess.run(
        [
            cairn.with_name("python"),
            "-c",
            "import cairnfs.namespace.walk as walk; print(walk.__file__)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return "plain" if done.stdout.strip().endswith(".py") else "compiled by mypyc"


def describe(java: str, directory: Path) -> list[str]:
    """One line for each thing worth knowing."""
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    memory_gib = psutil.virtual_memory().total / 2**30
    return [
        f"{_cpu_model()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB of memory",
        f"{platform.system()} {platform.release()}, data on {file_system_of(directory)}",
        f"Python {platform.python_version()}, {done.stderr.splitlines()[0]}",
    ]
