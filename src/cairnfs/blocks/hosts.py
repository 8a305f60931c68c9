"""Which DataNodes may join: the include and exclude files, already read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cairnfs.types import DatanodeID


def parse_hosts(text: str) -> frozenset[str]:
    """The entries of a hosts file: names or addresses, ``#`` begins a comment."""
    words: set[str] = set()
    for line in text.splitlines():
        words.update(line.split("#", 1)[0].split())
    return frozenset(words)


@dataclass(frozen=True, slots=True)
class HostSets:
    """Entries are ``host``, ``address``, ``host:port`` or ``address:port``.

    An empty include set lets every node in, as Hadoop has it. An excluded node may
    stay registered, but is to be taken out of service."""

    include: frozenset[str] = field(default_factory=frozenset)
    exclude: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> HostSets:
        return cls(frozenset(include), frozenset(exclude))

    def included(self, node: DatanodeID) -> bool:
        return not self.include or _named(self.include, node)

    def excluded(self, node: DatanodeID) -> bool:
        return bool(self.exclude) and _named(self.exclude, node)


def _named(entries: frozenset[str], node: DatanodeID) -> bool:
    return not entries.isdisjoint(
        (
            node.ip_addr,
            node.host_name,
            f"{node.ip_addr}:{node.xfer_port}",
            f"{node.host_name}:{node.xfer_port}",
        )
    )
