"""Drives a NameNode as hard as it goes, with next to no work of its own.

Requests are encoded before the clock starts; answers are drained into one buffer, cut by
their length and matched by call id. A *slot* is one call in flight: it sends its next
request when its last was answered, so that 16 connections with 8 slots keep 128 calls in
flight. CPU of the server is read from /proc before and after.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cairnfs.wire.rpc_client import RpcClientConnection

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
# (method, serialised request)
Call = tuple[str, bytes]
_TICKS = os.sysconf("SC_CLK_TCK")
# A server that is silent for so long, with calls in flight, will not answer any more.
_ANSWER_S = 60


@dataclass(frozen=True, slots=True)
class Load:
    """One run: calls done, wall seconds, CPU seconds of the server, answers with errors."""

    calls: int
    seconds: float
    cpu_seconds: float
    errors: int

    @property
    def per_second(self) -> float:
        return self.calls / self.seconds

    @property
    def cpu_us_per_call(self) -> float:
        return self.cpu_seconds * 1e6 / self.calls


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


class _Connection:
    def __init__(self, host: str, port: int, user: str, scripts: list[list[Call]]) -> None:
        self.sock = socket.create_connection((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = RpcClientConnection(PROTOCOL, user, os.urandom(16))
        self.sock.sendall(wire.hello())
        slots = len(scripts)
        # Every call has its own id (a server remembers them); its slot is id % slots.
        self.frames = [
            [wire.request(number * slots + slot, *call) for number, call in enumerate(script)]
            for slot, script in enumerate(scripts)
        ]
        self.next = [1] * slots
        self.slots = slots
        self.left = sum(len(script) for script in scripts)
        self.rest = b""
        self.errors = 0
        self.first_error = b""

    def begin(self) -> None:
        self.sock.sendall(b"".join(frames[0] for frames in self.frames if frames))
        self.sock.setblocking(False)

    def receive(self, buffer: bytearray) -> None:
        try:
            size = self.sock.recv_into(buffer)
        except BlockingIOError:
            return
        if not size:
            raise ConnectionError("the server closed a connection of the load generator")
        data = self.rest + buffer[:size]
        position, end = 0, len(data)
        out: list[bytes] = []
        while end - position >= 4:
            stop = position + 4 + int.from_bytes(data[position : position + 4], "big")
            if stop > end:
                break
            # Header length, then field 1 (call id) and field 2 (status; 0 is success).
            at = position + 6
            call_id = shift = 0
            while True:
                byte = data[at]
                at += 1
                call_id |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
            if data[at + 1]:
                self.errors += 1
                self.first_error = self.first_error or bytes(data[position:stop])
            slot = call_id % self.slots
            number = self.next[slot]
            frames = self.frames[slot]
            if number < len(frames):
                out.append(frames[number])
                self.next[slot] = number + 1
            self.left -= 1
            position = stop
        self.rest = bytes(data[position:])
        if out:
            payload = memoryview(b"".join(out))
            while payload:
                try:
                    payload = payload[self.sock.send(payload) :]
                except BlockingIOError:
                    select_writable(self.sock)


def select_writable(sock: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        selector.select(10)


def drive(
    host: str,
    port: int,
    user: str,
    scripts: list[list[list[Call]]],
    pids: Callable[[], Iterable[int]],
) -> Load:
    """Run ``scripts[connection][slot]``, each a list of calls one after another."""
    connections = [_Connection(host, port, user, slots) for slots in scripts]
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.sock, selectors.EVENT_READ, connection)
    total = sum(connection.left for connection in connections)
    buffer = bytearray(1 << 20)
    busy = len(connections)
    cpu = cpu_seconds(pids())
    began = time.perf_counter()
    for connection in connections:
        connection.begin()
    while busy:
        ready = selector.select(_ANSWER_S)
        if not ready:
            raise ConnectionError(f"{busy} connections waited {_ANSWER_S} s for an answer in vain")
        for key, _ in ready:
            connection = key.data
            connection.receive(buffer)
            if not connection.left:
                selector.unregister(connection.sock)
                busy -= 1
    seconds = time.perf_counter() - began
    cpu = cpu_seconds(pids()) - cpu
    errors = sum(connection.errors for connection in connections)
    for connection in connections:
        if connection.first_error:
            print("first error:", connection.first_error[:300])
            break
    for connection in connections:
        connection.sock.close()
    selector.close()
    return Load(total, seconds, cpu, errors)
