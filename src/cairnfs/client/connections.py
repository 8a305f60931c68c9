"""Idle connections to DataNodes, kept for the next operation (a DataNode's keepalive)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from cairnfs.client.data_socket import DataSocket
from cairnfs.types import DatanodeInfo


class Connections:
    """Connects to DataNodes, by name where ``use_hostname``; keeps at most ``capacity`` idle
    connections for ``expiry_ms``."""

    def __init__(
        self, *, capacity: int, expiry_ms: int, connect_timeout_ms: int, use_hostname: bool
    ) -> None:
        self._capacity = capacity
        self._expiry_s = expiry_ms / 1000
        self._connect_timeout_ms = connect_timeout_ms
        self._use_hostname = use_hostname
        # Oldest first: (address, socket) by a running number, with the time it was put.
        self._idle: OrderedDict[int, tuple[tuple[str, int], DataSocket, float]] = OrderedDict()
        self._number = 0
        self._sweeper: asyncio.TimerHandle | None = None

    def address(self, node: DatanodeInfo) -> tuple[str, int]:
        """Where ``node`` is reached from here."""
        host = node.id.host_name if self._use_hostname else node.id.ip_addr
        return host, node.id.xfer_port

    def take_idle(self, node: DatanodeInfo) -> DataSocket | None:
        """An idle connection that still seems good, or None."""
        address = self.address(node)
        # The one put last is the least likely to have been closed meanwhile.
        for number in [n for n, entry in self._idle.items() if entry[0] == address][::-1]:
            sock = self._idle.pop(number)[1]
            if sock.is_idle():
                return sock
            sock.close()
        return None

    async def connect(self, node: DatanodeInfo) -> DataSocket:
        """A new connection. Raises ``ConnectFailed``."""
        host, port = self.address(node)
        return await DataSocket.connect(host, port, self._connect_timeout_ms)

    def put(self, node: DatanodeInfo, sock: DataSocket) -> None:
        """Keep ``sock``, whose last operation ended well, for the next one."""
        if sock.closed or not self._capacity or not self._expiry_s:
            sock.close()
            return
        loop = asyncio.get_running_loop()
        self._number += 1
        self._idle[self._number] = (self.address(node), sock, loop.time())
        if len(self._idle) > self._capacity:
            self._idle.popitem(last=False)[1][1].close()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._expiry_s, self._sweep)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = None
        while self._idle:
            number, (_, sock, put_at) = next(iter(self._idle.items()))
            left_s = put_at + self._expiry_s - loop.time()
            if left_s > 0:
                self._sweeper = loop.call_later(left_s, self._sweep)
                return
            del self._idle[number]
            sock.close()

    def close(self) -> None:
        """Close every idle connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._idle:
            self._idle.popitem()[1][1].close()
