"""The client's side of one Hadoop RPC connection, without I/O."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from cairnfs.errors import CairnError, RemoteProtocolError, from_java
from cairnfs.limits import RPC_FRAME_BYTES_MAX
from cairnfs.wire import rpc
from cairnfs.wire.proto.ipc_connection_context_pb2 import IpcConnectionContextProto
from cairnfs.wire.proto.rpc_engine_pb2 import RequestHeaderProto
from cairnfs.wire.proto.rpc_header_pb2 import (
    RpcKindProto,
    RpcRequestHeaderProto,
    RpcResponseHeaderProto,
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
        context = IpcConnectionContextProto(protocol=self._protocol)
        context.userInfo.effectiveUser = self._user
        if self._real_user:
            context.userInfo.realUser = self._real_user
        return (
            rpc.MAGIC
            + bytes((rpc.VERSION, 0, rpc.AUTH_NONE))
            + rpc.frame(
                self._header(rpc.CALL_ID_CONTEXT, rpc.RETRY_COUNT_NONE),
                context.SerializeToString(),
            )
        )

    def request(self, call_id: int, method: str, body: bytes, retry_count: int = 0) -> bytes:
        """The frame of one call. ``body`` is the serialised request."""
        method_header = self._method_headers.get(method)
        if method_header is None:
            method_header = RequestHeaderProto(
                methodName=method,
                declaringClassProtocolName=self._protocol,
                clientProtocolVersion=self._version,
            ).SerializeToString()
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
        return RpcRequestHeaderProto(
            rpcKind=RpcKindProto.RPC_PROTOCOL_BUFFER,
            rpcOp=RpcRequestHeaderProto.RPC_FINAL_PACKET,
            callId=call_id,
            clientId=self.client_id,
            retryCount=retry_count,
        ).SerializeToString()

    def _answer(self, buffer: bytes, start: int, end: int) -> RpcAnswer:
        raw, position = rpc.delimited(buffer, start, end)
        try:
            header = RpcResponseHeaderProto.FromString(raw)
        except DecodeError:
            raise RemoteProtocolError("the header of an RPC answer cannot be decoded") from None
        if header.status == RpcResponseHeaderProto.SUCCESS:
            body, _ = rpc.delimited(buffer, position, end)
            return RpcAnswer(header.callId, body, None)
        error = from_java(header.exceptionClassName, header.errorMsg)
        if header.status == RpcResponseHeaderProto.FATAL:
            raise error
        return RpcAnswer(header.callId, b"", error)
