"""Who may do what: examples in Hadoop's words, and everything against a naive model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from namespace_world import ALICE, BOB, OVERWRITE, ROOT, World

from cairnfs.errors import CairnError, NotFound, PermissionDenied
from cairnfs.namespace import attributes, concat
from cairnfs.namespace.permissions import mode_string
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.types import Caller


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (0o755, "rwxr-xr-x"),
        (0o1777, "rwxrwxrwt"),
        (0o1776, "rwxrwxrwT"),
        (0, "---------"),
        (0o640, "rw-r-----"),
    ],
)
def test_modes_are_shown_as_ls_does(mode: int, text: str) -> None:
    assert mode_string(mode) == text


def test_messages_have_hadoops_shape(world: World) -> None:
    world.mkdirs("/x", 0o755)
    world.chown("/x", "bob")
    with pytest.raises(PermissionDenied) as denied:
        world.mkdirs("/x/y", caller=ALICE)
    assert str(denied.value) == (
        'Permission denied: user=alice, access=WRITE, inode="/x":bob:supergroup:drwxr-xr-x'
    )
    world.put_file("/x/f", mode=0o600)
    with pytest.raises(PermissionDenied) as denied:
        world.blocks("/x/f", caller=ALICE)
    assert str(denied.value) == (
        'Permission denied: user=alice, access=READ, inode="/x/f":root:supergroup:-rw-------'
    )
    world.chmod("/x", 0o700)
    with pytest.raises(PermissionDenied, match='access=EXECUTE, inode="/x":bob:super'):
        world.stat("/x/f", ALICE)
    with pytest.raises(PermissionDenied) as denied:
        world.chmod("/x", 0o777, ALICE)
    assert str(denied.value) == "Permission denied. user=alice is not the owner of inode=/x"


def test_reading_a_file_that_is_not_there_is_not_a_matter_of_permission(world: World) -> None:
    world.mkdirs("/x", 0o700)
    with pytest.raises(NotFound):
        world.blocks("/x/f", caller=ALICE)


def test_sticky_directories_keep_the_files_of_others(world: World) -> None:
    world.mkdirs("/tmp", 0o1777)
    world.chmod("/tmp", 0o1777)
    world.put_file("/tmp/f", caller=ALICE)
    for operation in (
        lambda: world.delete("/tmp/f", BOB),
        lambda: world.rename("/tmp/f", "/tmp/g", BOB),
        lambda: world.rename2("/tmp/f", "/tmp/g", BOB),
    ):
        with pytest.raises(PermissionDenied) as denied:
            operation()
        assert str(denied.value) == (
            "Permission denied by sticky bit: user=bob,"
            ' path="/tmp/f":alice:supergroup:-rw-r--r--,'
            ' parent="/tmp":root:supergroup:drwxrwxrwt'
        )
    assert world.delete("/tmp/f", ALICE).deleted
    world.check()


def test_a_recursive_delete_needs_every_directory(world: World) -> None:
    world.chmod("/", 0o777)
    world.mkdirs("/d", caller=ALICE)
    world.mkdirs("/d/e", 0o755)
    world.put_file("/d/e/f")
    with pytest.raises(PermissionDenied, match='access=ALL, inode="/d/e":root'):
        world.delete("/d", ALICE)
    world.delete("/d/e/f")
    # What is empty needs no permission.
    assert world.delete("/d", ALICE).deleted
    world.mkdirs("/s/t", 0o1777)
    world.chmod("/s", 0o777)
    world.put_file("/s/t/f", caller=BOB)
    with pytest.raises(PermissionDenied, match=r'sticky bit.*path="/s/t/f":bob'):
        world.delete("/s", ALICE)


def test_owners_and_groups(world: World) -> None:
    world.put_file("/f")
    world.chown("/f", "alice")
    assert world.chown("/f", None, "staff", ALICE)
    assert not world.chown("/f", "alice", None, ALICE)
    with pytest.raises(PermissionDenied, match="does not belong to ops"):
        world.chown("/f", None, "ops", ALICE)
    with pytest.raises(PermissionDenied, match="non-super user cannot change owner"):
        world.chown("/f", "bob", None, ALICE)
    with pytest.raises(PermissionDenied, match="is not the owner"):
        world.chown("/f", None, "ops", BOB)
    world.chmod("/f", 0o060)
    # The owner has no bit, though the group he is in has them.
    with pytest.raises(PermissionDenied):
        world.blocks("/f", caller=ALICE)
    world.blocks("/f", caller=BOB)


def test_permissions_may_be_switched_off() -> None:
    world = World(NamespaceSettings(permissions_enabled=False))
    world.mkdirs("/d", 0o000)
    world.put_file("/d/f", mode=0, caller=ALICE)
    world.blocks("/d/f", caller=BOB)
    assert world.names("/d", BOB) == [b"f"]
    # Ownership is asked for all the same, as in HDFS.
    with pytest.raises(PermissionDenied):
        world.chmod("/d/f", 0o777, BOB)
    assert world.delete("/d", BOB).deleted


def test_overwriting_needs_to_write_the_file(world: World) -> None:
    world.mkdirs("/d", 0o777)
    world.chmod("/d", 0o777)
    world.put_file("/d/f", mode=0o644)
    with pytest.raises(PermissionDenied, match='access=WRITE, inode="/d/f"'):
        world.create("/d/f", ALICE, flag=OVERWRITE)
    with pytest.raises(PermissionDenied, match='access=WRITE, inode="/d/f"'):
        world.append("/d/f", caller=ALICE)


# --- against a model -----------------------------------------------------------------------------

# A chain /a/b/c (c: file or directory), its owners, groups and modes.
OWNERS = ["alice", "bob", "root"]
GROUPS = ["staff", "ops", "supergroup"]
NODE = st.tuples(st.sampled_from(OWNERS), st.sampled_from(GROUPS), st.integers(0, 0o1777))
CALLERS = st.sampled_from([ALICE, BOB, ROOT])


class Node:
    def __init__(self, facts: tuple[str, str, int]) -> None:
        self.owner, self.group, self.mode = facts

    def grants(self, caller: Caller, access: str) -> bool:
        if caller.superuser:
            return True
        if self.owner == caller.user:
            bits = self.mode >> 6 & 7
        elif self.group in caller.groups:
            bits = self.mode >> 3 & 7
        else:
            bits = self.mode & 7
        return all(bits & {"r": 4, "w": 2, "x": 1}[letter] for letter in access)


def may_remove(caller: Caller, parent: Node, child: Node) -> bool:
    sticky = parent.mode & 0o1000 and caller.user not in (parent.owner, child.owner)
    return caller.superuser or (parent.grants(caller, "w") and not sticky)


def allowed(operation: Callable[[], object]) -> bool:
    try:
        operation()
    except PermissionDenied:
        return False
    return True


def build(nodes: list[Node], last_is_file: bool) -> World:
    world = World()
    world.chmod("/", 0o755)
    world.mkdirs("/a/b")
    if last_is_file:
        world.put_file("/a/b/c", [5])
        world.put_file("/a/b/other", [5])
        world.chown("/a/b/other", "nobody")
        world.chmod("/a/b/other", 0o666)
    else:
        world.put_file("/a/b/c/d", [5])
    for path, node in zip(("/a", "/a/b", "/a/b/c"), nodes, strict=True):
        world.chown(path, node.owner, node.group)
        world.chmod(path, node.mode)
    return world


@settings(max_examples=60)
@given(st.lists(NODE, min_size=3, max_size=3), CALLERS)
def test_files_against_the_model(facts: list[tuple[str, str, int]], caller: Caller) -> None:
    nodes = [Node(fact) for fact in facts]
    a, b, c = nodes
    reach = a.grants(caller, "x") and b.grants(caller, "x")
    ns_world = build(nodes, last_is_file=True)

    def probe(operation: Callable[[World], object]) -> bool:
        return allowed(lambda: operation(ns_world))

    assert probe(lambda w: w.stat("/a/b/c", caller)) == reach
    assert probe(lambda w: w.blocks("/a/b/c", caller=caller)) == (reach and c.grants(caller, "r"))
    assert probe(lambda w: w.names("/a/b", caller)) == (
        a.grants(caller, "x") and b.grants(caller, "rx")
    )
    assert probe(lambda w: set_times(w, "/a/b/c", caller)) == (reach and c.grants(caller, "w"))
    owner = reach and (caller.superuser or c.owner == caller.user)
    assert probe(lambda w: w.chmod("/a/b/c", c.mode, caller)) == owner
    create = reach and b.grants(caller, "w")
    assert probe(lambda w: w.mkdirs("/a/b/new", caller=caller)) == create
    assert probe(lambda w: w.create("/a/b/made", caller)) == create
    joins = reach and c.grants(caller, "r") and may_remove(caller, b, c)
    assert probe(lambda w: join_other(w, caller)) == joins
    if not joins:
        removes = reach and may_remove(caller, b, c)
        assert probe(lambda w: w.rename("/a/b/c", "/a/b/e", caller)) == removes
        source = "/a/b/e" if removes else "/a/b/c"
        assert probe(lambda w: w.delete(source, caller)) == removes
    ns_world.check()


def set_times(world: World, path: str, caller: Caller) -> None:
    world.write(lambda tx: attributes.set_times(world.ns, tx, caller, path, 1, 1))


def join_other(world: World, caller: Caller) -> None:
    world.write(
        lambda tx: concat.concat(world.ns, tx, caller, world.now_ms, "/a/b/other", ["/a/b/c"])
    )


@settings(max_examples=60)
@given(st.lists(NODE, min_size=3, max_size=3), CALLERS)
def test_subtrees_against_the_model(facts: list[tuple[str, str, int]], caller: Caller) -> None:
    nodes = [Node(fact) for fact in facts]
    a, b, c = nodes
    world = build(nodes, last_is_file=False)
    child = Node(("root", "supergroup", 0o644))
    enters = a.grants(caller, "x")
    sticky = not may_remove(caller, b, c) and b.grants(caller, "w")
    sticky = sticky or (not may_remove(caller, c, child) and c.grants(caller, "w"))
    subtree = b.grants(caller, "rwx") and c.grants(caller, "rwx") and not sticky
    expected = caller.superuser or (enters and may_remove(caller, a, b) and subtree)
    assert allowed(lambda: world.delete("/a/b", caller)) == expected
    assert (world.stat("/a/b") is None) == expected
    world.check()


@given(st.lists(NODE, min_size=3, max_size=3))
def test_a_superuser_may_do_everything(facts: list[tuple[str, str, int]]) -> None:
    world = build([Node(fact) for fact in facts], last_is_file=True)
    try:
        world.stat("/a/b/c")
        world.blocks("/a/b/c")
        world.rename2("/a/b/c", "/a/x")
        world.delete("/a")
    except CairnError as error:
        pytest.fail(str(error))
