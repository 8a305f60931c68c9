"""A file is written block by block, by one writer, who may vanish at any moment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from namespace_world import ALICE, BLOCK, OVERWRITE, ROOT, World

from cairnfs.errors import (
    AlreadyBeingCreated,
    AlreadyExists,
    FileSystemError,
    IllegalArgument,
    InvalidRequest,
    LeaseExpired,
    NotFound,
    NotReplicatedYet,
    RecoveryInProgress,
)
from cairnfs.namespace import pipeline, recovery, truncating, writing
from cairnfs.namespace.catalog import Catalog, complete_block, totals
from cairnfs.namespace.creating import Appended, Created
from cairnfs.namespace.locations import touch_access_time
from cairnfs.namespace.recovery import LeaseRelease, Outcome, Refused
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.namespace.synchronization import Synchronized, commit_block_synchronization
from cairnfs.types import BLOCK_ID_FIRST, GENERATION_STAMP_FIRST, Block, BlockState

SOFT_MS = 60_001
HARD_MS = 1_200_001


def sized(block: Block, num_bytes: int) -> Block:
    return replace(block, num_bytes=num_bytes)


def begin(world: World, path: str = "/f", holder: str = "writer") -> Block:
    """A file under construction with one block that three DataNodes are to write."""
    assert isinstance(world.create(path, holder=holder), Created)
    return world.add_block(path, None, holder).block.block


# --- blocks come one after another ---------------------------------------------------------------


def test_a_file_grows_by_blocks(world: World) -> None:
    world.create("/f")
    first = world.add_block("/f", None)
    assert first.block.block_id == BLOCK_ID_FIRST + 1
    assert first.block.generation_stamp == GENERATION_STAMP_FIRST + 1
    assert (first.block.offset, first.previous, first.retry) == (0, None, False)
    world.replicas.live[first.block.block_id] = 1
    second = world.add_block("/f", sized(first.block.block, BLOCK))
    assert second.block.offset == BLOCK
    assert second.previous is not None
    assert second.previous.is_complete
    world.check()
    assert world.inode("/f").length == BLOCK
    # The replica of the last block comes later.
    last = sized(second.block.block, 77)
    done = world.complete("/f", last)
    assert not done.done
    assert done.waiting_for == (last,)
    assert world.read(totals).complete_blocks == 1
    world.check()
    world.replicas.live[last.block_id] = 1
    world.now_ms += 5
    assert world.complete("/f", last).done
    inode = world.inode("/f")
    assert (inode.length, inode.mtime, inode.under_construction) == (
        BLOCK + 77,
        world.now_ms,
        False,
    )
    world.check()


def test_a_report_completes_a_committed_block(world: World) -> None:
    block = begin(world)
    world.add_block("/f", sized(block, BLOCK))

    def report() -> bool:
        found = world.write(lambda tx: complete_block(world.ns, tx, world.replicas, block.block_id))
        return found is not None

    assert not report()
    world.replicas.live[block.block_id] = 1
    assert report()
    assert not report()
    world.check()
    facts = world.read(lambda tx: Catalog(tx).get(block.block_id))
    assert facts is not None
    assert (facts.state, facts.num_bytes) == (BlockState.COMPLETE, BLOCK)
    assert world.read(lambda tx: Catalog(tx).get(1)) is None


def test_the_same_request_again_gets_the_same_block(world: World) -> None:
    first = begin(world)
    again = world.add_block("/f", None)
    assert again.retry
    assert again.block.block == first
    world.replicas.live[first.block_id] = 3
    second = world.add_block("/f", sized(first, BLOCK))
    repeated = world.add_block("/f", sized(first, BLOCK))
    assert repeated.retry
    assert repeated.block == second.block
    assert world.inode("/f").entries == 2
    assert world.read(totals).last_block_id == second.block.block_id
    world.check()
    # Not once something was written into it.
    file_id = world.inode("/f").id
    world.write(lambda tx: writing.fsync(world.ns, tx, ROOT, "/f", file_id, "writer", 9))
    with pytest.raises(FileSystemError, match="already contains 9 bytes"):
        world.add_block("/f", sized(first, BLOCK))
    with pytest.raises(FileSystemError, match="does not match actual last block"):
        world.add_block("/f", Block(1, 2, 3))


def test_the_block_before_the_last_must_be_replicated(world: World) -> None:
    first = begin(world)
    second = world.add_block("/f", sized(first, BLOCK)).block.block
    with pytest.raises(NotReplicatedYet, match="Not replicated yet: /f"):
        world.add_block("/f", sized(second, BLOCK))
    done = world.complete("/f", sized(second, 1))
    assert done.waiting_for == (sized(first, BLOCK),)
    world.replicas.live.update({first.block_id: 1, second.block_id: 1})
    assert world.complete("/f", sized(second, 1)).done
    world.check()


def test_a_file_has_only_so_many_blocks() -> None:
    world = World(NamespaceSettings(blocks_per_file_max=2))
    world.create("/f")
    last = world.fill("/f", [BLOCK, BLOCK])
    with pytest.raises(FileSystemError, match="max-blocks-per-file"):
        world.add_block("/f", last)


def test_a_commit_must_fit(world: World) -> None:
    block = begin(world)
    world.replicas.live[block.block_id] = 3
    file_id = world.inode("/f").id
    world.write(lambda tx: writing.fsync(world.ns, tx, ROOT, "/f", file_id, "writer", 50))
    assert world.inode("/f").length == 50
    with pytest.raises(FileSystemError, match="mismatching GS"):
        world.complete("/f", replace(block, generation_stamp=5, num_bytes=60))
    with pytest.raises(FileSystemError, match="inconsistent block"):
        world.complete("/f", replace(block, block_id=5, num_bytes=60))
    with pytest.raises(FileSystemError, match="50 bytes of it"):
        world.complete("/f", sized(block, 49))
    assert world.complete("/f", sized(block, 50)).done
    world.check()


def test_blocks_can_be_abandoned(world: World) -> None:
    block = begin(world)
    file_id = world.inode("/f").id

    def abandon(which: Block) -> Block | None:
        return world.write(
            lambda tx: writing.abandon_block(world.ns, tx, ROOT, "/f", file_id, "writer", which)
        )

    assert abandon(Block(1, 2, 3)) is None
    assert abandon(block) == block
    assert abandon(block) is None
    assert world.block_ids() == set()
    world.check()
    # A new one has a new id.
    assert world.add_block("/f", None).block.block_id != block.block_id


@pytest.mark.requirement("A23")
def test_only_the_lease_holder_writes(world: World) -> None:
    block = begin(world)
    file_id = world.inode("/f").id
    for file in (0, file_id):
        with pytest.raises(LeaseExpired, match="is not the lease owner"):
            world.add_block("/f", None, holder="other", file_id=file)
        with pytest.raises(LeaseExpired):
            world.complete("/f", sized(block, 1), holder="other", file_id=file)
    with pytest.raises(NotFound, match="File does not exist"):
        world.add_block("/no", None)
    with pytest.raises(NotFound):
        world.add_block("/f", None, file_id=4711)
    with pytest.raises(LeaseExpired, match="not a regular file"):
        world.add_block("/", None)
    world.replicas.live[block.block_id] = 1
    assert world.complete("/f", sized(block, 1)).done
    with pytest.raises(LeaseExpired, match="not open for writing"):
        world.add_block("/f", None)
    # An answer may have been lost: completing the same file again succeeds.
    assert world.complete("/f", sized(block, 1)).done
    assert world.complete("/f", sized(block, 1), file_id=file_id).done
    with pytest.raises(LeaseExpired):
        world.complete("/f", None)
    world.check()


def test_a_file_is_found_by_its_id_wherever_it_went(world: World) -> None:
    block = begin(world, "/a/f")
    file_id = world.inode("/a/f").id
    world.rename("/a", "/b")
    facts = world.read(
        lambda tx: writing.writer_facts(world.ns, tx, ROOT, "/a/f", file_id, "writer")
    )
    assert (facts.inode_id, facts.block_size, facts.replication) == (file_id, BLOCK, 3)
    assert facts.client_machine == ROOT.address
    world.replicas.live[block.block_id] = 1
    assert world.complete("/a/f", sized(block, 9), file_id=file_id).done
    assert world.inode("/b/f").length == 9


def test_an_overwritten_file_loses_its_writer(world: World) -> None:
    begin(world, holder="first")
    file_id = world.inode("/f").id
    world.create("/f", holder="second", flag=OVERWRITE)
    with pytest.raises(NotFound):
        world.add_block("/f", None, holder="first", file_id=file_id)
    with pytest.raises(LeaseExpired):
        world.add_block("/f", None, holder="first")
    world.check()


# --- locations -----------------------------------------------------------------------------------


def test_locations_of_ranges(world: World) -> None:
    world.put_file("/f", [BLOCK, BLOCK, BLOCK, 10])
    ids = [block.block_id for block in world.blocks("/f").blocks]

    def indexes(offset: int, length: int) -> list[int]:
        return [ids.index(block.block_id) for block in world.blocks("/f", offset, length).blocks]

    assert indexes(0, 1 << 40) == [0, 1, 2, 3]
    assert indexes(0, 0) == [0]
    assert indexes(BLOCK - 1, 1) == [0]
    assert indexes(BLOCK - 1, 2) == [0, 1]
    assert indexes(BLOCK, 1) == [1]
    assert indexes(3 * BLOCK + 9, 100) == [3]
    assert indexes(3 * BLOCK + 10, 100) == []
    found = world.blocks("/f", BLOCK, 1)
    assert found.file_length == 3 * BLOCK + 10
    assert found.last is not None
    assert (found.last.block_id, found.is_last_complete) == (ids[3], True)
    assert not found.under_construction
    with pytest.raises(IllegalArgument):
        world.blocks("/f", -1)
    with pytest.raises(IllegalArgument):
        world.blocks("/f", 0, -1)
    with pytest.raises(NotFound):
        world.blocks("/no")


def test_locations_of_a_file_that_is_written(world: World) -> None:
    world.create("/f")
    empty = world.blocks("/f")
    assert (empty.file_length, empty.blocks, empty.last) == (0, [], None)
    assert empty.under_construction
    assert not empty.is_last_complete
    first = world.add_block("/f", None).block.block
    begun = world.blocks("/f")
    assert [block.block_id for block in begun.blocks] == [first.block_id]
    world.replicas.live[first.block_id] = 3
    second = world.add_block("/f", sized(first, BLOCK)).block.block
    grown = world.blocks("/f")
    assert [block.block_id for block in grown.blocks] == [first.block_id, second.block_id]
    assert grown.file_length == BLOCK
    file_id = world.inode("/f").id
    world.write(lambda tx: writing.fsync(world.ns, tx, ROOT, "/f", file_id, "writer", 100))
    assert world.blocks("/f").file_length == BLOCK
    assert world.inode("/f").length == BLOCK + 100


def test_access_times_are_coarse(world: World) -> None:
    inode = world.put_file("/f", [1])
    assert not world.access_time_due("/f")
    world.now_ms += 3_600_001
    assert world.access_time_due("/f")

    def touch() -> bool:
        return world.write(lambda tx: touch_access_time(world.ns, tx, inode.id, world.now_ms))

    assert touch()
    assert world.inode("/f").atime == world.now_ms
    assert world.inode("/f").mtime == inode.mtime
    assert not touch()
    assert not world.access_time_due("/f")
    world.delete("/f")
    assert not touch()


def test_access_times_may_be_switched_off() -> None:
    world = World(NamespaceSettings(access_time_precision_ms=0))
    world.put_file("/f", [1])
    world.now_ms += 1 << 40
    assert not world.access_time_due("/f")


# --- append --------------------------------------------------------------------------------------


@pytest.mark.requirement("C01")
def test_append_goes_on_in_the_last_block(world: World) -> None:
    world.put_file("/f", [BLOCK, 10])
    appended = world.append("/f")
    assert isinstance(appended, Appended)
    assert appended.block is not None
    assert (appended.block.num_bytes, appended.block.offset) == (10, BLOCK)
    assert appended.block.state == BlockState.UNDER_CONSTRUCTION
    assert appended.status.length == BLOCK + 10
    assert world.read(totals).complete_blocks == 1
    world.check()
    # A client goes on with a new generation, from the first packet on.
    block = appended.block.block
    newer = world.write(lambda tx: pipeline.update_block_for_pipeline(tx, block, "writer"))
    assert newer.generation_stamp > block.generation_stamp
    world.write(lambda tx: pipeline.update_pipeline(tx, "writer", block, newer))
    assert world.complete("/f", sized(newer, 30)).done
    assert world.inode("/f").length == BLOCK + 30
    world.check()


def test_append_behind_a_full_block_adds_one(world: World) -> None:
    world.put_file("/f", [BLOCK])
    appended = world.append("/f")
    assert isinstance(appended, Appended)
    assert appended.block is None
    added = world.add_block("/f", None)
    assert (added.retry, added.block.offset) == (False, BLOCK)
    world.check()


def test_append_may_demand_a_new_block(world: World) -> None:
    world.put_file("/f", [10])
    appended = world.append("/f", new_block=True)
    assert isinstance(appended, Appended)
    assert appended.block is not None
    assert appended.block.is_complete
    last = world.fill("/f", [5], appended.block.block)
    assert world.complete("/f", last).done
    assert [block.num_bytes for block in world.blocks("/f").blocks] == [10, 5]
    assert [b.offset for b in world.blocks("/f", 12, 1).blocks] == [10]
    world.check()


def test_append_needs_a_whole_file(world: World) -> None:
    with pytest.raises(NotFound, match="Failed to append to non-existent file"):
        world.append("/no")
    world.mkdirs("/d")
    with pytest.raises(AlreadyExists, match="Cannot append to directory"):
        world.append("/d")
    world.put_file("/f", [10])
    (block,) = world.blocks("/f").blocks
    world.replicas.live[block.block_id] = 0
    with pytest.raises(FileSystemError, match="not sufficiently replicated"):
        world.append("/f")
    world.replicas.datanodes = 0
    assert isinstance(world.append("/f"), Appended)
    world.put_file("/empty")
    appended = world.append("/empty", holder="other")
    assert isinstance(appended, Appended)
    assert appended.block is None
    assert world.add_block("/empty", None, holder="other").block.offset == 0
    world.check()


# --- pipelines -----------------------------------------------------------------------------------


@pytest.mark.requirement("A05")
def test_a_pipeline_gets_a_new_generation(world: World) -> None:
    block = begin(world)

    def bump(holder: str = "writer", which: Block = block) -> Block:
        return world.write(lambda tx: pipeline.update_block_for_pipeline(tx, which, holder))

    def update(new: Block, holder: str = "writer") -> pipeline.UpdatedPipeline:
        return world.write(lambda tx: pipeline.update_pipeline(tx, holder, block, new))

    newer = bump()
    with pytest.raises(FileSystemError, match="does not have a larger generation stamp"):
        update(block)
    with pytest.raises(FileSystemError, match="never given out"):
        update(replace(newer, generation_stamp=newer.generation_stamp + 1))
    with pytest.raises(FileSystemError, match="different block identifiers"):
        update(replace(newer, block_id=1))
    with pytest.raises(LeaseExpired, match="non lease holder other"):
        update(newer, "other")
    updated = update(sized(newer, 40))
    assert updated.block.block == sized(newer, 40)
    newest = bump()
    with pytest.raises(FileSystemError, match="smaller size"):
        update(sized(newest, 39))
    with pytest.raises(LeaseExpired):
        bump("other")
    with pytest.raises(FileSystemError, match="does not exist"):
        bump(which=Block(1, 1, 1))
    world.replicas.live[block.block_id] = 1
    with pytest.raises(FileSystemError, match="mismatching GS"):
        world.complete("/f", sized(block, 50))
    assert world.complete("/f", sized(newer, 50)).done
    with pytest.raises(FileSystemError, match="COMPLETE but not UNDER_CONSTRUCTION"):
        bump()
    world.check()


# --- leases --------------------------------------------------------------------------------------


@pytest.mark.requirement("A23")
def test_a_second_writer_is_refused(world: World) -> None:
    begin(world, holder="first")
    with pytest.raises(AlreadyBeingCreated, match=r"currently owned by first on 10\.0\.0\.1"):
        world.create("/f", holder="second")
    with pytest.raises(AlreadyBeingCreated, match="Failed to APPEND_FILE /f for second"):
        world.append("/f", holder="second")
    with pytest.raises(AlreadyBeingCreated, match="already the current lease holder"):
        world.append("/f", holder="first")
    # As long as the first is heard of.
    for _ in range(3):
        world.now_ms += SOFT_MS - 10
        assert world.ns.leases.renew("first", world.now_ms)
    with pytest.raises(AlreadyBeingCreated):
        world.append("/f", holder="second")
    assert not world.ns.leases.renew("second", world.now_ms)


@pytest.mark.requirement("A21")
def test_past_the_soft_limit_another_writer_takes_over(world: World) -> None:
    world.create("/f", holder="first")
    world.now_ms += SOFT_MS
    # Nothing was written: the file is closed, and there is nothing to wait for.
    appended = world.append("/f", holder="second")
    assert isinstance(appended, Appended)
    world.check()
    block = world.add_block("/f", None, holder="second").block.block
    file_id = world.inode("/f").id
    world.write(lambda tx: writing.fsync(world.ns, tx, ROOT, "/f", file_id, "second", 20))
    world.now_ms += SOFT_MS
    refused = world.append("/f", holder="third")
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, RecoveryInProgress)
    assert refused.release.outcome is Outcome.RECOVER
    recover = refused.release.recovery
    assert recover is not None
    assert recover.block == sized(block, 20)
    assert recover.recovery_id > block.generation_stamp
    world.check()
    # The state stays, and the next one waits for the same recovery.
    with pytest.raises(RecoveryInProgress, match="another recovery is in progress"):
        world.append("/f", holder="third")
    with pytest.raises(LeaseExpired):
        world.complete("/f", sized(block, 20), holder="first")
    with pytest.raises(FileSystemError, match="under recovery"):
        world.complete("/f", sized(block, 20), holder="second")
    synchronized = synchronize(world, block, recover.recovery_id, 25)
    assert synchronized is not None
    assert synchronized.closed
    assert world.inode("/f").length == 25
    world.replicas.live[block.block_id] = 1
    assert isinstance(world.append("/f", holder="third"), Appended)
    world.check()


def synchronize(
    world: World,
    block: Block,
    generation: int,
    length: int,
    close_file: bool = True,
    delete_block: bool = False,
) -> Synchronized | None:
    return world.write(
        lambda tx: commit_block_synchronization(
            world.ns,
            tx,
            world.replicas,
            world.now_ms,
            block,
            generation,
            length,
            close_file=close_file,
            delete_block=delete_block,
        )
    )


def recover(world: World, path: str = "/f", holder: str = "saviour") -> LeaseRelease:
    return world.write(
        lambda tx: recovery.recover_lease(
            world.ns, tx, world.replicas, ROOT, world.now_ms, path, holder
        )
    )


@pytest.mark.requirement("A21")
def test_recover_lease_closes_what_it_can(world: World) -> None:
    world.put_file("/closed", [1])
    assert recover(world, "/closed").outcome is Outcome.CLOSED
    # A block that nobody was told of.
    block = begin(world)
    world.replicas.expected[block.block_id] = 0
    released = recover(world)
    assert (released.outcome, released.removed_blocks) == (Outcome.CLOSED, (block,))
    assert world.inode("/f").entries == 0
    # Committed, and its replica came.
    block = begin(world, "/g")
    world.complete("/g", sized(block, 8))
    world.replicas.live[block.block_id] = 1
    assert recover(world, "/g").outcome is Outcome.CLOSED
    assert world.inode("/g").length == 8
    world.check()
    with pytest.raises(NotFound):
        recover(world, "/no")
    begin(world, "/h")
    with pytest.raises(InvalidRequest):
        recover(world, "/h", holder="")


@pytest.mark.requirement("A21")
def test_recover_lease_begins_waits_and_begins_anew(world: World) -> None:
    block = begin(world)
    first = recover(world)
    assert first.outcome is Outcome.RECOVER
    assert first.recovery is not None
    world.check()
    assert recover(world).outcome is Outcome.WAIT
    # After a restart it is known as well.
    world.restart()
    assert recover(world).outcome is Outcome.WAIT
    world.now_ms += world.ns.settings.block_recovery_timeout_ms
    second = recover(world)
    assert second.recovery is not None
    assert second.recovery.recovery_id > first.recovery.recovery_id
    with pytest.raises(FileSystemError, match="does not match current recovery id"):
        synchronize(world, block, first.recovery.recovery_id, 5)
    done = synchronize(world, block, second.recovery.recovery_id, 5)
    assert done is not None
    assert done.block == Block(block.block_id, second.recovery.recovery_id, 5)
    assert not world.inode("/f").under_construction
    # It comes twice when the DataNode did not hear the answer.
    assert synchronize(world, block, second.recovery.recovery_id, 5) is None
    world.check()


def test_recovery_may_find_nothing(world: World) -> None:
    block = begin(world)
    begun = recover(world).recovery
    assert begun is not None
    done = synchronize(world, block, begun.recovery_id, 0, delete_block=True)
    assert done is not None
    assert done.removed is not None
    assert done.removed.block_id == block.block_id
    assert world.inode("/f").entries == 0
    assert not world.inode("/f").under_construction
    assert synchronize(world, block, begun.recovery_id, 0, delete_block=True) is None
    with pytest.raises(FileSystemError, match="not found"):
        synchronize(world, block, begun.recovery_id, 0)
    world.check()


def test_recovery_may_leave_the_file_open(world: World) -> None:
    block = begin(world)
    begun = recover(world, holder="writer").recovery
    assert begun is not None
    done = synchronize(world, block, begun.recovery_id, 12, close_file=False)
    assert done is not None
    assert not done.closed
    newer = Block(block.block_id, begun.recovery_id, 12)
    world.replicas.live[block.block_id] = 1
    # The id was spent.
    with pytest.raises(FileSystemError):
        synchronize(world, block, begun.recovery_id, 12)
    assert world.complete("/f", newer).done
    world.check()


def test_a_block_that_is_not_recovered_takes_no_synchronization(world: World) -> None:
    block = begin(world)
    with pytest.raises(FileSystemError):
        synchronize(world, block, 0, 5)
    recovery_of = recover(world).recovery
    assert recovery_of is not None
    world.delete("/f")
    with pytest.raises(FileSystemError, match="not found"):
        synchronize(world, block, recovery_of.recovery_id, 5)


def test_the_block_before_must_be_there_to_close(world: World) -> None:
    first = begin(world)
    world.add_block("/f", sized(first, BLOCK))
    with pytest.raises(AlreadyBeingCreated, match="waiting to be minimally replicated"):
        recover(world)
    world.replicas.live[first.block_id] = 1
    assert recover(world).outcome is Outcome.RECOVER
    world.check()


@pytest.mark.requirement("A21")
def test_past_the_hard_limit_the_namenode_closes_files(world: World) -> None:
    world.create("/empty", holder="gone")
    begin(world, "/begun", holder="gone")
    begin(world, "/alive", holder="alive")
    world.now_ms += HARD_MS - 10
    world.ns.leases.renew("alive", world.now_ms)
    world.now_ms += 20

    def expired() -> list[int]:
        return world.read(lambda tx: recovery.expired_files(world.ns, tx, world.now_ms, 10))

    def release(inode_id: int) -> LeaseRelease | None:
        return world.write(
            lambda tx: recovery.release_expired(
                world.ns, tx, world.replicas, inode_id, world.now_ms
            )
        )

    found = expired()
    assert found == [world.inode("/empty").id, world.inode("/begun").id]
    closed, begun = (release(inode_id) for inode_id in found)
    assert closed is not None
    assert begun is not None
    assert (closed.outcome, begun.outcome) == (Outcome.CLOSED, Outcome.RECOVER)
    world.check()
    assert expired() == []
    assert release(world.inode("/empty").id) is None
    assert release(world.inode("/alive").id) is None
    # The recovery came to nothing (its DataNodes died as well): it is tried again.
    world.now_ms += world.ns.settings.block_recovery_timeout_ms + 1
    world.ns.leases.renew("alive", world.now_ms)
    assert expired() == [world.inode("/begun").id]
    again = release(world.inode("/begun").id)
    assert again is not None
    assert again.outcome is Outcome.RECOVER
    world.check()


def test_a_restart_renews_every_lease(world: World) -> None:
    begin(world, holder="writer")
    world.now_ms += HARD_MS
    world.restart()
    assert len(world.ns.leases) == 1
    assert world.ns.leases.hard_expired(world.now_ms) == []
    assert world.ns.leases.renew("writer", world.now_ms)
    with pytest.raises(AlreadyBeingCreated):
        world.append("/f", holder="other")


# --- truncate ------------------------------------------------------------------------------------


def truncate(
    world: World, path: str, length: int, holder: str = "cutter"
) -> truncating.Truncated | Refused:
    return world.write(
        lambda tx: truncating.truncate(
            world.ns, tx, world.replicas, ROOT, world.now_ms, path, length, holder
        )
    )


@pytest.mark.requirement("C01")
@pytest.mark.parametrize("length", [0, BLOCK, 2 * BLOCK])
def test_truncate_between_blocks_is_done_at_once(world: World, length: int) -> None:
    world.put_file("/f", [BLOCK, BLOCK, 10])
    ids = [block.block_id for block in world.blocks("/f").blocks]
    world.now_ms += 4
    cut = truncate(world, "/f", length)
    assert isinstance(cut, truncating.Truncated)
    assert cut.done
    assert {block.block_id for block in cut.removed_blocks} == set(ids[length // BLOCK :])
    inode = world.inode("/f")
    assert (inode.length, inode.mtime, inode.under_construction) == (length, world.now_ms, False)
    world.check()


@pytest.mark.requirement("C01")
def test_truncate_within_a_block_recovers_it(world: World) -> None:
    world.put_file("/f", [BLOCK, BLOCK, 10])
    blocks = world.blocks("/f").blocks
    cut = truncate(world, "/f", BLOCK + 3)
    assert isinstance(cut, truncating.Truncated)
    assert not cut.done
    assert [block.block_id for block in cut.removed_blocks] == [blocks[2].block_id]
    begun = cut.recovery
    assert begun is not None
    assert (begun.block.block_id, begun.truncate_bytes) == (blocks[1].block_id, 3)
    world.check()
    # The same again: it is under way.
    again = truncate(world, "/f", BLOCK + 3)
    assert isinstance(again, truncating.Truncated)
    assert not again.done
    assert again.recovery is None
    with pytest.raises(AlreadyBeingCreated, match="is being truncated"):
        truncate(world, "/f", BLOCK + 2)
    # If its DataNode dies, the next attempt cuts at the same place.
    world.now_ms += world.ns.settings.block_recovery_timeout_ms
    begun = recover(world).recovery
    assert begun is not None
    assert begun.truncate_bytes == 3
    assert synchronize(world, begun.block, begun.recovery_id, 3) is not None
    assert world.inode("/f").length == BLOCK + 3
    world.check()
    done = truncate(world, "/f", BLOCK + 3)
    assert isinstance(done, truncating.Truncated)
    assert done.done


def test_truncate_refuses(world: World) -> None:
    world.put_file("/f", [10])
    with pytest.raises(InvalidRequest, match="Current size: 10, truncate size: 11"):
        truncate(world, "/f", 11)
    with pytest.raises(InvalidRequest, match="negative"):
        truncate(world, "/f", -1)
    with pytest.raises(NotFound):
        truncate(world, "/no", 0)
    world.append("/f")
    with pytest.raises(AlreadyBeingCreated, match="TRUNCATE_FILE"):
        truncate(world, "/f", 5)
    world.now_ms += SOFT_MS
    refused = truncate(world, "/f", 5)
    assert isinstance(refused, Refused)
    world.check()


def test_create_past_the_soft_limit_still_does_not_overwrite(world: World) -> None:
    world.create("/f", holder="gone")
    world.now_ms += SOFT_MS
    refused = world.create("/f", ALICE_SUPER, holder="new")
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, AlreadyExists)
    assert refused.release.outcome is Outcome.CLOSED
    assert not world.inode("/f").under_construction
    world.check()


ALICE_SUPER = replace(ALICE, superuser=True)


def test_a_committed_block_without_replicas_is_recovered(world: World) -> None:
    block = begin(world, holder="gone")
    world.complete("/f", sized(block, 5), holder="gone")
    world.now_ms += SOFT_MS
    refused = world.append("/f", holder="new")
    assert isinstance(refused, Refused)
    assert refused.release.recovery is not None
    assert refused.release.recovery.block == sized(block, 5)
    world.check()
