"""CPU and memory of servers, from /proc; a server is a process with all its descendants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil


def with_descendants(pids: Iterable[int]) -> list[int]:
    found: list[int] = []
    for pid in pids:
        found.append(pid)
        found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return found


@dataclass(frozen=True, slots=True)
class Memory:
    """Summed over processes. In ``pss`` a page shared by n of them counts 1/n for each;
    ``anonymous`` leaves out pages of files, which the kernel takes back when it needs room."""

    rss_mb: float
    pss_mb: float
    anonymous_mb: float


def memory(pids: Iterable[int]) -> Memory:
    rss = pss = anonymous = 0
    for pid in with_descendants(pids):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "Rss":
                rss += int(rest.split()[0])
            elif name == "Pss":
                pss += int(rest.split()[0])
            elif name == "Anonymous":
                anonymous += int(rest.split()[0])
    return Memory(rss * 1024 / 1e6, pss * 1024 / 1e6, anonymous * 1024 / 1e6)
