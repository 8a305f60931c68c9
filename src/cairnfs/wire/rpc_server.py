"""The server's side of one Hadoop RPC connection, without I/O.

Bytes in, :class:`RpcCall` objects out, and answers as bytes. The connection's states:
header, then SASL where the client asks for it, then context, then calls. Errors of the
peer are raised as :class:`RpcFatal`, which carries the last words to send before closing.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import DecodeError

from cairnfs.errors import CairnError, PermissionDenied, RemoteProtocolError
from cairnfs.limits import RPC_FRAME_BYTES_MAX, RPC_PREAMBLE_BYTES_MAX
from cairnfs.wire import rpc
from cairnfs.wire.message import parse
from cairnfs.wire.proto.ipc_connection_context_pb2 import IpcConnectionContextProto
from cairnfs.wire.proto.rpc_engine_pb2 import RequestHeaderProto
from cairnfs.wire.proto.rpc_header_pb2 import (
    RpcKindProto,
    RpcRequestHeaderProto,
    RpcResponseHeaderProto,
    RpcSaslProto,
)

HTTP_ANSWER = (
    b"HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\nConnection: close\r\n\r\n"
    b"This is Cairn's port for Hadoop RPC, not a web port. Point the browser at the web port.\r\n"
)
_Code = RpcResponseHeaderProto
# Frame length, header length, and the tag of the header's first field.
_ANSWER = struct.Struct(">IBB")
# Java, hdfs-native and our own client all send kind, operation and call id first.
_USUAL_PREFIX = b"\x08\x02\x10\x00\x18"


class RpcFatal(RemoteProtocolError):
    """The peer broke the protocol: send ``last_words``, then close."""

    def __init__(self, message: str, last_words: bytes = b"") -> None:
        super().__init__(message)
        self.last_words = last_words


class RpcOrigin:
    """What the headers of many calls share: the client's id and the retry count."""

    __slots__ = ("answer_tail", "client_id", "header_tail", "retry_count")

    def __init__(self, header_tail: bytes, client_id: bytes, retry_count: int) -> None:
        self.header_tail = header_tail
        self.client_id = client_id
        self.retry_count = retry_count
        # Fields 2, 3, 7 and 8 of RpcResponseHeaderProto for an answer without error.
        self.answer_tail = (
            b"\x10\x00\x18\x09\x3a"
            + rpc.encode_varint(len(client_id))
            + client_id
            + b"\x40"
            + rpc.encode_varint(rpc.zigzag(retry_count))
        )


class RpcCall:
    """One call as it came in. ``owner`` is whatever the shell hung on the connection."""

    __slots__ = ("call_id", "method_header", "origin", "owner", "request")

    def __init__(
        self, call_id: int, origin: RpcOrigin, method_header: bytes, request: bytes, owner: Any
    ) -> None:
        self.call_id = call_id
        self.origin = origin
        self.method_header = method_header
        self.request = request
        self.owner = owner


class _State(enum.Enum):
    HEADER = enum.auto()
    SASL = enum.auto()
    CONTEXT = enum.auto()
    READY = enum.auto()


class RpcServerConnection:
    """State of one connection. ``authorize`` may raise a ``CairnError`` to turn a user away."""

    def __init__(
        self,
        authorize: Callable[[rpc.ConnectionContext], None],
        owner: Any = None,
        frame_bytes_max: int = RPC_FRAME_BYTES_MAX,
    ) -> None:
        self._authorize = authorize
        self._owner = owner
        self._frame_bytes_max = frame_bytes_max
        self._frames = rpc.FrameBuffer(RPC_PREAMBLE_BYTES_MAX)
        self._header = b""
        self._state = _State.HEADER
        self._origin = RpcOrigin(b"", b"", rpc.RETRY_COUNT_NONE)
        # The bytes between call id and request of the last call, and its method header.
        self._middle = b""
        self._middle_method = b""
        self.context: rpc.ConnectionContext | None = None
        self.outgoing: list[bytes] = []
        # Whether the handshake is over.
        self.ready = False

    @property
    def pending_bytes(self) -> int:
        """Bytes held of something that is not whole yet."""
        return len(self._header) + self._frames.pending_bytes

    def receive(self, data: bytes) -> list[RpcCall]:
        """Take bytes; the calls that are whole by now, in order.

        What the protocol itself answers (SASL) is put in ``outgoing``.
        Raises :class:`RpcFatal`."""
        if self.ready:
            # Hot path: one whole frame, as a client that waits for each answer sends it.
            size = len(data)
            if (
                4 < size <= self._frame_bytes_max
                and int.from_bytes(data[:4], "big") + 4 == size
                and not self._frames.pending_bytes
            ):
                return self._take_frames(data, ((4, size),))
        elif self._state is _State.HEADER:
            data = self._take_header(data)
            if not data:
                return []
        try:
            buffer, found = self._frames.frames(data)
        except RemoteProtocolError as error:
            raise self._undecodable(error) from None
        return self._take_frames(buffer, found)

    def _take_frames(self, buffer: bytes, found: Iterable[tuple[int, int]]) -> list[RpcCall]:
        calls: list[RpcCall] = []
        try:
            for start, end in found:
                call = self._take_frame(buffer, start, end)
                if call is not None:
                    calls.append(call)
        except RpcFatal:
            raise
        except (RemoteProtocolError, DecodeError) as error:
            raise self._undecodable(error) from None
        return calls

    @staticmethod
    def _undecodable(error: Exception) -> RpcFatal:
        message = str(error) or "a message in an RPC frame cannot be decoded"
        code = _Code.FATAL_DESERIALIZING_REQUEST
        return RpcFatal(message, fatal_answer(code, RemoteProtocolError.java_class, message))

    def _take_header(self, data: bytes) -> bytes:
        header = self._header + data
        if header[:4] == b"GET "[: len(header)] and len(header) >= 4:
            raise RpcFatal("an HTTP request came to the RPC port", HTTP_ANSWER)
        if header[:4] != rpc.MAGIC[: len(header)]:
            raise RpcFatal(f"an RPC connection begins with {header[:4]!r}, not with 'hrpc'")
        if len(header) < rpc.CONNECTION_HEADER_BYTES:
            self._header = header
            return b""
        version, auth = header[4], header[6]
        if version != rpc.VERSION:
            message = f"Server IPC version {rpc.VERSION} cannot communicate with client version "
            message += str(version)
            raise RpcFatal(
                message,
                fatal_answer(
                    _Code.FATAL_VERSION_MISMATCH,
                    "org.apache.hadoop.ipc.RPC$VersionMismatch",
                    message,
                ),
            )
        if auth == rpc.AUTH_NONE:
            self._state = _State.CONTEXT
        elif auth == rpc.AUTH_SASL:
            self._state = _State.SASL
        else:
            raise RpcFatal(
                f"unknown authentication protocol {auth} in an RPC connection header",
                fatal_answer(
                    _Code.FATAL_UNAUTHORIZED,
                    "org.apache.hadoop.ipc.IpcException",
                    f"Unknown auth protocol:{auth}",
                ),
            )
        self._header = b""
        return header[rpc.CONNECTION_HEADER_BYTES :]

    def _take_frame(self, buffer: bytes, start: int, end: int) -> RpcCall | None:
        # Hot path: a connection's calls differ in call id and request only, so that what
        # stands between the two is compared with that of the call before and not decoded
        # (measured: 0.7 us a frame against 2.1 us field by field).
        middle = self._middle
        at = start + 6
        if middle and end - at > len(middle) and buffer[start + 1 : at] == _USUAL_PREFIX:
            raw = buffer[at]
            at += 1
            if raw >= 0x80:
                raw, at = rpc.decode_varint(buffer, at - 1, end)
            after = at + len(middle)
            header_size = at - start - 1 + len(self._origin.header_tail)
            if buffer[at:after] == middle and buffer[start] == header_size and not raw & 1:
                size = buffer[after] if after < end else 0x80
                if size < 0x80 and after + 1 + size == end:
                    return RpcCall(
                        raw >> 1,
                        self._origin,
                        self._middle_method,
                        buffer[after + 1 : end],
                        self._owner,
                    )
        return self._take_any_frame(buffer, start, end)

    def _take_any_frame(self, buffer: bytes, start: int, end: int) -> RpcCall | None:
        header, position = rpc.delimited(buffer, start, end)
        if header.startswith(_USUAL_PREFIX):
            raw, at = rpc.decode_varint(header, 5, len(header))
            call_id = (raw >> 1) ^ -(raw & 1)
            tail = header[at:]
            origin = self._origin
            if tail != origin.header_tail:
                origin = self._new_origin(header, tail)
        else:
            parsed = RpcRequestHeaderProto.FromString(header)
            call_id = parsed.callId
            tail = b""
            origin = self._new_origin(header, b"")
        if self._state is _State.READY:
            if call_id >= 0:
                method_start = position
                method_header, position = rpc.delimited(buffer, position, end)
                request, _ = rpc.delimited(buffer, position, end)
                if tail:
                    self._middle = tail + buffer[method_start:position]
                    self._middle_method = method_header
                return RpcCall(call_id, origin, method_header, request, self._owner)
            if call_id == rpc.CALL_ID_PING:
                return None
            raise self._invalid(f"call id {call_id} after the connection context")
        self._take_preamble(call_id, buffer, position, end)
        return None

    def _new_origin(self, header: bytes, tail: bytes) -> RpcOrigin:
        parsed = RpcRequestHeaderProto.FromString(header)
        if parsed.rpcKind != RpcKindProto.RPC_PROTOCOL_BUFFER and parsed.callId >= 0:
            message = f"RPC kind {parsed.rpcKind} is not offered; only protocol buffers are"
            raise RpcFatal(
                message,
                fatal_answer(
                    _Code.FATAL_INVALID_RPC_HEADER, RemoteProtocolError.java_class, message
                ),
            )
        if parsed.rpcOp != RpcRequestHeaderProto.RPC_FINAL_PACKET:
            raise self._invalid(f"RPC operation {parsed.rpcOp}")
        if len(parsed.clientId) not in (0, rpc.CLIENT_ID_BYTES):
            raise self._invalid(f"a client id of {len(parsed.clientId)} bytes")
        self._origin = RpcOrigin(tail, parsed.clientId, parsed.retryCount)
        self._middle = b""
        return self._origin

    def _take_preamble(self, call_id: int, buffer: bytes, position: int, end: int) -> None:
        message, _ = rpc.delimited(buffer, position, end)
        if self._state is _State.SASL and call_id == rpc.CALL_ID_SASL:
            self._take_sasl(parse(RpcSaslProto, message))
            return
        if self._state is not _State.CONTEXT or call_id != rpc.CALL_ID_CONTEXT:
            raise self._invalid(f"call id {call_id} before the connection context")
        parsed = parse(IpcConnectionContextProto, message)
        user = parsed.userInfo.effectiveUser
        real_user = parsed.userInfo.realUser or None
        context = rpc.ConnectionContext(user or real_user or "", real_user, parsed.protocol)
        try:
            if not context.user:
                raise PermissionDenied("the RPC connection context names no user")
            self._authorize(context)
        except CairnError as error:
            raise RpcFatal(
                f"user {context.user!r} is not let in: {error}",
                fatal_answer(_Code.FATAL_UNAUTHORIZED, error.java_class, str(error)),
            ) from None
        self.context = context
        self._state = _State.READY
        self.ready = True
        self._frames.limit_bytes = self._frame_bytes_max

    def _take_sasl(self, message: RpcSaslProto) -> None:
        if message.state == RpcSaslProto.NEGOTIATE:
            # SUCCESS in answer to NEGOTIATE tells the client to go on without SASL.
            answer = RpcSaslProto(state=RpcSaslProto.SUCCESS).SerializeToString()
            header = RpcResponseHeaderProto(
                callId=rpc.CALL_ID_SASL & 0xFFFFFFFF,
                status=RpcResponseHeaderProto.SUCCESS,
                serverIpcVersionNum=rpc.VERSION,
            ).SerializeToString()
            self.outgoing.append(rpc.frame(header, answer))
            self._state = _State.CONTEXT
            return
        methods = [auth.method for auth in message.auths]
        if message.state == RpcSaslProto.INITIATE and methods == ["SIMPLE"]:
            self._state = _State.CONTEXT
            return
        text = f"{', '.join(methods) or 'This'} authentication is not enabled. Available:[SIMPLE]"
        raise RpcFatal(
            text, fatal_answer(_Code.FATAL_UNAUTHORIZED, PermissionDenied.java_class, text)
        )

    def _invalid(self, what: str) -> RpcFatal:
        message = f"{what} is not allowed here"
        return RpcFatal(
            message,
            fatal_answer(_Code.FATAL_INVALID_RPC_HEADER, RemoteProtocolError.java_class, message),
        )


def decode_method(method_header: bytes) -> rpc.MethodName:
    """The method that a call's ``method_header`` names. Raises ``RemoteProtocolError``."""
    parsed = parse(RequestHeaderProto, method_header)
    return rpc.MethodName(
        parsed.declaringClassProtocolName, parsed.methodName, parsed.clientProtocolVersion
    )


def success_answer(call: RpcCall, body: bytes) -> bytes:
    """The frame that answers ``call`` with the serialised response ``body``."""
    size = len(body)
    rest = rpc.encode_varint(call.call_id) + call.origin.answer_tail
    length = rpc.encode_varint(size)
    # The header is at most 33 bytes long, so that its varint is one byte.
    header_size = 1 + len(rest)
    total = 1 + header_size + len(length) + size
    return b"".join((_ANSWER.pack(total, header_size, 0x08), rest, length, body))


def error_answer(call: RpcCall, error: CairnError) -> bytes:
    """The frame that answers ``call`` with a Java exception."""
    detail = _Code.ERROR_APPLICATION
    if error.java_class == "org.apache.hadoop.ipc.RpcNoSuchMethodException":
        detail = _Code.ERROR_NO_SUCH_METHOD
    elif error.java_class == "org.apache.hadoop.ipc.RpcNoSuchProtocolException":
        detail = _Code.ERROR_NO_SUCH_PROTOCOL
    elif error.java_class == "org.apache.hadoop.ipc.RPC$VersionMismatch":
        detail = _Code.ERROR_RPC_VERSION_MISMATCH
    java_class = getattr(error, "remote_class", error.java_class)
    header = RpcResponseHeaderProto(
        callId=call.call_id,
        status=RpcResponseHeaderProto.ERROR,
        serverIpcVersionNum=rpc.VERSION,
        exceptionClassName=java_class,
        errorMsg=str(error),
        errorDetail=detail,
        clientId=call.origin.client_id,
        retryCount=call.origin.retry_count,
    ).SerializeToString()
    return rpc.frame(header)


def fatal_answer(detail: int, java_class: str, message: str) -> bytes:
    """The frame that says why the connection is closed."""
    header = RpcResponseHeaderProto(
        callId=0xFFFFFFFF,
        status=RpcResponseHeaderProto.FATAL,
        serverIpcVersionNum=rpc.VERSION,
        exceptionClassName=java_class,
        errorMsg=message,
        errorDetail=detail,  # type: ignore[arg-type]
        clientId=b"",
        retryCount=rpc.RETRY_COUNT_NONE,
    ).SerializeToString()
    return rpc.frame(header)
