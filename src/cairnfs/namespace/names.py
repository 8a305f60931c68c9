"""User and group names as numbers: a record holds 4 bytes for a name.

The mapping only grows, so that a process may keep what it has read for ever.
"""

from __future__ import annotations

from cairnfs.errors import InvalidRequest, StoreDamaged
from cairnfs.namespace.records import Counters
from cairnfs.namespace.tables import name_id_key, name_key, table_range
from cairnfs.store.interface import Reader, Writer

# Longer than any account name; the name is a key of the store.
NAME_BYTES_MAX = 255
# An id that no name has.
ID_NONE = -1
# Callers whose ids are remembered.
_IDS_MAX = 8192


class Names:
    """Names by id, cached.

    An id that a batch hands out is not kept until the batch is known to be committed
    (:meth:`committed`): a rollback would give the same id to another name. Until then it
    is looked up in the transaction."""

    __slots__ = ("_by_id", "_by_name", "_ids", "_pending_from")

    def __init__(self) -> None:
        # Id 0 is nobody: the owner of what is only shown, such as /.reserved.
        self._by_id: dict[int, str] = {0: ""}
        self._by_name: dict[str, int] = {}
        self._ids: dict[tuple[str, tuple[str, ...]], tuple[int, tuple[int, ...]]] = {}
        # Ids from here on may still be rolled back; 0: none.
        self._pending_from = 0

    def load(self, tx: Reader) -> None:
        """Read all names (a start; a few hundred at most in practice)."""
        for key, value in tx.scan(*table_range(b"U")):
            name_id = int.from_bytes(key[1:], "big")
            self._keep(name_id, value.decode())

    def name(self, tx: Reader, name_id: int) -> str:
        """The name behind an id of a record. Raises ``StoreDamaged``."""
        name = self._by_id.get(name_id)
        return name if name is not None else self._read(tx, name_id)

    def ids(self, tx: Reader, user: str, groups: tuple[str, ...]) -> tuple[int, tuple[int, ...]]:
        """The ids of a user and of groups; ``ID_NONE`` for a name that no record has."""
        known = self._ids.get((user, groups))
        if known is not None:
            return known
        found = self._id(tx, user), tuple([self._id(tx, group) for group in groups])
        # One that no record has yet may be given an id any moment.
        if self._pending_from or found[0] == ID_NONE or ID_NONE in found[1]:
            return found
        if len(self._ids) >= _IDS_MAX:
            self._ids.clear()
        self._ids[user, groups] = found
        return found

    def _id(self, tx: Reader, name: str) -> int:
        known = self._by_name.get(name)
        if known is not None:
            return known
        encoded = name.encode()
        value = tx.get(name_id_key(encoded)) if 0 < len(encoded) <= NAME_BYTES_MAX else None
        return ID_NONE if value is None else int.from_bytes(value, "big")

    def intern(self, tx: Writer, counters: Counters, name: str) -> int:
        """The id of ``name``; a new one is taken from ``counters``."""
        known = self._by_name.get(name)
        if known is not None:
            return known
        encoded = name.encode()
        if not 0 < len(encoded) <= NAME_BYTES_MAX:
            raise InvalidRequest(
                f"a user or group name has 1 to {NAME_BYTES_MAX} bytes, not {len(encoded)}"
            )
        value = tx.get(name_id_key(encoded))
        if value is not None:
            name_id = int.from_bytes(value, "big")
            self._keep(name_id, name)
            return name_id
        counters.name_id += 1
        name_id = counters.name_id
        if not self._pending_from or name_id < self._pending_from:
            self._pending_from = name_id
        tx.put(name_key(name_id), encoded)
        tx.put(name_id_key(encoded), name_id.to_bytes(4, "big"))
        return name_id

    def committed(self) -> None:
        """The batch was committed: what it interned is there to stay."""
        self._pending_from = 0

    def _read(self, tx: Reader, name_id: int) -> str:
        value = tx.get(name_key(name_id))
        if value is None:
            raise StoreDamaged(f"no user or group has the id {name_id} that a record names")
        name = value.decode()
        self._keep(name_id, name)
        return name

    def _keep(self, name_id: int, name: str) -> None:
        if self._pending_from and name_id >= self._pending_from:
            return
        self._by_id[name_id] = name
        self._by_name[name] = name_id
