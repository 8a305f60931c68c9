"""Racks: where each DataNode stands, and how far two places are apart.

A location is a path such as ``/rack1`` or ``/hall2/rack7``; a node hangs below it.
The distance of two nodes is the number of edges between them in that tree: 0 on one
host, 2 in one rack, 4 across racks of one hall, more further away.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from cairnfs.errors import InvalidRequest

DEFAULT_RACK = "/default-rack"
DISTANCE_SAME_HOST = 0
DISTANCE_SAME_RACK = 2

# Location of a host name or address; the role fills it from a table or a script.
Resolver = Callable[[str], str | None]


def table_resolver(table: Mapping[str, str]) -> Resolver:
    """A resolver over a fixed table of host names and addresses."""
    return table.get


def normalise_location(location: str) -> str:
    """``/a/b`` for any spelling of it. Raises ``InvalidRequest`` for what is no path."""
    if not location.startswith("/"):
        raise InvalidRequest(
            f"the network location {location!r} does not begin with '/'; write for example /rack1"
        )
    parts = [part for part in location.split("/") if part]
    return "/" + "/".join(parts) if parts else DEFAULT_RACK


@functools.lru_cache(maxsize=65_536)
def rack_distance(one: str, other: str) -> int:
    """Edges between two different hosts at these locations."""
    if one == other:
        return DISTANCE_SAME_RACK
    left, right = one.split("/"), other.split("/")
    shared = 0
    for mine, theirs in zip(left, right, strict=False):
        if mine != theirs:
            break
        shared += 1
    return len(left) + len(right) - 2 * shared + 2


class Placed(Protocol):
    """What can stand in a rack."""

    @property
    def location(self) -> str: ...


N = TypeVar("N", bound=Placed)


class NetworkTopology(Generic[N]):
    """The nodes that can hold data now, by rack.

    Lists allow random draws; membership and removal take constant time."""

    def __init__(self) -> None:
        self._racks: dict[str, list[N]] = {}
        self._all: list[N] = []
        # Node identity -> positions in the whole list and in its rack's.
        self._positions: dict[int, tuple[int, int, str]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, node: N) -> bool:
        return id(node) in self._positions

    @property
    def nodes(self) -> list[N]:
        """All nodes; not to be changed by the caller."""
        return self._all

    @property
    def rack_count(self) -> int:
        return len(self._racks)

    def racks(self) -> Mapping[str, list[N]]:
        return self._racks

    def rack(self, location: str) -> list[N]:
        """The nodes of one rack (not to be changed); empty if there is none."""
        return self._racks.get(location, [])

    def add(self, node: N) -> None:
        if id(node) in self._positions:
            return
        location = node.location
        rack = self._racks.setdefault(location, [])
        self._positions[id(node)] = (len(self._all), len(rack), location)
        self._all.append(node)
        rack.append(node)

    def remove(self, node: N) -> None:
        """Take a node out; it must not have changed its location since it was added."""
        position = self._positions.pop(id(node), None)
        if position is None:
            return
        index, rack_index, location = position
        # The last one takes the free place, so that nothing else moves.
        last = self._all.pop()
        if last is not node:
            self._all[index] = last
            self._positions[id(last)] = (index, *self._positions[id(last)][1:])
        rack = self._racks[location]
        last = rack.pop()
        if last is not node:
            rack[rack_index] = last
            whole, _, _ = self._positions[id(last)]
            self._positions[id(last)] = (whole, rack_index, location)
        if not rack:
            del self._racks[location]
