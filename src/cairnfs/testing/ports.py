"""Ports for servers that are to be found at the same place when they are started again."""

from __future__ import annotations

import itertools
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Below are the ports that well-known servers, HDFS's among them, expect to be theirs.
_FIRST = 10_000
_LAST = 65_535
# Fewer than these are not worth to be chosen from.
_ENOUGH = 1000


def candidates(ephemeral: tuple[int, int]) -> range:
    """Ports that the kernel gives to nobody by itself, where ``ephemeral`` (first, last) are
    those that it gives away; all ports if it keeps hardly any back."""
    first, last = ephemeral
    below, above = range(_FIRST, first), range(max(last + 1, _FIRST), _LAST + 1)
    found = below if len(below) >= _ENOUGH else above
    return found if len(found) >= _ENOUGH else range(_FIRST, _LAST + 1)


def _ephemeral() -> tuple[int, int]:
    try:
        first, last = _RANGE.read_text().split()
        return int(first), int(last)
    except OSError:
        # Not Linux; others take these.
        return 49_152, _LAST


_candidates = candidates(_ephemeral())
# Each process begins somewhere else, so that two of them hardly meet.
_turns = itertools.count(random.SystemRandom().randrange(len(_candidates)))


def free_port() -> int:
    """A TCP port that nobody uses on any address, and that no connection of another process
    gets while its server is down. No port is answered twice until all were.

    A port that a bind to port 0 finds is none of that kind: the kernel gives it to the next
    outgoing connection."""
    for _ in _candidates:
        port = _candidates[next(_turns) % len(_candidates)]
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"all ports from {_candidates[0]} to {_candidates[-1]} are in use")
