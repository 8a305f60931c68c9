"""Directories and files come, go, move and are looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from namespace_world import ALICE, BLOCK, BOB, CREATE, OVERWRITE, ROOT, World

from cairnfs.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    FileSystemError,
    InvalidRequest,
    NotADirectory,
    NotFound,
    PermissionDenied,
    StoreDamaged,
    TooManyEntries,
    UnsupportedOperation,
)
from cairnfs.namespace import attributes, catalog, concat, formatting, listing, open_files, summary
from cairnfs.namespace.creating import Created
from cairnfs.namespace.renaming import RenameOption, rename2
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.namespace.status import get_preferred_block_size, is_file_closed
from cairnfs.namespace.writing import fsync
from cairnfs.store.memory import MemoryStore
from cairnfs.types import INODE_ID_ROOT, CreateFlag, FileType


def test_a_new_namespace_is_an_empty_root(world: World) -> None:
    root = world.stat("/")
    assert root is not None
    assert (root.inode_id, root.owner, root.group) == (INODE_ID_ROOT, "root", "supergroup")
    assert (root.mode, root.children, root.file_type) == (0o755, 0, FileType.DIRECTORY)
    assert world.names("/") == []
    info = world.read(
        lambda tx: formatting.namespace_info(tx, build_version="b", software_version="s")
    )
    assert (info.namespace_id, info.cluster_id, info.pool_id) == (7, "CID-1", "BP-1")
    assert world.read(formatting.is_formatted)
    world.check()


def test_an_unformatted_store_is_refused() -> None:
    snapshot = MemoryStore().snapshot()
    assert not formatting.is_formatted(snapshot)
    with pytest.raises(StoreDamaged):
        formatting.namespace_info(snapshot, build_version="", software_version="")
    with pytest.raises(StoreDamaged):
        catalog.totals(snapshot)


# --- mkdirs --------------------------------------------------------------------------------------


def test_mkdirs_makes_parents_that_their_owner_can_use(world: World) -> None:
    world.now_ms += 5
    made = world.mkdirs("/a/b/c", 0o1411)
    assert made.created
    assert world.inode("/a/b/c").id == made.inode_id
    # Parents get u+wx and lose the sticky bit; the directory itself is as asked for.
    assert [world.inode(p).mode for p in ("/a", "/a/b", "/a/b/c")] == [0o711, 0o711, 0o1411]
    assert world.inode("/a").mtime == world.now_ms
    assert world.inode("/").mtime == world.now_ms
    assert world.inode("/a").atime == 0
    world.check()


def test_mkdirs_again_is_no_error(world: World) -> None:
    first = world.mkdirs("/a")
    again = world.mkdirs("/a", 0o700)
    assert (again.created, again.inode_id) == (False, first.inode_id)
    assert world.inode("/a").mode == 0o755
    assert not world.mkdirs("/").created


def test_mkdirs_where_it_cannot_be(world: World) -> None:
    world.put_file("/f")
    with pytest.raises(AlreadyExists):
        world.mkdirs("/f")
    with pytest.raises(NotADirectory):
        world.mkdirs("/f/d")
    with pytest.raises(NotFound):
        world.mkdirs("/no/d", create_parent=False)
    world.mkdirs("/d", create_parent=False)
    world.check()


def test_the_group_comes_from_above(world: World) -> None:
    world.mkdirs("/d", 0o777)
    world.chown("/d", None, "team")
    world.put_file("/d/f", caller=ALICE)
    world.mkdirs("/d/e/g", caller=BOB)
    for path, owner in (("/d/f", "alice"), ("/d/e", "bob"), ("/d/e/g", "bob")):
        found = world.stat(path)
        assert found is not None
        assert (found.owner, found.group) == (owner, "team")


def test_a_full_directory_takes_no_more() -> None:
    world = World(NamespaceSettings(directory_items_max=2))
    world.mkdirs("/a")
    world.put_file("/b")
    with pytest.raises(TooManyEntries, match="limit=2 items=2"):
        world.mkdirs("/c")
    world.mkdirs("/a/x")
    world.mkdirs("/a/y")
    world.put_file("/a/y/z")
    with pytest.raises(TooManyEntries):
        world.rename("/a/y/z", "/a/z")
    # Within a full directory a name may still change.
    assert world.rename("/a/x", "/a/w")
    world.check()


def test_a_limit_on_all_objects() -> None:
    world = World(NamespaceSettings(objects_max=3))
    world.mkdirs("/a")
    world.mkdirs("/b")
    with pytest.raises(FileSystemError, match="configured number of objects 3"):
        world.mkdirs("/c")
    with pytest.raises(FileSystemError):
        world.create("/c")


# --- create --------------------------------------------------------------------------------------


def test_create_says_what_it_made(world: World) -> None:
    created = world.create("/d/f", ALICE_IN_ROOT, mode=0o640, replication=2, block_size=2 * BLOCK)
    assert isinstance(created, Created)
    status = world.created_status(created)
    assert status == world.stat("/d/f")
    assert (status.owner, status.mode, status.length) == ("alice", 0o640, 0)
    assert (status.replication, status.block_size) == (2, 2 * BLOCK)
    assert status.modification_time_ms == status.access_time_ms == world.now_ms
    # A parent that was missing is like the directory it stands in.
    parent = world.stat("/d")
    assert parent is not None
    assert (parent.mode, parent.owner) == (0o755, "alice")
    world.check()


ALICE_IN_ROOT = replace(ALICE, superuser=True)


def test_create_checks_its_bounds(world: World) -> None:
    with pytest.raises(FileSystemError, match="less than configured minimum value"):
        world.create("/f", block_size=1000)
    with pytest.raises(FileSystemError, match="exceeds maximum of 512"):
        world.create("/f", replication=513)
    with pytest.raises(FileSystemError, match="required minimum of 1"):
        world.create("/f", replication=0)
    with pytest.raises(NotFound):
        world.create("/no/f", create_parent=False)
    with pytest.raises(NotFound, match="Can't overwrite non-existent"):
        world.create("/f", flag=CreateFlag.OVERWRITE)
    with pytest.raises(InvalidRequest):
        world.create("/f", holder="")
    with pytest.raises(InvalidRequest):
        world.create("/f", holder="h" * 481)
    world.mkdirs("/d")
    with pytest.raises(AlreadyExists, match="already exists as a directory"):
        world.create("/d")
    assert world.names("/") == [b"d"]
    world.check()


def test_create_over_a_file_removes_its_blocks(world: World) -> None:
    old = world.put_file("/f", [BLOCK, 10])
    old_ids = world.block_ids()
    with pytest.raises(AlreadyExists, match="/f for client"):
        world.create("/f", flag=CREATE)
    created = world.create("/f", flag=OVERWRITE)
    assert isinstance(created, Created)
    assert {block.block_id for block in created.removed_blocks} == old_ids
    assert world.created_status(created).inode_id != old.id
    assert world.block_ids() == set()
    world.check()


def test_lazy_persist_is_kept_as_a_policy(world: World) -> None:
    created = world.create("/f", flag=CreateFlag.CREATE | CreateFlag.LAZY_PERSIST)
    assert isinstance(created, Created)
    assert world.created_status(created).storage_policy == 15
    world.complete("/f", None)
    with pytest.raises(UnsupportedOperation):
        world.append("/f")


# --- stat, listing -------------------------------------------------------------------------------


def test_a_listing_comes_in_pages() -> None:
    world = World(NamespaceSettings(list_limit=3))
    for name in "gfedcba":
        world.mkdirs(f"/d/{name}")
    pages = []
    start = b""
    for _ in range(10):
        page = world.read(
            lambda tx, start=start: listing.get_listing(world.ns, tx, ROOT, "/d", start)
        )
        assert page is not None
        assert len(page.names) <= 3
        pages.append(page)
        if not page.remaining:
            break
        start = page.names[-1]
    assert [name for page in pages for name in page.names] == [c.encode() for c in "abcdefg"]
    assert pages[0].remaining == 4
    assert [page.remaining > 0 for page in pages] == [True, True, False]


def test_a_file_lists_as_itself(world: World) -> None:
    inode = world.put_file("/f", [3])
    page = world.read(
        lambda tx: listing.get_listing(world.ns, tx, ROOT, "/f", b"", with_blocks=True)
    )
    assert page is not None
    assert (page.names, page.rows, page.remaining) == ([b""], [inode], 0)
    assert page.blocks is not None
    assert page.blocks[0] is not None
    assert page.blocks[0].file_length == 3
    assert world.names("/no") is None


def test_a_listing_with_blocks_is_bounded_by_replicas() -> None:
    world = World(NamespaceSettings(list_limit=5))
    world.mkdirs("/d/a")
    world.put_file("/d/b", [BLOCK, 1])
    world.put_file("/d/c", [1])
    page = world.read(
        lambda tx: listing.get_listing(world.ns, tx, ROOT, "/d", b"", with_blocks=True)
    )
    assert page is not None
    assert page.blocks is not None
    assert page.names == [b"a", b"b"]
    assert page.blocks[0] is None
    assert page.blocks[1] is not None
    assert [block.num_bytes for block in page.blocks[1].blocks] == [BLOCK, 1]
    assert page.remaining == 1


def test_closed_and_block_size(world: World) -> None:
    world.create("/f", block_size=2 * BLOCK)
    assert not world.read(lambda tx: is_file_closed(world.ns, tx, ROOT, "/f"))
    world.complete("/f", None)
    assert world.read(lambda tx: is_file_closed(world.ns, tx, ROOT, "/f"))
    size = world.read(lambda tx: get_preferred_block_size(world.ns, tx, ROOT, "/f"))
    assert size == 2 * BLOCK
    with pytest.raises(NotFound, match="Path is not a file"):
        world.read(lambda tx: is_file_closed(world.ns, tx, ROOT, "/"))
    with pytest.raises(NotFound, match="File does not exist"):
        world.read(lambda tx: get_preferred_block_size(world.ns, tx, ROOT, "/no"))


# --- attributes ----------------------------------------------------------------------------------


def test_attributes_change(world: World) -> None:
    world.put_file("/f", [BLOCK, 1])
    assert world.chmod("/f", 0o7777)
    assert world.inode("/f").mode == 0o1777
    assert not world.chmod("/f", 0o1777)
    assert world.chown("/f", "bob", "ops")
    assert not world.chown("/f", "bob", None)
    found = world.stat("/f")
    assert found is not None
    assert (found.owner, found.group) == ("bob", "ops")

    def set_times(mtime: int, atime: int) -> bool:
        return world.write(lambda tx: attributes.set_times(world.ns, tx, ROOT, "/f", mtime, atime))

    before = world.inode("/f")
    assert set_times(5, -1)
    assert (world.inode("/f").mtime, world.inode("/f").atime) == (5, before.atime)
    assert set_times(-1, 6)
    assert (world.inode("/f").mtime, world.inode("/f").atime) == (5, 6)
    assert not set_times(-1, -1)
    with pytest.raises(NotFound):
        world.write(lambda tx: attributes.set_times(world.ns, tx, ROOT, "/no", 1, 1))
    with pytest.raises(NotFound, match="Directory/File does not exist"):
        world.chmod("/no", 0o777)
    world.check()


@pytest.mark.requirement("A09")
def test_replication_goes_to_the_blocks(world: World) -> None:
    world.put_file("/f", [BLOCK, 1])

    def set_replication(path: str, replication: int) -> attributes.ReplicationChange:
        return world.write(
            lambda tx: attributes.set_replication(world.ns, tx, ROOT, path, replication)
        )

    change = set_replication("/f", 5)
    assert (change.is_file, change.old, change.new) == (True, 3, 5)
    facts = world.read(lambda tx: list(catalog.Catalog(tx).of_file(change.inode_id)))
    assert [fact.replication for fact in facts] == [5, 5]
    assert not set_replication("/", 2).is_file
    assert not set_replication("/no", 2).is_file
    with pytest.raises(FileSystemError):
        set_replication("/f", 1000)
    world.check()


# --- delete --------------------------------------------------------------------------------------


def test_delete(world: World) -> None:
    world.put_file("/d/e/f", [BLOCK, 5])
    world.put_file("/d/g", [1])
    with pytest.raises(DirectoryNotEmpty, match="/d is non empty"):
        world.delete("/d", recursive=False)
    assert not world.delete("/no").deleted
    ids = world.block_ids()
    world.now_ms += 1
    deleted = world.delete("/d")
    assert deleted.deleted
    assert not deleted.garbage
    assert {block.block_id for block in deleted.removed_blocks} == ids
    assert world.inode("/").mtime == world.now_ms
    totals = world.read(catalog.totals)
    assert (totals.files, totals.directories, totals.blocks, totals.complete_blocks) == (0, 1, 0, 0)
    world.check()


def test_the_root_cannot_be_deleted(world: World) -> None:
    assert not world.delete("/").deleted
    world.mkdirs("/a")
    with pytest.raises(DirectoryNotEmpty):
        world.delete("/", recursive=False)
    assert not world.delete("/").deleted
    assert world.names("/") == [b"a"]


@pytest.mark.requirement("A18")
@pytest.mark.parametrize("slice_limit", [1, 2, 7])
def test_a_large_subtree_is_gone_at_once_and_removed_later(slice_limit: int) -> None:
    world = World(NamespaceSettings(delete_inline_max=3))
    for i in range(4):
        world.put_file(f"/d/{i}/a", [BLOCK, BLOCK, 1])
        world.put_file(f"/d/{i}/b", [1])
    open_id = world.inode("/d/2/a").id
    world.append("/d/2/a", holder="late")
    ids = world.block_ids()
    assert len(ids) == 16
    deleted = world.delete("/d")
    assert deleted.garbage
    removed = {block.block_id for block in deleted.removed_blocks}
    assert len(removed) <= 3
    world.check()
    # Nothing of it can be reached any more, by no way.
    assert world.stat("/d") is None
    assert world.names("/") == []
    with pytest.raises(NotFound):
        world.add_block("/d/2/a", None, holder="late", file_id=open_id)
    with pytest.raises(NotFound):
        world.complete("/d/2/a", None, holder="late", file_id=open_id)
    with pytest.raises(NotFound):
        world.stat(f"/.reserved/.inodes/{open_id}")
    assert world.read(lambda tx: open_files.list_open_files(world.ns, tx, ROOT, 0)).entries == []
    # The name is free for something else meanwhile.
    world.put_file("/d/x", [7])
    kept = world.block_ids() - ids
    for _ in range(100):
        collected = world.collect(slice_limit)
        world.check()
        removed |= {block.block_id for block in collected.blocks}
        if not collected.more:
            break
    assert removed == ids
    assert world.block_ids() == kept
    assert not world.collect(2).more


# --- rename --------------------------------------------------------------------------------------


def test_rename_moves_a_subtree(world: World) -> None:
    moved = world.put_file("/a/b/f", [4])
    world.mkdirs("/c")
    world.now_ms += 9
    assert world.rename("/a/b", "/c")
    assert world.names("/c") == [b"b"]
    assert world.inode("/c/b/f") == moved
    assert world.stat("/a/b") is None
    assert world.inode("/a").mtime == world.inode("/c").mtime == world.now_ms
    assert world.rename("/c/b", "/c/d")
    assert world.rename("/c/d/f", "/c/g")
    assert world.inode("/c/g") == moved
    world.check()


def test_the_old_rename_says_false(world: World) -> None:
    world.put_file("/a/f")
    world.put_file("/g")
    assert not world.rename("/no", "/x")
    assert not world.rename("/", "/a")
    assert not world.rename("/a", "/a/b")
    assert not world.rename("/a/f", "/g")
    assert not world.rename("/a/f", "/no/x")
    assert world.rename("/a", "/a") is False
    assert world.rename("/g", "/g")
    # Into a directory that has the name already.
    world.put_file("/d/g")
    assert not world.rename("/g", "/d")
    with pytest.raises(NotADirectory):
        world.rename("/a", "/g/x")
    world.check()


def test_rename2_raises(world: World) -> None:
    world.put_file("/a/f")
    world.put_file("/g", [3])
    world.mkdirs("/d/e")
    with pytest.raises(NotFound, match="rename source /no is not found"):
        world.rename2("/no", "/x")
    with pytest.raises(FileSystemError, match="source cannot be the root"):
        world.rename2("/", "/x")
    with pytest.raises(FileSystemError, match="destination cannot be the root"):
        world.rename2("/a", "/")
    with pytest.raises(AlreadyExists, match="are the same"):
        world.rename2("/a", "/a")
    with pytest.raises(FileSystemError, match="under source /a"):
        world.rename2("/a", "/a/b")
    with pytest.raises(AlreadyExists, match="already exists"):
        world.rename2("/a/f", "/g")
    with pytest.raises(FileSystemError, match="must both be directories"):
        world.rename2("/a", "/g", overwrite=True)
    with pytest.raises(FileSystemError, match="not empty: /d"):
        world.rename2("/a", "/d", overwrite=True)
    with pytest.raises(NotFound, match="parent /no/x not found"):
        world.rename2("/a", "/no/x")
    with pytest.raises(NotADirectory):
        world.rename2("/a", "/g/x")
    world.check()


def test_rename2_overwrites(world: World) -> None:
    source = world.put_file("/a/f", [1])
    target = world.put_file("/a/g", [BLOCK, 2])
    target_blocks = {block.block_id for block in world.blocks("/a/g").blocks}
    renamed = world.rename2("/a/f", "/a/g", overwrite=True)
    assert {block.block_id for block in renamed.removed_blocks} == target_blocks
    assert world.inode("/a/g").id == source.id != target.id
    world.mkdirs("/e")
    assert world.rename2("/a", "/e", overwrite=True).renamed
    assert world.names("/") == [b"e"]
    world.check()


def test_rename_of_an_open_file_keeps_its_writer(world: World) -> None:
    world.create("/f")
    file_id = world.inode("/f").id
    block = world.fill("/f", [5])
    world.rename("/f", "/g")
    assert world.complete("/f", block, file_id=file_id).done
    assert world.inode("/g").length == 5
    world.check()


def test_a_rename_to_the_trash_is_checked_like_a_delete(world: World) -> None:
    world.chmod("/", 0o777)
    world.mkdirs("/d", 0o777)
    world.mkdirs("/d/secret", 0o700)
    world.put_file("/d/secret/f")
    trash = RenameOption.TO_TRASH

    def move(options: RenameOption) -> bool:
        return world.write(
            lambda tx: rename2(world.ns, tx, ALICE, world.now_ms, "/d", "/trash", options).renamed
        )

    with pytest.raises(PermissionDenied, match='inode="/d/secret"'):
        move(trash)
    assert move(RenameOption.NONE)


# --- concat --------------------------------------------------------------------------------------


def join(world: World, target: str, *sources: str) -> concat.Concatenated:
    return world.write(
        lambda tx: concat.concat(world.ns, tx, ROOT, world.now_ms, target, list(sources))
    )


@pytest.mark.requirement("C01")
def test_concat(world: World) -> None:
    world.put_file("/d/a", [BLOCK, 10])
    world.put_file("/d/b", [7], replication=2)
    world.put_file("/d/c", [BLOCK, 1])
    order = [
        block.block_id for path in ("/d/a", "/d/c", "/d/b") for block in world.blocks(path).blocks
    ]
    world.now_ms += 3
    joined = join(world, "/d/a", "/d/c", "/d/b")
    assert joined.replication_changed
    assert world.names("/d") == [b"a"]
    found = world.blocks("/d/a")
    assert [block.block_id for block in found.blocks] == order
    assert [block.offset for block in found.blocks] == [
        0,
        BLOCK,
        BLOCK + 10,
        2 * BLOCK + 10,
        2 * BLOCK + 11,
    ]
    assert found.file_length == world.inode("/d/a").length == 2 * BLOCK + 18
    assert world.inode("/d/a").mtime == world.inode("/d").mtime == world.now_ms
    world.check()
    # Ranges are found though the blocks are of uneven length.
    assert [b.block_id for b in world.blocks("/d/a", 2 * BLOCK + 10, 1).blocks] == [order[3]]


def test_concat_refuses_what_does_not_fit(world: World) -> None:
    world.put_file("/d/a", [1])
    world.put_file("/d/b", [1])
    world.put_file("/d/empty")
    world.put_file("/d/big", [1], block_size=2 * BLOCK)
    world.put_file("/e/c", [1])
    world.create("/d/open", holder="w")
    for sources in (["/d/a"], ["/d/b", "/d/b"], ["/d/empty"], ["/d/big"], ["/e/c"], ["/d/open"]):
        with pytest.raises(InvalidRequest):
            join(world, "/d/a", *sources)
    with pytest.raises(InvalidRequest, match="under construction"):
        join(world, "/d/open", "/d/a")
    with pytest.raises(NotFound):
        join(world, "/d/a", "/d/no")
    with pytest.raises(FileSystemError, match="No sources given"):
        join(world, "/d/a")
    with pytest.raises(FileSystemError, match="Target file name is empty"):
        join(world, "")
    with pytest.raises(FileSystemError, match="relative path"):
        join(world, "/d/a", f"/.reserved/.inodes/{world.inode('/d/b').id}")
    world.check()


# --- content summary -----------------------------------------------------------------------------


def test_content_summary(world: World) -> None:
    world.put_file("/d/a", [BLOCK, 10], replication=2)
    world.put_file("/d/e/b", [5])
    world.mkdirs("/d/f/g")
    world.create("/d/open", holder="w")
    open_id = world.inode("/d/open").id
    block = world.add_block("/d/open", None, holder="w").block
    world.write(lambda tx: fsync(world.ns, tx, ROOT, "/d/open", open_id, "w", 100))
    assert block.num_bytes == 0
    whole = world.read(lambda tx: summary.get_content_summary(world.ns, tx, ROOT, "/d"))
    assert (whole.file_count, whole.directory_count) == (3, 4)
    assert whole.length == BLOCK + 10 + 5 + 100
    assert whole.space_consumed == 2 * (BLOCK + 10) + 3 * 5 + 3 * 100
    assert whole.quota == -1
    file = world.read(lambda tx: summary.get_content_summary(world.ns, tx, ROOT, "/d/a"))
    assert (file.file_count, file.directory_count) == (1, 0)
    root = world.read(lambda tx: summary.get_content_summary(world.ns, tx, ROOT, "/"))
    assert root.quota == (1 << 63) - 1
    with pytest.raises(NotFound):
        world.read(lambda tx: summary.get_content_summary(world.ns, tx, ROOT, "/no"))
    # Slices of any size come to the same.
    for limit in (1, 2, 3):
        walk = world.read(lambda tx: summary.SummaryWalk(world.ns, tx, ROOT, "/d"))
        found = None
        while found is None:
            found = world.read(lambda tx, walk=walk, limit=limit: walk.step(tx, limit))
        assert found == whole


@pytest.mark.parametrize("subaccess", [False, True])
def test_content_summary_needs_every_directory(subaccess: bool) -> None:
    world = World(NamespaceSettings(content_summary_subaccess=subaccess))
    world.mkdirs("/d/open", 0o755)
    world.mkdirs("/d/secret", 0o711)
    with pytest.raises(PermissionDenied, match='access=READ_EXECUTE, inode="/d/secret"'):
        world.read(lambda tx: summary.get_content_summary(world.ns, tx, ALICE, "/d"))
    world.chmod("/d/secret", 0o755)
    found = world.read(lambda tx: summary.get_content_summary(world.ns, tx, ALICE, "/d"))
    assert found.directory_count == 3


# --- open files ----------------------------------------------------------------------------------


def test_open_files_are_listed_in_pages() -> None:
    world = World(NamespaceSettings(open_files_limit=2))
    for name in "abc":
        world.create(f"/d/{name}", holder=f"holder-{name}")
    world.create("/e", holder="x")
    page = world.read(lambda tx: open_files.list_open_files(world.ns, tx, ROOT, 0, "/d"))
    assert page.has_more
    assert [entry.path for entry in page.entries] == ["/d/a", "/d/b"]
    assert page.entries[0].client_name == "holder-a"
    assert page.entries[0].client_machine == ROOT.address
    last = page.entries[-1].inode_id
    page = world.read(lambda tx: open_files.list_open_files(world.ns, tx, ROOT, last, "/d/"))
    assert [entry.path for entry in page.entries] == ["/d/c"]
    assert not page.has_more
    with pytest.raises(PermissionDenied, match="Superuser privilege is required"):
        world.read(lambda tx: open_files.list_open_files(world.ns, tx, ALICE, 0))
