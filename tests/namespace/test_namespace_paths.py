"""Paths: what is valid, what is reserved, what is too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from namespace_world import ALICE, ROOT, World

from cairnfs.errors import (
    CairnError,
    FileSystemError,
    InvalidPath,
    InvalidRequest,
    NameTooLong,
    NotFound,
    PermissionDenied,
    StartAfterNotFound,
    UnsupportedOperation,
)
from cairnfs.namespace.listing import get_listing
from cairnfs.namespace.paths import is_valid_path, join_path, split_path
from cairnfs.namespace.settings import NamespaceSettings


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/a//", "/a/b", "/ä/日本", "/...", "/.reserved/.inodes/1/.."]
)
def test_valid(path: str) -> None:
    assert is_valid_path(path)


@pytest.mark.parametrize(
    "path", ["", "a", "a/b", "/.", "/..", "/a/./b", "/a/../b", "/a//b", "/a:b", "//a"]
)
def test_invalid(path: str) -> None:
    assert not is_valid_path(path)


def test_split_tolerates_doubled_and_trailing_slashes() -> None:
    assert split_path("/") == []
    assert split_path("//a///b/") == [b"a", b"b"]
    with pytest.raises(InvalidPath):
        split_path("a/b")


@given(st.lists(st.text(min_size=1).filter(lambda name: "/" not in name)))
def test_split_undoes_join(names: list[str]) -> None:
    encoded = [name.encode() for name in names]
    assert split_path(join_path(encoded)) == encoded


@given(st.text())
def test_any_text_is_answered_or_refused(path: str) -> None:
    world = World()
    for operation in (world.stat, world.names, world.mkdirs, world.delete, world.blocks):
        try:
            operation(path)
        except CairnError:
            pass
    world.check()


def test_inode_path_leads_to_where_the_inode_is(world: World) -> None:
    world.mkdirs("/a/b")
    inode = world.put_file("/a/b/f", [5])
    directory = world.inode("/a/b")
    assert world.inode(f"/.reserved/.inodes/{inode.id}") == inode
    assert world.inode(f"/.reserved/.inodes/{directory.id}/f") == inode
    assert world.inode(f"/.reserved/.inodes/{directory.id}/..") == world.inode("/a")
    assert world.inode("/.reserved/.inodes/16385") == world.inode("/")
    assert world.stat(f"/.reserved/.inodes/{directory.id}/g") is None
    world.mkdirs(f"/.reserved/.inodes/{directory.id}/g")
    assert world.names("/a/b") == [b"f", b"g"]
    world.rename("/a/b", "/moved")
    assert world.inode(f"/.reserved/.inodes/{inode.id}") == inode


@pytest.mark.parametrize("text", ["99", "x", "-1", "1" * 30])
def test_inode_path_of_nothing(world: World, text: str) -> None:
    with pytest.raises(NotFound):
        world.stat(f"/.reserved/.inodes/{text}")


def test_reserved_is_shown_and_not_changed(world: World) -> None:
    shown = world.stat("/.reserved")
    assert shown is not None
    assert (shown.mode, shown.inode_id, shown.owner) == (0o1770, 0, "")
    assert world.names("/.reserved") == [b".inodes", b"raw"]
    assert world.stat("/.reserved/.inodes") is None
    with pytest.raises(InvalidPath):
        world.delete("/.reserved")
    with pytest.raises(InvalidPath):
        world.chmod("/.reserved", 0o777)
    with pytest.raises(InvalidPath):
        world.chown("/.reserved", "bob")
    with pytest.raises(InvalidPath):
        world.create("/.reserved/x")
    with pytest.raises(InvalidRequest):
        world.mkdirs("/.reserved")
    with pytest.raises(UnsupportedOperation):
        world.stat("/.reserved/raw/a")
    world.mkdirs("/a")
    with pytest.raises(InvalidPath):
        world.rename("/a", "/.reserved")
    with pytest.raises(InvalidRequest):
        world.mkdirs("/a/.snapshot")
    world.check()


def test_names_and_paths_have_limits(world: World) -> None:
    world.mkdirs("/" + "n" * 255)
    with pytest.raises(NameTooLong, match="limit=255 length=256"):
        world.mkdirs("/" + "n" * 256)
    # Bytes count, not characters.
    with pytest.raises(NameTooLong):
        world.create("/" + "ä" * 128)
    assert world.stat("/" + "n" * 4000) is None
    with pytest.raises(FileSystemError, match="Limit 8000 characters, 1000 levels"):
        world.mkdirs("/a" * 4001)
    with pytest.raises(FileSystemError, match="1000 levels"):
        world.create("/a" * 1001)
    world.mkdirs("/a" * 1000)
    world.check()


def test_without_a_configured_limit_a_name_still_fits_the_store() -> None:
    world = World(NamespaceSettings(component_bytes_max=0))
    world.mkdirs("/" + "n" * 490)
    with pytest.raises(NameTooLong):
        world.mkdirs("/" + "n" * 491)


def test_a_listing_goes_on_behind_an_inode_path(world: World) -> None:
    for name in "abc":
        world.mkdirs(f"/d/{name}")
    inode_id = world.inode("/d/b").id
    cookie = f"/.reserved/.inodes/{inode_id}".encode()
    page = world.read(lambda tx: get_listing(world.ns, tx, ROOT, "/d", cookie))
    assert page is not None
    assert page.names == [b"c"]
    world.delete("/d/b")
    with pytest.raises(StartAfterNotFound):
        world.read(lambda tx: get_listing(world.ns, tx, ROOT, "/d", cookie))
    # A cookie longer than any name sorts where it belongs.
    long = b"a" * 600
    page = world.read(lambda tx: get_listing(world.ns, tx, ROOT, "/d", long))
    assert page is not None
    assert page.names == [b"c"]


def test_below_a_file_is_nothing(world: World) -> None:
    world.put_file("/f")
    assert world.stat("/f/x") is None
    with pytest.raises(PermissionDenied, match=r"/f \(is not a directory\)"):
        world.stat("/f/x", ALICE)
