"""Writing files: create, append, addBlock, complete, and what a lost writer leaves."""

from __future__ import annotations

from cairnfs.namenode.client_protocol import PROTOCOL
from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namenode.turn import Turn
from cairnfs.namespace import creating, pipeline, recovery, truncating, writing
from cairnfs.net.rpc_server import LATER, Answer, ServerCall
from cairnfs.types import Block, Caller, CreateFlag, LocatedBlock
from cairnfs.wire.codec import (
    decode_extended_block,
    decode_permission,
    encode_file_status,
    encode_located_block,
    parse,
)
from cairnfs.wire.namenode_answers import RESULT_FALSE, RESULT_TRUE
from cairnfs.wire.proto import client_namenode_pb2 as pb

TABLE = MethodTable(PROTOCOL)


@TABLE.change("create", pb.CreateRequestProto, at_most_once=True)
def create(system: Namesystem, request: pb.CreateRequestProto, caller: Caller, turn: Turn) -> bytes:
    result = creating.create(
        system.namespace,
        turn.namespace,
        system.replica_view(turn),
        caller,
        turn.now_ms,
        request.src,
        decode_permission(request.masked),
        request.clientName,
        CreateFlag(request.createFlag),
        create_parent=request.createParent,
        replication=request.replication,
        block_size=request.blockSize,
    )
    if isinstance(result, recovery.Refused):
        raise system.effects.refuse(turn, result)
    system.effects.remove(turn, result.removed_blocks)
    system.audit("create", caller, request.src)
    return system.statuses.created(turn.namespace, result.value, result.storage_policy)


@TABLE.change("append", pb.AppendRequestProto, at_most_once=True)
def append(
    system: Namesystem, request: pb.AppendRequestProto, caller: Caller, turn: Turn
) -> pb.AppendResponseProto:
    new_block = bool(request.flag & CreateFlag.NEW_BLOCK)
    result = creating.append(
        system.namespace,
        turn.namespace,
        system.replica_view(turn),
        caller,
        turn.now_ms,
        request.src,
        request.clientName,
        new_block=new_block,
    )
    if isinstance(result, recovery.Refused):
        raise system.effects.refuse(turn, result)
    system.effects.remove(turn, result.removed_blocks)
    response = pb.AppendResponseProto(stat=encode_file_status(result.status))
    if result.block is not None:
        if not result.new_block:
            system.effects.reopened(turn, result.block, result.status.block_size)
        located = system.effects.located(turn, result.block, caller.address)
        response.block.CopyFrom(encode_located_block(located))
    system.audit("append", caller, request.src)
    return response


@TABLE.change("addBlock", pb.AddBlockRequestProto)
def add_block(
    system: Namesystem, request: pb.AddBlockRequestProto, caller: Caller, turn: Turn
) -> pb.AddBlockResponseProto:
    previous = _own_block(system, request.previous) if request.HasField("previous") else None
    arguments = (caller, request.src, request.fileId, request.clientName, previous)
    plan = writing.check_add_block(system.namespace, turn.namespace, *arguments)
    located = system.effects.retried_block(turn, plan)
    if located is None:
        targets = system.effects.choose_targets(
            plan.facts,
            request.src,
            excluded=[node.id.datanodeUuid for node in request.excludeNodes],
            favoured=list(request.favoredNodes),
            local=not _no_local(request),
        )
        added = writing.add_block(
            system.namespace, turn.namespace, system.replica_view(turn), *arguments
        )
        if added.previous is not None:
            system.effects.committed(turn, added.previous)
        located = system.effects.begin_block(turn, added.block, plan.facts.block_size, targets)
    return pb.AddBlockResponseProto(block=encode_located_block(located))


def _no_local(request: pb.AddBlockRequestProto) -> bool:
    return pb.NO_LOCAL_WRITE in request.flags or pb.IGNORE_CLIENT_LOCALITY in request.flags


@TABLE.change("getAdditionalDatanode", pb.GetAdditionalDatanodeRequestProto)
def get_additional_datanode(
    system: Namesystem,
    request: pb.GetAdditionalDatanodeRequestProto,
    caller: Caller,
    turn: Turn,
) -> pb.GetAdditionalDatanodeResponseProto:
    block = decode_extended_block(request.blk)
    system.check_pool(block.pool_id)
    facts = writing.writer_facts(
        system.namespace,
        turn.namespace,
        caller,
        request.src,
        request.fileId,
        request.clientName,
    )
    existing = [node.id.datanodeUuid for node in request.existings]
    located = system.effects.additional(
        facts,
        request.src,
        block,
        existing=list(zip(existing, request.existingStorageUuids, strict=False)),
        excluded=[node.id.datanodeUuid for node in request.excludes],
        wanted=request.numAdditionalNodes,
    )
    return pb.GetAdditionalDatanodeResponseProto(block=encode_located_block(located))


@TABLE.change("abandonBlock", pb.AbandonBlockRequestProto)
def abandon_block(
    system: Namesystem, request: pb.AbandonBlockRequestProto, caller: Caller, turn: Turn
) -> pb.AbandonBlockResponseProto:
    removed = writing.abandon_block(
        system.namespace,
        turn.namespace,
        caller,
        request.src,
        request.fileId,
        request.holder,
        _own_block(system, request.b),
    )
    if removed is not None:
        system.effects.remove(turn, [removed])
    return pb.AbandonBlockResponseProto()


def complete(system: Namesystem, raw: bytes, call: ServerCall) -> Answer:
    """Close a file. While its last replicas are on their way the answer is held back for a
    moment: a client that is told "not yet" sleeps 400 ms (DESIGN section 1)."""
    request = parse(pb.CompleteRequestProto, raw)
    last = _own_block(system, request.last) if request.HasField("last") else None
    deadline_ms = system.clock.steady_ms() + system.complete_hold_ms

    def operation(turn: Turn) -> bytes | None:
        system.check_safe_mode("complete")
        result = writing.complete(
            system.namespace,
            turn.namespace,
            system.replica_view(turn),
            call.caller,
            turn.now_ms,
            request.src,
            request.fileId,
            request.clientName,
            last,
        )
        if result.done:
            system.effects.closed(turn, result.inode_id)
            return RESULT_TRUE
        # For one at a time: whoever waited for two would be answered twice.
        system.held.wait(result.waiting_for[0].block_id, deadline_ms, attempt)
        return None

    def settle(answer: bytes | None, error: BaseException | None) -> None:
        if error is not None:
            system.refused("complete", call.caller, error)
            call.fail(error)
        elif answer is not None:
            call.reply(answer)

    def attempt(timed_out: bool) -> None:
        if timed_out:
            call.reply(RESULT_FALSE)
        else:
            system.writer.submit(operation, settle)

    system.writer.submit(operation, settle)
    return LATER


TABLE.direct("complete", complete)


@TABLE.change("fsync", pb.FsyncRequestProto)
def fsync(
    system: Namesystem, request: pb.FsyncRequestProto, caller: Caller, turn: Turn
) -> pb.FsyncResponseProto:
    writing.fsync(
        system.namespace,
        turn.namespace,
        caller,
        request.src,
        request.fileId,
        request.client,
        request.lastBlockLength,
    )
    return pb.FsyncResponseProto()


@TABLE.change("updateBlockForPipeline", pb.UpdateBlockForPipelineRequestProto)
def update_block_for_pipeline(
    system: Namesystem, request: pb.UpdateBlockForPipelineRequestProto, caller: Caller, turn: Turn
) -> pb.UpdateBlockForPipelineResponseProto:
    block = _own_block(system, request.block)
    updated = pipeline.update_block_for_pipeline(turn.namespace, block, request.clientName)
    located = LocatedBlock(system.extended(updated), 0, ())
    return pb.UpdateBlockForPipelineResponseProto(block=encode_located_block(located))


@TABLE.change("updatePipeline", pb.UpdatePipelineRequestProto, at_most_once=True)
def update_pipeline(
    system: Namesystem, request: pb.UpdatePipelineRequestProto, caller: Caller, turn: Turn
) -> pb.UpdatePipelineResponseProto:
    updated = pipeline.update_pipeline(
        turn.namespace,
        request.clientName,
        _own_block(system, request.oldBlock),
        _own_block(system, request.newBlock),
    )
    system.effects.pipeline_updated(
        turn,
        updated.block,
        [node.datanodeUuid for node in request.newNodes],
        list(request.storageIDs),
    )
    return pb.UpdatePipelineResponseProto()


@TABLE.read("renewLease", pb.RenewLeaseRequestProto)
def renew_lease(
    system: Namesystem, request: pb.RenewLeaseRequestProto, caller: Caller
) -> pb.RenewLeaseResponseProto:
    # In memory only: renewals come every 30 s from every writer and must cost no write.
    system.namespace.leases.renew(request.clientName, system.clock.now_ms())
    return pb.RenewLeaseResponseProto()


@TABLE.change("recoverLease", pb.RecoverLeaseRequestProto)
def recover_lease(
    system: Namesystem, request: pb.RecoverLeaseRequestProto, caller: Caller, turn: Turn
) -> pb.RecoverLeaseResponseProto:
    release = recovery.recover_lease(
        system.namespace,
        turn.namespace,
        system.replica_view(turn),
        caller,
        turn.now_ms,
        request.src,
        request.clientName,
    )
    system.effects.released(turn, release)
    system.audit("recoverLease", caller, request.src)
    closed = release.outcome is recovery.Outcome.CLOSED
    return pb.RecoverLeaseResponseProto(result=closed)


@TABLE.change("truncate", pb.TruncateRequestProto, at_most_once=True)
def truncate(
    system: Namesystem, request: pb.TruncateRequestProto, caller: Caller, turn: Turn
) -> pb.TruncateResponseProto:
    result = truncating.truncate(
        system.namespace,
        turn.namespace,
        system.replica_view(turn),
        caller,
        turn.now_ms,
        request.src,
        request.newLength,
        request.clientName,
    )
    if isinstance(result, recovery.Refused):
        raise system.effects.refuse(turn, result)
    system.effects.remove(turn, result.removed_blocks)
    if result.recovery is not None:
        system.effects.recover(turn, result.recovery)
    system.audit("truncate", caller, request.src)
    return pb.TruncateResponseProto(result=result.done)


def _own_block(system: Namesystem, message: object) -> Block:
    block = decode_extended_block(message)  # type: ignore[arg-type]
    system.check_pool(block.pool_id)
    return block.block
