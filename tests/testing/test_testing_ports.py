"""Ports that stay with a server while it is down."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cairnfs.testing import free_port, ports
from cairnfs.testing.ports import candidates


def test_the_kernel_gives_it_to_nobody_else() -> None:
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    found = [free_port() for _ in range(50)]
    assert len(set(found)) == 50
    assert not any(int(first) <= port <= int(last) for port in found)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", ""])
def test_one_in_use_is_passed_over(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with socket.socket() as holder:
        holder.bind((address, port))
        monkeypatch.setattr(ports, "_turns", itertools.count(ports._candidates.index(port)))
        assert free_port() != port


def test_each_process_begins_somewhere_else() -> None:
    command = "from cairnfs.testing import free_port; print(free_port())"
    found = {
        subprocess.run([sys.executable, "-c", command], check=True, capture_output=True).stdout
        for _ in range(3)
    }
    assert len(found) > 1


@pytest.mark.parametrize(
    ("ephemeral", "expected"),
    [
        ((32_768, 60_999), range(10_000, 32_768)),
        ((1024, 60_999), range(61_000, 65_536)),
        ((10_500, 60_999), range(61_000, 65_536)),
        ((1024, 65_535), range(10_000, 65_536)),
        ((2000, 9000), range(10_000, 65_536)),
    ],
)
def test_where_the_kernels_own_begin(ephemeral: tuple[int, int], expected: range) -> None:
    assert candidates(ephemeral) == expected
