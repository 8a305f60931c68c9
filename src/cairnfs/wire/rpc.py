"""Hadoop RPC version 9: what server and client side share.

On the wire (Hadoop: ``RpcConstants``, ``RpcHeader.proto``): a connection header
``hrpc`` + version + service class + auth protocol, then frames of a 4-byte big-endian
length and varint-delimited protobuf messages. In a request these are the RPC header, the
method's name and the request; in an answer the RPC header and the response.
"""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import RemoteProtocolError

MAGIC = b"hrpc"
VERSION = 9
CONNECTION_HEADER_BYTES = 7
AUTH_NONE = 0
AUTH_SASL = 0xDF  # -33 as a signed byte

CALL_ID_INVALID = -2
CALL_ID_CONTEXT = -3
CALL_ID_PING = -4
CALL_ID_SASL = -33
RETRY_COUNT_NONE = -1
CLIENT_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class MethodName:
    """Which method of which protocol a call is for. ``protocol`` is a Java interface name."""

    protocol: str
    method: str
    version: int


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """Who a connection acts for. ``real_user`` is set where a proxy user speaks for another."""

    user: str
    real_user: str | None
    protocol: str


def encode_varint(value: int) -> bytes:
    """``value`` >= 0 as a protobuf varint."""
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 0x200000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """A varint of at most 32 bits at ``position``: its value and the position behind it.

    Raises ``RemoteProtocolError`` if it is longer, or runs past ``end``."""
    value = shift = 0
    while position < end:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 28:
            break
    raise RemoteProtocolError("a varint in an RPC frame is cut off or longer than 5 bytes")


def delimited(buffer: bytes, position: int, end: int) -> tuple[bytes, int]:
    """The varint-delimited message at ``position``, and the position behind it."""
    length, start = decode_varint(buffer, position, end)
    stop = start + length
    if stop > end:
        raise RemoteProtocolError(
            f"a message of {length} bytes does not fit the {end - start} left in its RPC frame"
        )
    return buffer[start:stop], stop


def zigzag(value: int) -> int:
    """The unsigned form of a 32-bit ``sint32``."""
    return (value << 1) ^ (value >> 31)


def frame(*messages: bytes) -> bytes:
    """One frame of varint-delimited messages, with its length in front."""
    parts: list[bytes] = []
    for message in messages:
        parts.append(encode_varint(len(message)))
        parts.append(message)
    body = b"".join(parts)
    return len(body).to_bytes(4, "big") + body


class FrameBuffer:
    """Cuts a byte stream into frames; holds at most one frame that is not whole yet.

    A frame is given as (buffer, start, end), so that whole ones are never copied."""

    __slots__ = ("_missing", "_pending", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._pending = bytearray()
        self._missing = 0  # bytes until the pending frame could be whole

    @property
    def pending_bytes(self) -> int:
        """How much of a frame that is not whole yet is held."""
        return len(self._pending)

    def frames(self, data: bytes) -> tuple[bytes, list[tuple[int, int]]]:
        """Take ``data``; the buffer and the (start, end) of each frame whole by now.

        Raises ``RemoteProtocolError`` for a length that is negative or over the limit."""
        pending = self._pending
        if pending:
            pending += data
            if len(data) < self._missing:
                self._missing -= len(data)
                return b"", []
            data = bytes(pending)
            pending.clear()
        size = len(data)
        found: list[tuple[int, int]] = []
        position = 0
        missing = 4
        while True:
            start = position + 4
            if start > size:
                missing = start - size
                break
            length = int.from_bytes(data[position:start], "big")
            if length > self.limit_bytes:
                raise RemoteProtocolError(
                    f"an RPC frame says it has {length} bytes; at most {self.limit_bytes} are taken"
                )
            end = start + length
            if end > size:
                missing = end - size
                break
            found.append((start, end))
            position = end
        if position < size:
            pending += data[position:]
            self._missing = missing
        return data, found
