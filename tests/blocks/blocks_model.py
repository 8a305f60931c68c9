"""A whole cluster as plain objects: DataNodes that do what they are told, a namespace that is
a dict, a network that delivers late, twice or not at all. Nothing here decides anything.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cairnfs.blocks import tables
from cairnfs.blocks.commands import LENGTH_NO_ACK, Invalidate, RecoverBlocks, Register, Transfer
from cairnfs.blocks.full_report import FullReport
from cairnfs.blocks.incremental import ChangeStatus, ReplicaChange
from cairnfs.blocks.manager import BlockManager
from cairnfs.blocks.notices import BlockReachedMinimum, Notice
from cairnfs.blocks.registry import Heartbeat
from cairnfs.blocks.report import ReportedReplicas
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.targets import TargetRequest
from cairnfs.blocks.turn import Turn
from cairnfs.errors import FileSystemError, InvalidBlockReportLease
from cairnfs.store.memory import MemoryStore
from cairnfs.types import (
    GENERATION_STAMP_FIRST,
    Block,
    BlockFacts,
    BlockState,
    DatanodeID,
    DatanodeStorage,
    Replica,
    ReplicaState,
    StorageReport,
    StorageType,
)

POOL = "BP-1-127.0.0.1-1"
BLOCK_BYTES = 1 << 20
CAPACITY = 1 << 34


class DictCatalog:
    """The namespace's blocks as a dict."""

    def __init__(self) -> None:
        self.blocks: dict[int, BlockFacts] = {}
        self.stamp = GENERATION_STAMP_FIRST

    def get(self, block_id: int, /) -> BlockFacts | None:
        return self.blocks.get(block_id)

    def scan(self, after: int, /) -> Iterator[BlockFacts]:
        for block_id in sorted(self.blocks):
            if block_id > after:
                yield self.blocks[block_id]

    def complete_count(self) -> int:
        return sum(facts.state == BlockState.COMPLETE for facts in self.blocks.values())

    def last_generation_stamp(self) -> int:
        return self.stamp

    def next_stamp(self) -> int:
        self.stamp += 1
        return self.stamp


@dataclass(slots=True)
class DiskReplica:
    """``rotten``: its bytes are wrong, whether or not anybody knows."""

    stamp: int
    num_bytes: int
    state: ReplicaState
    rotten: bool = False


@dataclass(slots=True)
class ModelDatanode:
    """A DataNode: disks, an ordered list of changes to report, orders to carry out."""

    id: DatanodeID
    disks: dict[str, dict[int, DiskReplica]]
    up: bool = True
    registered: bool = False
    lease_id: int = 0
    reported: bool = False
    changes: deque[tuple[str, ReplicaChange]] = field(default_factory=deque)
    orders: deque[object] = field(default_factory=deque)
    failed: set[str] = field(default_factory=set)
    # What was reported and taken since it registered: it may arrive once more.
    sent: list[tuple[str, ReplicaChange]] = field(default_factory=list)

    @property
    def uuid(self) -> str:
        return self.id.datanode_uuid

    def find(self, block_id: int) -> tuple[str, DiskReplica] | None:
        for storage_uuid, disk in self.disks.items():
            if block_id in disk:
                return storage_uuid, disk[block_id]
        return None

    def put(self, storage_uuid: str, block: Block, state: ReplicaState) -> None:
        if storage_uuid not in self.disks or storage_uuid in self.failed:
            storage_uuid = next(uuid for uuid in self.disks if uuid not in self.failed)
        held = self.find(block.block_id)
        if held is not None:
            storage_uuid = held[0]
        self.disks[storage_uuid][block.block_id] = DiskReplica(
            block.generation_stamp, block.num_bytes, state
        )
        status = (
            ChangeStatus.RECEIVED if state == ReplicaState.FINALIZED else ChangeStatus.RECEIVING
        )
        self.changes.append((storage_uuid, ReplicaChange(block, status)))

    def snapshot(self, storage_uuid: str) -> ReportedReplicas:
        return ReportedReplicas.of(
            Replica(Block(block_id, one.stamp, one.num_bytes), one.state)
            for block_id, one in self.disks[storage_uuid].items()
        )


class ModelCluster:
    """A BlockManager over a memory store, and the world around it.

    ``check_removals`` asserts at every hand-out that removing is safe."""

    def __init__(
        self, settings: BlockSettings, seed: int = 1, racks: int = 1, disks: int = 1
    ) -> None:
        self.settings = settings
        self.random = random.Random(seed)
        self.racks = racks
        self.disks = disks
        self.store = MemoryStore()
        self.catalog = DictCatalog()
        self.now_ms = 1_000_000
        self.nodes: dict[str, ModelDatanode] = {}
        self.next_block_id = 1 << 30
        self.notices: list[Notice] = []
        self.locations: dict[str, str] = {}
        self.reports: list[tuple[ModelDatanode, FullReport]] = []
        # Removals handed out and not carried out: (node, block id).
        self.on_the_way: set[tuple[str, int]] = set()
        self.start(survived=True)

    # --- the NameNode --------------------------------------------------------------------------

    def start(self, *, survived: bool) -> None:
        """A NameNode process begins, with or without the replica map of the last one."""
        if not survived:
            self.store = MemoryStore()
        self.manager = BlockManager(self.settings, POOL, self.random, resolve=self.locations.get)
        self.reports.clear()
        with self.turn() as turn:
            self.manager.load(turn, survived=survived)

    def turn(self) -> _OpenTurn:
        return _OpenTurn(self)

    def tick(self, ms: int = 0) -> None:
        """Time passes; the NameNode does its periodic work."""
        self.now_ms += ms
        with self.turn() as turn:
            self.manager.check_liveness(turn)
            self.manager.check_redundancy(turn)
        with self.turn() as turn:
            self.manager.work(turn, 5)
        self.take_notices()

    def take_notices(self) -> None:
        for notice in self.manager.take_notices():
            self.notices.append(notice)
            if isinstance(notice, BlockReachedMinimum):
                self.complete(notice.block_id)

    # --- files ---------------------------------------------------------------------------------

    def open_block(self, replication: int) -> BlockFacts | None:
        """A writer asks for a block; None if there is nowhere to write it."""
        request = TargetRequest("/f", replication, BLOCK_BYTES)
        try:
            targets = self.manager.choose_targets(request).targets
        except FileSystemError:
            return None
        self.next_block_id += 1
        facts = BlockFacts(
            self.next_block_id,
            self.catalog.next_stamp(),
            0,
            replication,
            BlockState.UNDER_CONSTRUCTION,
        )
        self.catalog.blocks[facts.block_id] = facts
        with self.turn() as turn:
            self.manager.allocated(turn, facts, BLOCK_BYTES, targets)
        for target in targets:
            node = self.nodes[target.node.uuid]
            if node.up:
                node.put(
                    target.uuid,
                    Block(facts.block_id, facts.generation_stamp, 0),
                    ReplicaState.RBW,
                )
        return facts

    def finish_block(self, facts: BlockFacts, num_bytes: int = BLOCK_BYTES) -> None:
        """The writer's last packet is in: replicas are finalised, the block committed."""
        block = Block(facts.block_id, facts.generation_stamp, num_bytes)
        holders = [
            (node, held)
            for node in self.nodes.values()
            if node.up
            and (held := node.find(facts.block_id)) is not None
            and held[1].stamp == facts.generation_stamp
        ]
        if not holders:
            return
        for node, (storage_uuid, _) in holders:
            node.put(storage_uuid, block, ReplicaState.FINALIZED)
        self.commit(facts, num_bytes)

    def commit(self, facts: BlockFacts, num_bytes: int) -> None:
        facts = replace(facts, num_bytes=num_bytes, state=BlockState.COMMITTED)
        self.catalog.blocks[facts.block_id] = facts
        with self.turn() as turn:
            good = self.manager.committed(turn, facts)
        if good >= self.settings.replication_min:
            self.complete(facts.block_id)

    def complete(self, block_id: int) -> None:
        facts = self.catalog.blocks.get(block_id)
        if facts is not None and facts.state == BlockState.COMMITTED:
            facts = replace(facts, state=BlockState.COMPLETE)
            self.catalog.blocks[block_id] = facts
            with self.turn() as turn:
                self.manager.completed(turn, facts)

    def write(self, replication: int) -> BlockFacts | None:
        facts = self.open_block(replication)
        if facts is not None:
            self.finish_block(facts)
        return facts

    def set_replication(self, block_id: int, replication: int) -> None:
        facts = self.catalog.blocks[block_id]
        self.catalog.blocks[block_id] = replace(facts, replication=replication)
        with self.turn() as turn:
            self.manager.replication_changed(turn, [block_id])

    def delete(self, block_id: int) -> None:
        facts = self.catalog.blocks.pop(block_id)
        block = Block(block_id, facts.generation_stamp, facts.num_bytes)
        with self.turn() as turn:
            self.manager.removed(turn, [block])

    # --- DataNodes -----------------------------------------------------------------------------

    def add_node(self) -> ModelDatanode:
        number = len(self.nodes) + 1
        host = f"10.0.0.{number}"
        self.locations[host] = f"/rack{number % self.racks}"
        uuid = f"dn-{number}"
        node_id = DatanodeID(host, host, uuid, 9866, 9864, 9867)
        disks: dict[str, dict[int, DiskReplica]] = {
            f"DS-{number}-{disk}": {} for disk in range(self.disks)
        }
        node = self.nodes[uuid] = ModelDatanode(node_id, disks)
        self.register(node)
        return node

    def register(self, node: ModelDatanode) -> None:
        # A DataNode carries out (or drops) what it was told before it registers anew.
        while node.orders:
            self.carry_out(node)
        self.on_the_way = {key for key in self.on_the_way if key[0] != node.uuid}
        with self.turn() as turn:
            self.manager.register(turn, node.id, "3.4.2")
        node.registered = True
        node.reported = False
        node.lease_id = 0
        node.sent.clear()

    def stop(self, node: ModelDatanode) -> None:
        """The process ends: what it was told and had not done or said is forgotten."""
        node.up = False
        node.orders.clear()
        node.changes.clear()
        self.on_the_way = {key for key in self.on_the_way if key[0] != node.uuid}

    def restart(self, node: ModelDatanode, *, wiped: bool = False) -> None:
        for disk in node.disks.values():
            if wiped:
                disk.clear()
            for replica in disk.values():
                if replica.state == ReplicaState.RBW:
                    replica.state = ReplicaState.RWR
        node.up = True
        self.register(node)

    def heartbeat(self, node: ModelDatanode, *, reply_lost: bool = False) -> None:
        if not node.up:
            return
        beat = Heartbeat(
            node.uuid,
            tuple(
                StorageReport(
                    DatanodeStorage(storage_uuid, storage_type=StorageType.DISK),
                    storage_uuid in node.failed,
                    CAPACITY,
                    len(disk) * BLOCK_BYTES,
                    CAPACITY - len(disk) * BLOCK_BYTES,
                    len(disk) * BLOCK_BYTES,
                )
                for storage_uuid, disk in node.disks.items()
            ),
            wants_report_lease=not node.reported,
        )
        with self.turn() as turn:
            reply = self.manager.heartbeat(turn, beat)
        for command in reply.commands:
            if isinstance(command, Invalidate):
                self.check_removals(node, command)
        if reply_lost:
            return
        if reply.report_lease_id:
            node.lease_id = reply.report_lease_id
        for command in reply.commands:
            if isinstance(command, Register):
                self.register(node)
            else:
                node.orders.append(command)

    def check_removals(self, node: ModelDatanode, command: Invalidate) -> None:
        """A good replica may be removed only while as many others as are wanted are there,
        on nodes that were heard of lately, and are not being removed themselves."""
        for block in command.blocks:
            facts = self.catalog.get(block.block_id)
            held = node.find(block.block_id)
            if facts is None or held is None or facts.state != BlockState.COMPLETE:
                continue
            if held[1].stamp != block.generation_stamp:
                continue  # it will refuse
            key = (node.uuid, block.block_id)
            others = [
                other
                for other in self.nodes.values()
                if other is not node
                and self.is_valid(other, facts)
                and (known := self.manager.registry.nodes.get(other.uuid)) is not None
                and not known.stale
                and (other.uuid, block.block_id) not in self.on_the_way
            ]
            known_bad = self.known_bad(node, block.block_id)
            wanted = 1 if known_bad else facts.replication
            assert len(others) >= wanted, (
                f"{node.uuid} is told to remove block {block.block_id} "
                f"(replication {facts.replication}, bad: {known_bad}) while only "
                f"{[other.uuid for other in others]} hold it"
            )
            self.on_the_way.add(key)

    def is_valid(self, node: ModelDatanode, facts: BlockFacts) -> bool:
        """Whether a node holds what ought to be a good replica (rot is nobody's order)."""
        held = node.find(facts.block_id)
        return (
            held is not None
            and held[0] not in node.failed
            and held[1].state == ReplicaState.FINALIZED
            and held[1].stamp == facts.generation_stamp
            and held[1].num_bytes == facts.num_bytes
        )

    def known_bad(self, node: ModelDatanode, block_id: int) -> bool:
        known = self.manager.parts.corrupt.of(block_id)
        indexes = {one.index for one in self.manager.registry.nodes[node.uuid].storages.values()}
        return not indexes.isdisjoint(known)

    def carry_out(self, node: ModelDatanode) -> None:
        """Do the oldest order."""
        order = node.orders.popleft()
        if isinstance(order, Transfer):
            for transfer in order.orders:
                self._transfer(node, transfer.block.block, transfer)
        elif isinstance(order, Invalidate):
            for block in order.blocks:
                self._remove(node, block)
        else:
            assert isinstance(order, RecoverBlocks), order

    def _transfer(self, node: ModelDatanode, block: Block, transfer: object) -> None:
        held = node.find(block.block_id)
        if held is None or held[1].stamp != block.generation_stamp or held[0] in node.failed:
            return
        if held[1].rotten:
            # Its checksums do not fit: the copy fails and is reported.
            self.report_bad(node, block.block_id)
            return
        for target, storage_uuid in zip(
            transfer.targets,
            transfer.target_storage_ids,
            strict=True,  # type: ignore[attr-defined]
        ):
            other = self.nodes[target.id.datanode_uuid]
            if other.up and other.find(block.block_id) is None and storage_uuid not in other.failed:
                other.put(storage_uuid, block, ReplicaState.FINALIZED)

    def report_bad(self, node: ModelDatanode, block_id: int) -> bool:
        """A scanner, a reader or a failed copy found a replica bad; whether it is known."""
        held = node.find(block_id)
        assert held is not None
        block = Block(block_id, held[1].stamp, held[1].num_bytes)
        with self.turn() as turn:
            return self.manager.report_bad_replica(turn, block, node.uuid, "checksum error")

    def _remove(self, node: ModelDatanode, block: Block) -> None:
        self.on_the_way.discard((node.uuid, block.block_id))
        held = node.find(block.block_id)
        if held is None or held[1].stamp != block.generation_stamp:
            return
        del node.disks[held[0]][block.block_id]
        if block.num_bytes != LENGTH_NO_ACK:
            change = ReplicaChange(block, ChangeStatus.DELETED)
            node.changes.append((held[0], change))

    def send_changes(self, node: ModelDatanode, count: int = 1000, *, twice: bool = False) -> None:
        """Report changes in order; ``twice``: the answer is lost, and they are sent again."""
        if not node.up or not node.registered:
            return
        batch = [node.changes[at] for at in range(min(count, len(node.changes)))]
        if not batch:
            return
        for _ in range(2 if twice else 1):
            try:
                with self.turn() as turn:
                    for storage_uuid, change in batch:
                        self.manager.incremental_report(
                            turn, node.uuid, DatanodeStorage(storage_uuid), [change]
                        )
            except FileSystemError:
                return
        for _ in batch:
            node.sent.append(node.changes.popleft())
        self.take_notices()

    def replay(self, node: ModelDatanode, at: int) -> None:
        """An old report arrives once more, unless that very replica is awaited."""
        if not node.registered or not node.sent:
            return
        storage_uuid, change = node.sent[at % len(node.sent)]
        known = self.manager.registry.nodes.get(node.uuid)
        if (
            known is None
            or not known.registered
            or self.manager.parts.intents.expected(change.block.block_id, known)
        ):
            return
        held = node.find(change.block.block_id)
        if held is not None and held[1].rotten:
            return  # it would be found anew by the next scan only
        with self.turn() as turn:
            self.manager.incremental_report(
                turn, node.uuid, DatanodeStorage(storage_uuid), [change]
            )
        self.take_notices()

    def begin_report(self, node: ModelDatanode) -> None:
        """A full report is made and sent; it is taken in later, slice by slice."""
        if not node.up or not node.registered or not node.lease_id:
            return
        self.send_changes(node)
        working = [uuid for uuid in node.disks if uuid not in node.failed]
        for storage_uuid in working:
            try:
                with self.turn() as turn:
                    report = self.manager.full_report(
                        turn,
                        node.uuid,
                        DatanodeStorage(storage_uuid),
                        node.snapshot(storage_uuid),
                        node.lease_id,
                        last_of_node=storage_uuid == working[-1],
                    )
            except (FileSystemError, InvalidBlockReportLease):
                node.lease_id = 0
                return
            self.reports.append((node, report))
        node.reported = True

    def step_report(self) -> None:
        """Take in one slice of the oldest report."""
        if self.reports:
            node, report = self.reports[0]
            with self.turn() as turn:
                if report.step(turn):
                    self.reports.pop(0)
                    if report.void:
                        node.reported = False
            self.take_notices()

    # --- looking -------------------------------------------------------------------------------

    def check_indexes(self) -> None:
        """The two indexes of the store say the same, and so do the counters."""
        view = self.store.snapshot()
        by_block = {
            (index, tables.block_id_of(key))
            for key, value in view.scan(b"R", b"S")
            for index, _ in tables.unpack_replicas(value)
        }
        by_storage: set[tuple[int, int]] = set()
        for index, storage in self.manager.registry.storages.items():
            ids, _, following = tables.scan_storage(view, index, 0, 1 << 30)
            assert following is None
            by_storage |= {(index, block_id) for block_id in tables.signed(ids)}
            if storage.counted:
                assert storage.blocks == len(ids)
        assert by_block == by_storage
        view.close()

    def heal(self, rounds: int = 400) -> None:
        """Everything works again, for as long as it takes; then all must be well."""
        for node in self.nodes.values():
            if not node.up:
                self.restart(node)
        # Full reports come round: what got lost on the way to a node shows in the first
        # one that begins after it.
        for _ in range(2):
            for node in self.nodes.values():
                node.reported = False
            self._come_to_rest(rounds)

    def _come_to_rest(self, rounds: int) -> None:
        quiet = 0
        for number in range(rounds):
            before = self.state()
            if number % 50 == 49:
                for node in self.nodes.values():
                    node.reported = False
            for node in self.nodes.values():
                self.heartbeat(node)
                while node.orders:
                    self.carry_out(node)
                self.send_changes(node)
                if not node.reported:
                    self.begin_report(node)
            while self.reports:
                self.step_report()
            self.tick(self.settings.redundancy_interval_ms)
            quiet = quiet + 1 if self.state() == before else 0
            # Long enough for every timer: grace, pending copies, removals.
            if quiet and self._settled():
                if quiet > 3:
                    return
                self.now_ms += self.settings.dead_after_ms // 4
        raise AssertionError("the cluster does not come to rest")

    def _settled(self) -> bool:
        stats = self.manager.statistics()
        idle = not (
            stats.pending_replication
            or stats.pending_deletion
            or stats.background_tasks
            or self.manager.parts.redundancy.settling
        )
        return idle and not any(node.changes or node.orders for node in self.nodes.values())

    def state(self) -> object:
        return {
            node.uuid: {uuid: sorted(disk) for uuid, disk in node.disks.items()}
            for node in self.nodes.values()
        }


class _OpenTurn:
    """One transaction: committed at the end, aborted by an error."""

    def __init__(self, cluster: ModelCluster) -> None:
        self._cluster = cluster

    def __enter__(self) -> Turn:
        self._batch = self._cluster.store.batch()
        return Turn(self._batch, self._cluster.catalog, self._cluster.now_ms)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self._batch.commit()
        else:
            self._batch.abort()
