"""The client's side of one Hadoop RPC connection, without I/O."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import CairnError, from_java
from cairnfs.limits import RPC_FRAME_BYTES_MAX
from cairnfs.wire import plain, rpc

# Numbers of RpcHeader.proto.
_KIND_PROTOCOL_BUFFER = 2
_OP_FINAL_PACKET = 0
_STATUS_SUCCESS = 0
_STATUS_FATAL = 2
# What every request's header begins with, up to the tag of the call id.
_HEADER_START = (
    plain.number_field(1, _KIND_PROTOCOL_BUFFER) + plain.number_field(2, _OP_FINAL_PACKET) + b"\x18"
)


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    """A call's answer: ``body`` is the serialised response, or ``error`` says why not."""

    call_id: int
    body: bytes
    error: CairnError | None


class RpcClientConnection:
    """State of one connection to ``protocol`` (a Java interface name) as ``user``.

    ``client_id`` (16 bytes) and a call's id name the call across retries."""

    def __init__(
        self,
        protocol: str,
        user: str,
        client_id: bytes,
        real_user: str | None = None,
        protocol_version: int = 1,
    ) -> None:
        self._protocol = protocol
        self._user = user
        self._real_user = real_user
        self._version = protocol_version
        self.client_id = client_id
        self._frames = rpc.FrameBuffer(RPC_FRAME_BYTES_MAX)
        self._method_headers: dict[str, bytes] = {}

    def hello(self) -> bytes:
        """What to send first: connection header and context."""
        user = plain.text_field(1, self._user)
        if self._real_user:
            user += plain.text_field(2, self._real_user)
        return (
            rpc.MAGIC
            + bytes((rpc.VERSION, 0, rpc.AUTH_NONE))
            + rpc.frame(
                self._header(rpc.CALL_ID_CONTEXT, rpc.RETRY_COUNT_NONE),
                plain.bytes_field(2, user) + plain.text_field(3, self._protocol),
            )
        )

    def request(self, call_id: int, method: str, body: bytes, retry_count: int = 0) -> bytes:
        """The frame of one call. ``body`` is the serialised request."""
        method_header = self._method_headers.get(method)
        if method_header is None:
            method_header = (
                plain.text_field(1, method)
                + plain.text_field(2, self._protocol)
                + plain.number_field(3, self._version)
            )
            self._method_headers[method] = method_header
        return rpc.frame(self._header(call_id, retry_count), method_header, body)

    def ping(self) -> bytes:
        """A frame that only shows the connection to be alive."""
        return rpc.frame(self._header(rpc.CALL_ID_PING, rpc.RETRY_COUNT_NONE))

    def receive(self, data: bytes) -> list[RpcAnswer]:
        """Take bytes; the answers that are whole by now.

        Raises ``RemoteProtocolError``, or the server's own error if it gave up the
        connection; the connection is then of no further use."""
        buffer, found = self._frames.frames(data)
        return [self._answer(buffer, start, end) for start, end in found]

    def _header(self, call_id: int, retry_count: int) -> bytes:
        """``RpcRequestHeaderProto``: kind, operation, call id, client id, retry count."""
        return (
            _HEADER_START
            + rpc.encode_varint(rpc.zigzag(call_id))
            + plain.bytes_field(4, self.client_id)
            + b"\x28"
            + rpc.encode_varint(rpc.zigzag(retry_count))
        )

    def _answer(self, buffer: bytes, start: int, end: int) -> RpcAnswer:
        raw, position = rpc.delimited(buffer, start, end)
        header = plain.read(raw)
        call_id = plain.number(header, 1) & 0xFFFFFFFF
        status = plain.number(header, 2)
        if status == _STATUS_SUCCESS:
            body, _ = rpc.delimited(buffer, position, end)
            return RpcAnswer(call_id, body, None)
        error = from_java(plain.text(header, 4, ""), plain.text(header, 5, ""))
        if status == _STATUS_FATAL:
            raise error
        return RpcAnswer(call_id, b"", error)
