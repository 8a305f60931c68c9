"""SASL before a data transfer: recognised and declined.

A client that is configured for protected or encrypted transfers begins a connection with a
magic number instead of an operation (Hadoop: ``DataTransferSaslUtil``). This DataNode does
not negotiate, so it says why in the client's own terms and closes.
"""

from __future__ import annotations

from typing import Final

from cairnfs.errors import RemoteProtocolError
from cairnfs.wire.message import delimited
from cairnfs.wire.proto.datatransfer_pb2 import DataTransferEncryptorMessageProto

SASL_MAGIC: Final = b"\xde\xad\xbe\xef"


class SaslNotOffered(RemoteProtocolError):
    """A client wants protection for its transfers. ``last_words`` are to be sent to it."""

    def __init__(self) -> None:
        super().__init__(
            "this DataNode does not negotiate SASL; remove dfs.data.transfer.protection and "
            "dfs.encrypt.data.transfer from the client's configuration"
        )

    @property
    def last_words(self) -> bytes:
        return delimited(
            DataTransferEncryptorMessageProto(
                status=DataTransferEncryptorMessageProto.ERROR, message=str(self)
            )
        )
