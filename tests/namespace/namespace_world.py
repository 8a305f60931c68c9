"""A namespace over the store in memory, with the replicas that a test says are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cairnfs.namespace import (
    attributes,
    creating,
    deleting,
    listing,
    locations,
    mkdirs,
    recovery,
    removal,
    renaming,
    status,
    writing,
)
from cairnfs.namespace.catalog import Catalog
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.creating import Created
from cairnfs.namespace.formatting import format_namespace
from cairnfs.namespace.records import Inode, unpack_inode
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.namespace.status import file_status
from cairnfs.namespace.verify import verify
from cairnfs.store.interface import Reader, Writer
from cairnfs.store.memory import MemoryStore
from cairnfs.types import Block, Caller, CreateFlag, FileStatus

R = TypeVar("R")
ROOT = Caller("root", ("supergroup",), True, "10.0.0.1")
ALICE = Caller("alice", ("staff",), False, "10.0.0.2")
BOB = Caller("bob", ("staff", "ops"), False, "10.0.0.3")
CREATE = CreateFlag.CREATE
OVERWRITE = CreateFlag.CREATE | CreateFlag.OVERWRITE
BLOCK = 1 << 20


class Replicas:
    """What the block layer would know: live and expected replicas by block id."""

    def __init__(self) -> None:
        self.live: dict[int, int] = {}
        self.expected: dict[int, int] = {}
        self.datanodes = 3

    def live_replicas(self, block_id: int, /) -> int:
        return self.live.get(block_id, 0)

    def expected_locations(self, block_id: int, /) -> int:
        return self.expected.get(block_id, 0)

    def live_datanodes(self) -> int:
        return self.datanodes


class World:
    """Runs operations as the NameNode does: one batch each, undone if they raise."""

    def __init__(self, settings: NamespaceSettings | None = None) -> None:
        self.store = MemoryStore()
        self.ns = Namespace(settings or NamespaceSettings())
        self.replicas = Replicas()
        self.now_ms = 1_000_000
        self.write(
            lambda tx: format_namespace(
                tx,
                namespace_id=7,
                cluster_id="CID-1",
                pool_id="BP-1",
                creation_time_ms=self.now_ms,
                owner="root",
                group="supergroup",
            )
        )
        self.read(lambda tx: self.ns.load(tx, self.now_ms))

    def write(self, operation: Callable[[Writer], R]) -> R:
        batch = self.store.batch()
        mark = batch.savepoint()
        try:
            return operation(batch)
        except BaseException:
            batch.rollback(mark)
            raise
        finally:
            batch.commit()
            self.ns.names.committed()

    def read(self, operation: Callable[[Reader], R]) -> R:
        snapshot = self.store.snapshot()
        try:
            return operation(snapshot)
        finally:
            snapshot.close()

    def check(self) -> None:
        """Every invariant holds."""
        assert self.read(verify) == []

    def restart(self) -> None:
        """Forget all that is in memory only."""
        self.ns = Namespace(self.ns.settings)
        self.read(lambda tx: self.ns.load(tx, self.now_ms))

    # --- the operations, with what most tests do not care about filled in --------------------

    def mkdirs(
        self, path: str, mode: int = 0o755, caller: Caller = ROOT, create_parent: bool = True
    ) -> mkdirs.Made:
        return self.write(
            lambda tx: mkdirs.mkdirs(
                self.ns, tx, caller, self.now_ms, path, mode, create_parent=create_parent
            )
        )

    def create(
        self,
        path: str,
        caller: Caller = ROOT,
        holder: str = "writer",
        flag: CreateFlag = CREATE,
        mode: int = 0o644,
        create_parent: bool = True,
        replication: int = 3,
        block_size: int = BLOCK,
    ) -> creating.Created | recovery.Refused:
        return self.write(
            lambda tx: creating.create(
                self.ns,
                tx,
                self.replicas,
                caller,
                self.now_ms,
                path,
                mode,
                holder,
                flag,
                create_parent=create_parent,
                replication=replication,
                block_size=block_size,
            )
        )

    def add_block(
        self, path: str, previous: Block | None, holder: str = "writer", file_id: int = 0
    ) -> writing.AddedBlock:
        self.read(
            lambda tx: writing.check_add_block(self.ns, tx, ROOT, path, file_id, holder, previous)
        )
        added = self.write(
            lambda tx: writing.add_block(
                self.ns, tx, self.replicas, ROOT, path, file_id, holder, previous
            )
        )
        self.replicas.expected.setdefault(added.block.block_id, 3)
        return added

    def complete(
        self, path: str, last: Block | None, holder: str = "writer", file_id: int = 0
    ) -> writing.Completed:
        return self.write(
            lambda tx: writing.complete(
                self.ns, tx, self.replicas, ROOT, self.now_ms, path, file_id, holder, last
            )
        )

    def append(
        self, path: str, holder: str = "writer", caller: Caller = ROOT, new_block: bool = False
    ) -> creating.Appended | recovery.Refused:
        return self.write(
            lambda tx: creating.append(
                self.ns, tx, self.replicas, caller, self.now_ms, path, holder, new_block=new_block
            )
        )

    def fill(
        self, path: str, sizes: list[int], previous: Block | None = None, holder: str = "writer"
    ) -> Block | None:
        """Add blocks of these sizes, each with three replicas; the last one's final facts."""
        for size in sizes:
            block = self.add_block(path, previous, holder).block
            self.replicas.live[block.block_id] = 3
            previous = Block(block.block_id, block.generation_stamp, size)
        return previous

    def put_file(
        self, path: str, sizes: list[int] | None = None, caller: Caller = ROOT, **more: int
    ) -> Inode:
        """A closed file with blocks of these sizes."""
        created = self.create(path, caller, **more)  # type: ignore[arg-type]
        assert isinstance(created, creating.Created)
        assert self.complete(path, self.fill(path, sizes or [])).done
        return self.inode(path)

    def delete(self, path: str, caller: Caller = ROOT, recursive: bool = True) -> deleting.Deleted:
        return self.write(
            lambda tx: deleting.delete(self.ns, tx, caller, self.now_ms, path, recursive=recursive)
        )

    def rename(self, source: str, destination: str, caller: Caller = ROOT) -> bool:
        return self.write(
            lambda tx: (
                renaming.rename(self.ns, tx, caller, self.now_ms, source, destination).renamed
            )
        )

    def rename2(
        self, source: str, destination: str, caller: Caller = ROOT, overwrite: bool = False
    ) -> renaming.Renamed:
        option = renaming.RenameOption.OVERWRITE if overwrite else renaming.RenameOption.NONE
        return self.write(
            lambda tx: renaming.rename2(
                self.ns, tx, caller, self.now_ms, source, destination, option
            )
        )

    def chmod(self, path: str, mode: int, caller: Caller = ROOT) -> bool:
        return self.write(lambda tx: attributes.set_permission(self.ns, tx, caller, path, mode))

    def chown(
        self, path: str, owner: str | None, group: str | None = None, caller: Caller = ROOT
    ) -> bool:
        return self.write(lambda tx: attributes.set_owner(self.ns, tx, caller, path, owner, group))

    def collect(self, limit: int) -> removal.Collected:
        return self.write(lambda tx: removal.collect_garbage(tx, limit))

    # --- looking ------------------------------------------------------------------------------

    def stat(self, path: str, caller: Caller = ROOT) -> FileStatus | None:
        return self.read(lambda tx: status.get_file_info(self.ns, tx, caller, path))

    def inode(self, path: str) -> Inode:
        found = self.read(lambda tx: status.stat_row(self.ns, tx, ROOT, path))
        assert found is not None, path
        return Inode._make(found[0])

    def names(self, path: str, caller: Caller = ROOT) -> list[bytes] | None:
        page = self.read(lambda tx: listing.get_listing(self.ns, tx, caller, path))
        return None if page is None else page.names

    def blocks(
        self, path: str, offset: int = 0, length: int = 1 << 40, caller: Caller = ROOT
    ) -> locations.FileBlocks:
        return self.read(
            lambda tx: locations.get_block_locations(self.ns, tx, caller, path, offset, length)
        )

    def created_status(self, created: Created) -> FileStatus:
        """What a client is told of the file that it has created."""
        inode = unpack_inode(created.value)
        return self.read(lambda tx: file_status(self.ns, tx, inode, b"", created.storage_policy))

    def access_time_due(self, path: str) -> bool:
        """Whether a read now would move the file's access time."""
        return self.now_ms > self.blocks(path).access_time_due_ms

    def block_ids(self) -> set[int]:
        return self.read(lambda tx: {facts.block_id for facts in Catalog(tx).scan(0)})
