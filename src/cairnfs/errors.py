"""Every error that Cairn raises on purpose, as one tree.

::

    CairnError
     +-- FileSystemError          a request that cannot be granted (answered to the peer)
     |    +-- NotFound, AlreadyExists, PermissionDenied, ...
     |    +-- SafeMode, StandbyState, RetriableError, ...
     +-- ProtocolError            bytes that break a protocol
     |    +-- RemoteProtocolError the peer's fault: costs its connection, nothing else
     |    +-- LocalProtocolError  our fault: a defect of the caller in this process
     +-- StorageError             a disk, a store, a volume
     |    +-- DiskFull, VolumeFailed, StoreLocked, StoreDamaged, StoreFailed, ChecksumMismatch
     +-- StartupError             a role cannot start; one sentence, exit code 1
     |    +-- ConfigurationError
     +-- TransportError           a peer cannot be reached or went away
          +-- ConnectFailed, ConnectionLost, CallTimeout

Each class carries the Java exception class that Hadoop's clients know it by
(``java_class``), the HTTP status that WebHDFS answers with (``http_status``) and
the exit code of the shell (``exit_code``). :func:`from_java` is the one way back.
"""

from __future__ import annotations

from typing import ClassVar

_REGISTRY: dict[str, type[CairnError]] = {}


class CairnError(Exception):
    """Base of all. ``str(error)`` is one sentence for a person."""

    java_class: ClassVar[str] = "java.io.IOException"
    http_status: ClassVar[int] = 403
    exit_code: ClassVar[int] = 1
    # False: another class owns the way back from this Java class.
    canonical: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "java_class" in cls.__dict__ and cls.__dict__.get("canonical", True):
            _REGISTRY.setdefault(cls.java_class, cls)


def from_java(java_class: str, message: str) -> CairnError:
    """The error for a Java exception name and message as a peer sent them.

    An unknown class becomes :class:`RemoteError`, which keeps the name."""
    # Hadoop sends "message\n\tat stack..."; a person needs the first line only.
    first_line = message.split("\n", 1)[0].strip()
    known = _REGISTRY.get(java_class)
    if known is not None:
        return known(first_line)
    return RemoteError(java_class, first_line)


def sentence_of(error: OSError) -> str:
    """What the operating system refused, for a person: no number, no class name."""
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename is not None else what


# --- requests that cannot be granted ---------------------------------------------------------


class FileSystemError(CairnError):
    """A request was understood and refused."""

    java_class = "java.io.IOException"


class RemoteError(FileSystemError):
    """A peer's error of a class that Cairn has no name for."""

    def __init__(self, java_class: str, message: str) -> None:
        super().__init__(message or java_class)
        self.remote_class = java_class


class NotFound(FileSystemError):
    """No such file or directory."""

    java_class = "java.io.FileNotFoundException"
    http_status = 404


class AlreadyExists(FileSystemError):
    """Something is there already."""

    java_class = "org.apache.hadoop.fs.FileAlreadyExistsException"


class NotADirectory(FileSystemError):
    """A file stands where a directory is needed."""

    java_class = "org.apache.hadoop.fs.ParentNotDirectoryException"


class PathIsNotDirectory(FileSystemError):
    """The path itself should be a directory."""

    java_class = "org.apache.hadoop.fs.PathIsNotDirectoryException"


class DirectoryNotEmpty(FileSystemError):
    """A directory with children cannot go without ``recursive``."""

    java_class = "org.apache.hadoop.fs.PathIsNotEmptyDirectoryException"


class InvalidPath(FileSystemError):
    """A path that no file system could hold."""

    java_class = "org.apache.hadoop.fs.InvalidPathException"
    http_status = 400


class InvalidRequest(FileSystemError):
    """Arguments that make no sense."""

    java_class = "org.apache.hadoop.HadoopIllegalArgumentException"
    http_status = 400


class IllegalArgument(FileSystemError):
    """Arguments that make no sense, as the Java library itself says it."""

    java_class = "java.lang.IllegalArgumentException"
    http_status = 400


class UnsupportedOperation(FileSystemError):
    """The operation is known and not offered here."""

    java_class = "java.lang.UnsupportedOperationException"
    http_status = 400


class PermissionDenied(FileSystemError):
    """The caller's mode bits or role do not suffice."""

    java_class = "org.apache.hadoop.security.AccessControlException"
    http_status = 403


class AuthorizationFailed(FileSystemError):
    """The caller may not use this protocol or impersonate this user."""

    java_class = "org.apache.hadoop.security.authorize.AuthorizationException"
    http_status = 403


class InvalidToken(FileSystemError):
    """A token is unknown, expired or of the wrong kind."""

    java_class = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
    http_status = 403


class StartAfterNotFound(FileSystemError):
    """The entry that a listing should go on behind is gone."""

    java_class = "org.apache.hadoop.fs.DirectoryListingStartAfterNotFoundException"


class NameTooLong(FileSystemError):
    """A path component is longer than the configured limit."""

    java_class = "org.apache.hadoop.hdfs.protocol.FSLimitException$PathComponentTooLongException"


class TooManyEntries(FileSystemError):
    """A directory holds as many children as the configured limit."""

    java_class = (
        "org.apache.hadoop.hdfs.protocol.FSLimitException$MaxDirectoryItemsExceededException"
    )


class NamespaceQuotaExceeded(FileSystemError):
    """A subtree would hold more names than its quota."""

    java_class = "org.apache.hadoop.hdfs.protocol.NSQuotaExceededException"


class SpaceQuotaExceeded(FileSystemError):
    """A subtree would hold more bytes than its quota."""

    java_class = "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException"


class UnresolvedLink(FileSystemError):
    """A path leads through a symlink that the client must follow."""

    java_class = "org.apache.hadoop.fs.UnresolvedLinkException"


class SafeMode(FileSystemError):
    """Changes are refused until enough blocks are known. Clients retry."""

    java_class = "org.apache.hadoop.hdfs.server.namenode.SafeModeException"


class StandbyState(FileSystemError):
    """This NameNode is not the active one. Clients turn to the other."""

    java_class = "org.apache.hadoop.ipc.StandbyException"


class RetriableError(FileSystemError):
    """Try the same call again a little later."""

    java_class = "org.apache.hadoop.ipc.RetriableException"
    http_status = 503


class ServerTooBusy(RetriableError):
    """A queue is full. Clients back off."""

    java_class = "org.apache.hadoop.ipc.RetriableException"
    canonical = False


class NoSuchMethod(FileSystemError):
    """The RPC method is not known here."""

    java_class = "org.apache.hadoop.ipc.RpcNoSuchMethodException"


class NoSuchProtocol(FileSystemError):
    """The RPC protocol is not known here."""

    java_class = "org.apache.hadoop.ipc.RpcNoSuchProtocolException"


class VersionMismatch(FileSystemError):
    """The peer speaks another version of an RPC protocol."""

    java_class = "org.apache.hadoop.ipc.RPC$VersionMismatch"


class UnregisteredNode(FileSystemError):
    """A DataNode that this NameNode does not know must register first."""

    java_class = "org.apache.hadoop.hdfs.protocol.UnregisteredNodeException"


class DisallowedDatanode(FileSystemError):
    """The include and exclude files do not let this DataNode in."""

    java_class = "org.apache.hadoop.hdfs.server.protocol.DisallowedDatanodeException"


class IncorrectVersion(FileSystemError):
    """A DataNode's software or layout does not fit."""

    java_class = "org.apache.hadoop.hdfs.server.common.IncorrectVersionException"


class LeaseExpired(FileSystemError):
    """The caller holds no lease on the file (any more)."""

    java_class = "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException"


class AlreadyBeingCreated(FileSystemError):
    """Another client holds the lease."""

    java_class = "org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException"


class RecoveryInProgress(FileSystemError):
    """The file's last block is being recovered. Clients retry."""

    java_class = "org.apache.hadoop.hdfs.protocol.RecoveryInProgressException"


class NotReplicatedYet(FileSystemError):
    """The block before has not reached its minimum replication. Clients retry."""

    java_class = "org.apache.hadoop.hdfs.server.namenode.NotReplicatedYetException"


class ReplicaNotFound(FileSystemError):
    """This DataNode has no such replica."""

    java_class = "org.apache.hadoop.hdfs.server.datanode.ReplicaNotFoundException"
    http_status = 404


class ReplicaAlreadyExists(FileSystemError):
    """This DataNode holds the replica already."""

    java_class = "org.apache.hadoop.hdfs.server.datanode.ReplicaAlreadyExistsException"


class RecoveryImpossible(FileSystemError):
    """The replicas of a block allow no safe recovery (now). It is ordered again later."""


class InvalidBlockReportLease(FileSystemError):
    """A full block report came without a lease that is in force."""

    java_class = "org.apache.hadoop.hdfs.server.protocol.InvalidBlockReportLeaseException"


class InvalidEncryptionKey(FileSystemError):
    """The data-transfer encryption key is unknown or old."""

    java_class = "org.apache.hadoop.hdfs.protocol.datatransfer.InvalidEncryptionKeyException"


# --- bytes that break a protocol -------------------------------------------------------------


class ProtocolError(CairnError):
    """A message that the protocol does not allow."""

    http_status = 400


class RemoteProtocolError(ProtocolError):
    """The peer sent what it may not send. It costs the peer its connection."""

    java_class = "org.apache.hadoop.ipc.RpcServerException"
    canonical = False


class LocalProtocolError(ProtocolError):
    """This process asked for a message that the protocol does not allow."""


# --- storage ---------------------------------------------------------------------------------


class StorageError(CairnError):
    """A disk, a store or a volume failed."""

    http_status = 500


class DiskFull(StorageError):
    """No room for another replica."""

    java_class = "org.apache.hadoop.util.DiskChecker$DiskOutOfSpaceException"


class VolumeFailed(StorageError):
    """A volume cannot be read or written."""

    java_class = "org.apache.hadoop.util.DiskChecker$DiskErrorException"


class StoreLocked(StorageError):
    """Another process uses the directory."""


class StoreDamaged(StorageError):
    """What was stored cannot be read back whole."""


class StoreFailed(StorageError):
    """A store and its disk may differ: nothing more can be promised, the process must stop."""


class ChecksumMismatch(StorageError):
    """Data and checksum differ."""

    java_class = "org.apache.hadoop.fs.ChecksumException"


# --- starting --------------------------------------------------------------------------------


class StartupError(CairnError):
    """A role cannot start. The message says what to do."""


class ConfigurationError(StartupError):
    """A configuration value is wrong; the message names file, key and value."""


# --- reaching peers --------------------------------------------------------------------------


class TransportError(CairnError):
    """A peer cannot be reached, or went away."""

    http_status = 503


class ConnectFailed(TransportError):
    """No connection could be made."""

    java_class = "java.net.ConnectException"


class ConnectionLost(TransportError):
    """The connection broke in the middle of something."""

    java_class = "java.io.EOFException"


class CallTimeout(TransportError):
    """No answer came in time."""

    java_class = "java.net.SocketTimeoutException"
