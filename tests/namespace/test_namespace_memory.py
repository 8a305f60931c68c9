"""What is kept in memory or for a while: names, lease renewals, answers for retries."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from namespace_world import ALICE, World

from cairnfs.errors import InvalidRequest, StoreDamaged
from cairnfs.namespace.leases import LeaseTable
from cairnfs.namespace.names import Names
from cairnfs.namespace.records import read_counters, write_counters
from cairnfs.namespace.retry_cache import find_answer, keep_answer, trim_answers
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.store.interface import Writer


def test_names_survive_a_restart(world: World) -> None:
    world.mkdirs("/a", caller=replace(ALICE, superuser=True))
    world.chown("/a", None, "grüppe")
    world.restart()
    found = world.stat("/a")
    assert found is not None
    assert (found.owner, found.group) == ("alice", "grüppe")
    # Another process that read the store before learns of new names as it meets them.
    other = Names()
    inode = world.inode("/a")
    assert world.read(lambda tx: other.name(tx, inode.group)) == "grüppe"
    with pytest.raises(StoreDamaged):
        world.read(lambda tx: other.name(tx, 99))


def test_a_name_of_an_undone_operation_is_not_kept(world: World) -> None:
    """Its id goes to the next new name, within the same batch even."""
    names = world.ns.names

    def intern(tx: Writer, name: str) -> int:
        counters = read_counters(tx)
        name_id = names.intern(tx, counters, name)
        write_counters(tx, counters)
        assert names.name(tx, name_id) == name
        return name_id

    batch = world.store.batch()
    mark = batch.savepoint()
    undone = intern(batch, "mallory")
    batch.rollback(mark)
    assert intern(batch, "bob") == undone
    assert names.name(batch, undone) == "bob"
    batch.commit()
    names.committed()
    assert world.read(lambda tx: names.name(tx, undone)) == "bob"
    assert world.write(lambda tx: intern(tx, "bob")) == undone
    world.check()


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_names_have_limits(world: World, name: str) -> None:
    world.mkdirs("/a")
    with pytest.raises(InvalidRequest):
        world.chown("/a", name)
    assert not world.chown("/a", "root")


def test_leases_run_out_softly_then_hard() -> None:
    table = LeaseTable(60, 1200, 90)
    table.grant("a", 0)
    assert not table.soft_expired("a", 60)
    assert table.soft_expired("a", 61)
    assert table.soft_expired("unknown", 0)
    assert table.hard_expired(1200) == []
    assert table.hard_expired(1201) == ["a"]
    assert table.renew("a", 1000)
    assert table.hard_expired(1201) == []
    table.forget("a")
    assert not table.renew("a", 2000)
    assert len(table) == 0
    # Recoveries of our own are looked at again sooner, each in its turn.
    first = table.internal_holder(0)
    table.grant(first, 0)
    assert table.is_hard_expired(first, 91)
    assert table.internal_holder(91) != first


CALL = b"c" * 16 + (7).to_bytes(4, "big")


def test_answers_are_found_again(world: World) -> None:
    settings = world.ns.settings
    expiry_ms = settings.retry_cache_expiry_ms

    def find(call_id: int = 7, client_id: bytes = b"c" * 16) -> bytes | None:
        call = client_id + call_id.to_bytes(4, "big")
        return world.read(lambda tx: find_answer(settings, tx, call, world.now_ms))

    assert find() is None
    world.write(lambda tx: keep_answer(settings, tx, CALL, world.now_ms, b"yes"))
    assert find() == b"yes"
    assert find(call_id=8) is None
    assert find(client_id=b"d" * 16) is None
    world.restart()
    world.now_ms += expiry_ms
    assert find() == b"yes"
    assert world.write(lambda tx: trim_answers(settings, tx, world.now_ms, 10)) == 0
    world.now_ms += expiry_ms
    assert find() is None
    assert world.write(lambda tx: trim_answers(settings, tx, world.now_ms, 10)) == 1
    assert world.write(lambda tx: trim_answers(settings, tx, world.now_ms, 10)) == 0


def test_calls_without_an_id_are_not_kept(world: World) -> None:
    settings = world.ns.settings
    before = world.read(lambda tx: list(tx.scan(b"R", b"S")))
    for call in (b"", b"short"):
        world.write(lambda tx, call=call: keep_answer(settings, tx, call, 0, b"x"))
        assert world.read(lambda tx, call=call: find_answer(settings, tx, call, 0)) is None
    off = NamespaceSettings(retry_cache_enabled=False)
    world.write(lambda tx: keep_answer(off, tx, CALL, 0, b"x"))
    assert world.read(lambda tx: find_answer(off, tx, CALL, 0)) is None
    assert world.read(lambda tx: list(tx.scan(b"R", b"S"))) == before


@given(
    st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 5000)), max_size=20),
    st.integers(1, 7),
)
def test_trimming_forgets_nothing_too_early(calls: list[tuple[int, int]], limit: int) -> None:
    settings = NamespaceSettings(retry_cache_expiry_ms=1000)
    world = World(settings)
    kept: dict[int, int] = {}
    for call_id, at_ms in sorted(calls, key=lambda call: call[1]):
        call = b"k" * 16 + call_id.to_bytes(4, "big", signed=True)
        world.write(lambda tx, call=call, at_ms=at_ms: keep_answer(settings, tx, call, at_ms, b"1"))
        kept[call_id] = at_ms
    now_ms = max(kept.values(), default=0)
    while world.write(lambda tx: trim_answers(settings, tx, now_ms, limit)):
        pass
    for call_id, at_ms in kept.items():
        call = b"k" * 16 + call_id.to_bytes(4, "big", signed=True)
        found = world.read(lambda tx, call=call: find_answer(settings, tx, call, now_ms))
        if now_ms - at_ms <= 1000:
            assert found == b"1"
        if now_ms - at_ms > 2000:
            assert found is None
