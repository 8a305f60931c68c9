"""Racks and distances."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given

from cairnfs.blocks.hosts import HostSets, parse_hosts
from cairnfs.blocks.topology import (
    NetworkTopology,
    normalise_location,
    rack_distance,
    table_resolver,
)
from cairnfs.errors import InvalidRequest
from cairnfs.types import DatanodeID


@dataclass(eq=False)
class Place:
    location: str


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("/a", "/a", 2),
        ("/a", "/b", 4),
        ("/h1/a", "/h1/b", 4),
        ("/h1/a", "/h2/a", 6),
        ("/a", "/h1/a", 5),
    ],
)
def test_distances(one: str, other: str, distance: int) -> None:
    assert rack_distance(one, other) == rack_distance(other, one) == distance


def test_locations_are_paths() -> None:
    assert normalise_location("//hall//rack/") == "/hall/rack"
    assert normalise_location("/") == "/default-rack"
    with pytest.raises(InvalidRequest, match="does not begin with '/'"):
        normalise_location("rack1")


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_nodes_come_and_go(changes: list[tuple[int, bool]]) -> None:
    topology: NetworkTopology[Place] = NetworkTopology()
    places = [Place(f"/rack{number % 3}") for number in range(10)]
    model: set[int] = set()
    for number, leaves in changes:
        if leaves:
            topology.remove(places[number])
            model.discard(number)
        else:
            topology.add(places[number])
            model.add(number)
        assert sorted(map(places.index, topology.nodes)) == sorted(model)
        racks = {f"/rack{one % 3}" for one in model}
        assert topology.rack_count == len(racks) == len(topology.racks())
        for rack in racks:
            here = sorted(map(places.index, topology.rack(rack)))
            assert here == sorted(one for one in model if places[one].location == rack)
        assert all((places[one] in topology) == (one in model) for one in range(10))
    assert topology.rack("/nowhere") == []


def test_resolver_of_a_table() -> None:
    resolve = table_resolver({"h1": "/r1"})
    assert (resolve("h1"), resolve("h2")) == ("/r1", None)


def test_host_files() -> None:
    entries = parse_hosts("h1 10.0.0.2  # two\n\n# none\nh3:9866\n")
    assert entries == {"h1", "10.0.0.2", "h3:9866"}
    hosts = HostSets(entries, frozenset({"10.0.0.2"}))

    def node(ip: str, name: str, port: int = 9866) -> DatanodeID:
        return DatanodeID(ip, name, "u", port, 1, 2)

    assert hosts.included(node("10.0.0.1", "h1"))
    assert hosts.included(node("10.0.0.3", "h3"))
    assert not hosts.included(node("10.0.0.3", "h3", 9000))
    assert hosts.excluded(node("10.0.0.2", "h2"))
    assert HostSets().included(node("10.9.9.9", "h9"))
    assert not HostSets().excluded(node("10.9.9.9", "h9"))
