"""What all open files of one client share."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairnfs.client.buffers import BufferPool
from cairnfs.client.connections import Connections
from cairnfs.client.settings import ClientSettings
from cairnfs.clock import Clock
from cairnfs.types import DatanodeInfo

if TYPE_CHECKING:
    from cairnfs.client.namenode import Namenode


class NodeMemory:
    """DataNodes to keep away from, each for ``expiry_ms`` after it was last added."""

    def __init__(self, expiry_ms: int, now_ms: Callable[[], int]) -> None:
        self._expiry_ms = expiry_ms
        self._now_ms = now_ms
        self._nodes: dict[str, tuple[DatanodeInfo, int]] = {}

    def add(self, node: DatanodeInfo) -> None:
        self._nodes[node.id.datanode_uuid] = (node, self._now_ms() + self._expiry_ms)

    def discard(self, node: DatanodeInfo) -> None:
        self._nodes.pop(node.id.datanode_uuid, None)

    def __contains__(self, node: DatanodeInfo) -> bool:
        found = self._nodes.get(node.id.datanode_uuid)
        return found is not None and found[1] > self._now_ms()

    def nodes(self) -> list[DatanodeInfo]:
        now_ms = self._now_ms()
        self._nodes = {uuid: entry for uuid, entry in self._nodes.items() if entry[1] > now_ms}
        return [node for node, _ in self._nodes.values()]

    def clear(self) -> None:
        self._nodes.clear()


@dataclass(slots=True)
class ClientContext:
    """Shared by the readers and writers of one file system object."""

    namenode: Namenode
    settings: ClientSettings
    clock: Clock
    connections: Connections
    buffers: BufferPool
    # Nodes that failed a read, and nodes that failed a write.
    dead: NodeMemory
    excluded: NodeMemory
    user: str
    hedged_reads: int = 0

    @property
    def client_name(self) -> str:
        return self.namenode.client_name


@functools.lru_cache(maxsize=1024)
def is_local(ip_addr: str) -> bool:
    """Whether an address is one of this machine's: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in ip_addr else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((ip_addr, 0))
    except OSError:
        return False
    return True
