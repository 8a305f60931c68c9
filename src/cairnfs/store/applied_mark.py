"""Which journal record a store holds last, kept in the store's own transactions."""

from __future__ import annotations

import struct

from cairnfs.errors import StoreDamaged
from cairnfs.store.interface import Reader
from cairnfs.store.journal_scan import NO_MARK, JournalMark

# Tables of users of the store never begin with this byte.
MARK_KEY = b"\xffapplied"
_MARK = struct.Struct("<QQQ")


def pack_mark(mark: JournalMark) -> bytes:
    return _MARK.pack(*mark)


def read_mark(reader: Reader) -> JournalMark:
    """The last record applied; ``NO_MARK`` in a new store. Raises ``StoreDamaged``."""
    value = reader.get(MARK_KEY)
    if value is None:
        return NO_MARK
    if len(value) != _MARK.size:
        raise StoreDamaged("the store does not say which journal record it holds last")
    return JournalMark(*_MARK.unpack(value))
