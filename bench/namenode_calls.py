"""The calls of the benchmark: encoded for the load generator, or made one by one.

The load generator counts answers and errors; what it did is verified with ``NameNode``.
"""

from __future__ import annotations

import getpass
import os
import socket
from types import TracebackType
from typing import TypeVar

from google.protobuf.message import Message

from bench.rpc_load import PROTOCOL, Call
from cairnfs.wire.proto import client_namenode_pb2 as pb
from cairnfs.wire.proto import hdfs_pb2
from cairnfs.wire.proto.acl_pb2 import FsPermissionProto
from cairnfs.wire.rpc_client import RpcClientConnection

M = TypeVar("M", bound=Message)

HOST = "127.0.0.1"
# No superuser, so that permissions are checked; exists on every Linux.
USER = "nobody"
# Who starts a NameNode is its superuser.
SUPERUSER = getpass.getuser()
BLOCK_BYTES = 128 << 20
_TIMEOUT_S = 180.0
_CREATE = 1
_SAFEMODE_LEAVE, _SAFEMODE_ENTER = 1, 2


class Wrong(Exception):
    """A server answered, and the answer is not what it has to be."""


def file_info(path: str) -> Call:
    return "getFileInfo", pb.GetFileInfoRequestProto(src=path).SerializeToString()


def listing(path: str) -> Call:
    request = pb.GetListingRequestProto(src=path, startAfter=b"", needLocation=False)
    return "getListing", request.SerializeToString()


def block_locations(path: str, length: int = 10 * BLOCK_BYTES) -> Call:
    request = pb.GetBlockLocationsRequestProto(src=path, offset=0, length=length)
    return "getBlockLocations", request.SerializeToString()


def mkdirs(path: str, mode: int = 0o755) -> Call:
    request = pb.MkdirsRequestProto(
        src=path, masked=FsPermissionProto(perm=mode), createParent=True
    )
    return "mkdirs", request.SerializeToString()


def create(path: str, client_name: str, replication: int = 3) -> Call:
    request = pb.CreateRequestProto(
        src=path,
        masked=FsPermissionProto(perm=0o644),
        clientName=client_name,
        createFlag=_CREATE,
        createParent=False,
        replication=replication,
        blockSize=BLOCK_BYTES,
    )
    return "create", request.SerializeToString()


def complete(path: str, client_name: str, last: hdfs_pb2.ExtendedBlockProto | None = None) -> Call:
    request = pb.CompleteRequestProto(src=path, clientName=client_name, last=last)
    return "complete", request.SerializeToString()


def rename(source: str, target: str) -> Call:
    request = pb.Rename2RequestProto(src=source, dst=target, overwriteDest=False)
    return "rename2", request.SerializeToString()


def delete(path: str) -> Call:
    return "delete", pb.DeleteRequestProto(src=path, recursive=True).SerializeToString()


class NameNode:
    """One connection, one call at a time."""

    def __init__(self, port: int, user: str = USER) -> None:
        self._sock = socket.create_connection((HOST, port), timeout=_TIMEOUT_S)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = RpcClientConnection(PROTOCOL, user, os.urandom(16))
        self._sock.sendall(self._wire.hello())
        self._call_id = 0

    def __enter__(self) -> NameNode:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sock.close()

    def call(self, call: Call, answer: type[M]) -> M:
        """Raises the server's error or ``ConnectionError``."""
        self._call_id += 1
        self._sock.sendall(self._wire.request(self._call_id, *call))
        while True:
            data = self._sock.recv(1 << 20)
            if not data:
                raise ConnectionError("the NameNode closed the connection")
            for found in self._wire.receive(data):
                if found.error is not None:
                    raise found.error
                return answer.FromString(found.body)

    def create(self, path: str, client_name: str, replication: int) -> None:
        self.call(create(path, client_name, replication), pb.CreateResponseProto)

    def add_block(
        self, path: str, client_name: str, previous: hdfs_pb2.ExtendedBlockProto | None
    ) -> hdfs_pb2.LocatedBlockProto:
        request = pb.AddBlockRequestProto(src=path, clientName=client_name, previous=previous)
        return self.call(("addBlock", request.SerializeToString()), pb.AddBlockResponseProto).block

    def delete(self, path: str) -> None:
        self.call(delete(path), pb.DeleteResponseProto)

    def mkdirs(self, path: str, mode: int = 0o755) -> None:
        if not self.call(mkdirs(path, mode), pb.MkdirsResponseProto).result:
            raise Wrong(f"mkdirs {path} was answered with false")

    def complete(
        self, path: str, client_name: str, last: hdfs_pb2.ExtendedBlockProto | None = None
    ) -> bool:
        return self.call(complete(path, client_name, last), pb.CompleteResponseProto).result

    def located(self, path: str) -> hdfs_pb2.LocatedBlocksProto:
        """The blocks of a file. Raises ``Wrong`` for one that is not closed."""
        locations = self.call(
            block_locations(path, 1 << 62), pb.GetBlockLocationsResponseProto
        ).locations
        # Of an empty file Hadoop says that its last block is not complete.
        if locations.underConstruction or (locations.blocks and not locations.isLastBlockComplete):
            raise Wrong(f"{path} is still open")
        return locations

    def check_file(self, path: str, length: int) -> None:
        found = self.call(file_info(path), pb.GetFileInfoResponseProto)
        if not found.HasField("fs") or found.fs.length != length:
            raise Wrong(f"{path} should be a file of {length} bytes")

    def check_listing(self, path: str, entries: int) -> None:
        found = self.call(listing(path), pb.GetListingResponseProto).dirList
        if len(found.partialListing) != entries or found.remainingEntries:
            raise Wrong(f"{path} lists {len(found.partialListing)} entries, not {entries}")

    def check_count(self, path: str, *, files: int, directories: int) -> None:
        """``directories`` counts ``path`` itself."""
        call = "getContentSummary", pb.GetContentSummaryRequestProto(path=path)
        found = self.call(
            (call[0], call[1].SerializeToString()), pb.GetContentSummaryResponseProto
        ).summary
        if (found.fileCount, found.directoryCount) != (files, directories):
            raise Wrong(
                f"{path} holds {found.fileCount} files and {found.directoryCount} directories, "
                f"not {files} and {directories}"
            )

    def save_namespace(self) -> None:
        """Write a checkpoint, as a secondary NameNode lets Apache's do from time to time."""
        for action in (_SAFEMODE_ENTER, _SAFEMODE_LEAVE):
            request = pb.SetSafeModeRequestProto(action=action)  # type: ignore[arg-type]
            self.call(("setSafeMode", request.SerializeToString()), pb.SetSafeModeResponseProto)
            if action == _SAFEMODE_ENTER:
                self.call(("saveNamespace", b""), pb.SaveNamespaceResponseProto)
