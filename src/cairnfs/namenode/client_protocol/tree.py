"""Names and attributes: mkdirs, rename, delete, chmod and their like."""

from __future__ import annotations

from cairnfs.errors import InvalidRequest
from cairnfs.namenode.client_protocol import PROTOCOL
from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namenode.turn import Turn
from cairnfs.namespace import attributes, concat, deleting, mkdirs, renaming
from cairnfs.types import Caller
from cairnfs.wire.codec import decode_permission
from cairnfs.wire.message import signed64
from cairnfs.wire.namenode_answers import RESULT_FALSE, RESULT_TRUE
from cairnfs.wire.proto import client_namenode_pb2 as pb

TABLE = MethodTable(PROTOCOL)


@TABLE.change("mkdirs", pb.MkdirsRequestProto)
def make_directories(
    system: Namesystem, request: pb.MkdirsRequestProto, caller: Caller, turn: Turn
) -> bytes:
    mkdirs.mkdirs(
        system.namespace,
        turn.namespace,
        caller,
        turn.now_ms,
        request.src,
        decode_permission(request.masked),
        create_parent=request.createParent,
    )
    system.audit("mkdirs", caller, request.src)
    return RESULT_TRUE


@TABLE.change("delete", pb.DeleteRequestProto, at_most_once=True)
def delete(system: Namesystem, request: pb.DeleteRequestProto, caller: Caller, turn: Turn) -> bytes:
    result = deleting.delete(
        system.namespace,
        turn.namespace,
        caller,
        turn.now_ms,
        request.src,
        recursive=request.recursive,
    )
    system.effects.remove(turn, result.removed_blocks)
    system.audit("delete", caller, request.src)
    return RESULT_TRUE if result.deleted else RESULT_FALSE


@TABLE.change("rename", pb.RenameRequestProto, at_most_once=True)
def rename(system: Namesystem, request: pb.RenameRequestProto, caller: Caller, turn: Turn) -> bytes:
    result = renaming.rename(
        system.namespace, turn.namespace, caller, turn.now_ms, request.src, request.dst
    )
    system.audit("rename", caller, request.src, request.dst)
    return RESULT_TRUE if result.renamed else RESULT_FALSE


@TABLE.change("rename2", pb.Rename2RequestProto, at_most_once=True)
def rename2(
    system: Namesystem, request: pb.Rename2RequestProto, caller: Caller, turn: Turn
) -> pb.Rename2ResponseProto:
    options = renaming.RenameOption.NONE
    if request.overwriteDest:
        options |= renaming.RenameOption.OVERWRITE
    if request.moveToTrash:
        options |= renaming.RenameOption.TO_TRASH
    result = renaming.rename2(
        system.namespace,
        turn.namespace,
        caller,
        turn.now_ms,
        request.src,
        request.dst,
        options,
    )
    system.effects.remove(turn, result.removed_blocks)
    system.audit("rename", caller, request.src, request.dst)
    return pb.Rename2ResponseProto()


@TABLE.change("setPermission", pb.SetPermissionRequestProto)
def set_permission(
    system: Namesystem, request: pb.SetPermissionRequestProto, caller: Caller, turn: Turn
) -> pb.SetPermissionResponseProto:
    attributes.set_permission(
        system.namespace, turn.namespace, caller, request.src, decode_permission(request.permission)
    )
    system.audit("setPermission", caller, request.src)
    return pb.SetPermissionResponseProto()


@TABLE.change("setOwner", pb.SetOwnerRequestProto)
def set_owner(
    system: Namesystem, request: pb.SetOwnerRequestProto, caller: Caller, turn: Turn
) -> pb.SetOwnerResponseProto:
    attributes.set_owner(
        system.namespace,
        turn.namespace,
        caller,
        request.src,
        # The Go client sends the name that it does not mean to change as an empty one.
        request.username or None,
        request.groupname or None,
    )
    system.audit("setOwner", caller, request.src)
    return pb.SetOwnerResponseProto()


@TABLE.change("setTimes", pb.SetTimesRequestProto)
def set_times(
    system: Namesystem, request: pb.SetTimesRequestProto, caller: Caller, turn: Turn
) -> pb.SetTimesResponseProto:
    attributes.set_times(
        system.namespace,
        turn.namespace,
        caller,
        request.src,
        signed64(request.mtime),
        signed64(request.atime),
    )
    system.audit("setTimes", caller, request.src)
    return pb.SetTimesResponseProto()


@TABLE.change("setReplication", pb.SetReplicationRequestProto)
def set_replication(
    system: Namesystem, request: pb.SetReplicationRequestProto, caller: Caller, turn: Turn
) -> bytes:
    result = attributes.set_replication(
        system.namespace, turn.namespace, caller, request.src, request.replication
    )
    if result.old != result.new:
        system.effects.replication_changed(turn, result.inode_id)
    system.audit("setReplication", caller, request.src)
    return RESULT_TRUE if result.is_file else RESULT_FALSE


@TABLE.change("concat", pb.ConcatRequestProto, at_most_once=True)
def concatenate(
    system: Namesystem, request: pb.ConcatRequestProto, caller: Caller, turn: Turn
) -> pb.ConcatResponseProto:
    if not request.srcs:
        raise InvalidRequest(f"concat to {request.trg} names no source")
    result = concat.concat(
        system.namespace, turn.namespace, caller, turn.now_ms, request.trg, list(request.srcs)
    )
    if result.replication_changed:
        system.effects.replication_changed(turn, result.inode_id)
    system.audit("concat", caller, ",".join(request.srcs), request.trg)
    return pb.ConcatResponseProto()
