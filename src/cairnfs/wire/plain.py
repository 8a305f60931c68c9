"""Protobuf's own encoding, written out for the few messages that a short command needs.

Importing protobuf costs ``cairn fs -ls /`` as much as a third of all else that it does
(measured in one run: 45 ms beside 115, of which 15 are the interpreter's own start). So RPC
headers and the plainest calls to the NameNode are put together and taken apart here, and
protobuf is imported where other messages are. :mod:`cairnfs.wire.codec` says the same.

Readers raise ``RemoteProtocolError`` for what is no message, lacks a required field or holds
a string that is not UTF-8. Fields that are not known are skipped.
"""

from __future__ import annotations

from cairnfs.errors import RemoteProtocolError
from cairnfs.wire.rpc import encode_varint

VARINT = 0
FIXED64 = 1
LENGTH_DELIMITED = 2
FIXED32 = 5
# A group's begin and end; long out of use, but what protobuf skips is skipped.
_GROUP_START = 3
_GROUP_END = 4
_GROUPS_DEEP_MAX = 100
_NUMBER_MAX = (1 << 29) - 1

# Field number -> values: ints (varints) or bytes, in the order in which they came.
Fields = dict[int, list[int | bytes]]


# --- writing -------------------------------------------------------------------------------------


def number_field(number: int, value: int) -> bytes:
    """A varint field: bool, enum, or an integer below 2**64; -1 is a 64-bit one's complement."""
    return encode_varint(number << 3) + encode_varint(value & 0xFFFFFFFFFFFFFFFF)


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of bytes, or a message within a message."""
    return encode_varint(number << 3 | LENGTH_DELIMITED) + encode_varint(len(value)) + value


def text_field(number: int, value: str) -> bytes:
    """Raises ``UnicodeEncodeError`` for a text that UTF-8 does not take."""
    return bytes_field(number, value.encode())


# --- reading -------------------------------------------------------------------------------------


def _varint(data: bytes, position: int) -> tuple[int, int]:
    try:
        value = data[position]
        position += 1
        if value < 0x80:
            return value, position
        value &= 0x7F
        shift = 7
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, position
            shift += 7
            if shift > 63:
                break
    except IndexError:
        pass
    raise RemoteProtocolError("a message ends within a number, or a number is too long")


def read(data: bytes) -> Fields:
    """Every field of the message ``data``."""
    fields: Fields = {}
    position, end = 0, len(data)
    while position < end:
        # Nearly all tags are one byte, and calls cost more than they do.
        tag = data[position]
        position += 1
        if tag > 0x7F:
            tag, position = _varint(data, position - 1)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == VARINT:
            value, position = _varint(data, position)
        elif kind == LENGTH_DELIMITED:
            length, position = _varint(data, position)
            value = data[position : position + length]
            position += length
        else:
            value = b""
            position = _skip(data, position, kind, number)
        if position > end or not 0 < number <= _NUMBER_MAX:
            raise RemoteProtocolError(f"{end} bytes are no message: field {number} is broken")
        # Nothing that is read here is a fixed number or a group.
        if kind in (VARINT, LENGTH_DELIMITED):
            fields.setdefault(number, []).append(value)
    return fields


def _skip(data: bytes, position: int, kind: int, number: int, depth: int = 0) -> int:
    """The position behind a field's value, which begins at ``position``."""
    if kind == VARINT:
        return _varint(data, position)[1]
    if kind == LENGTH_DELIMITED:
        length, position = _varint(data, position)
        return position + length
    if kind in (FIXED64, FIXED32):
        return position + (8 if kind == FIXED64 else 4)
    if kind != _GROUP_START or depth > _GROUPS_DEEP_MAX:
        raise RemoteProtocolError(f"a field of a message has the wire type {kind} or is too deep")
    while True:
        tag, position = _varint(data, position)
        if tag & 7 == _GROUP_END:
            if tag >> 3 != number:
                raise RemoteProtocolError("a group of a message ends as another one")
            return position
        position = _skip(data, position, tag & 7, tag >> 3, depth + 1)


def number(fields: Fields, field: int, default: int | None = None) -> int:
    """The last value of a varint field; ``default`` None: it must be there."""
    for value in reversed(fields.get(field, ())):
        if isinstance(value, int):
            return value
    if default is None:
        raise RemoteProtocolError(f"a message lacks field {field}, a number")
    return default


def signed(value: int) -> int:
    """What a number means as the ``int32`` or ``int64`` (or Java ``long``) it was."""
    return value - (1 << 64) if value >> 63 else value


def data(fields: Fields, field: int, default: bytes | None = None) -> bytes:
    """The last value of a bytes field; ``default`` None: it must be there."""
    for value in reversed(fields.get(field, ())):
        if isinstance(value, bytes):
            return value
    if default is None:
        raise RemoteProtocolError(f"a message lacks field {field}, a string or message")
    return default


def text(fields: Fields, field: int, default: str | None = None) -> str:
    """The last value of a string field; ``default`` None: it must be there."""
    raw = data(fields, field, None if default is None else default.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError(
            f"field {field} of a message is not UTF-8: {raw[:40]!r}"
        ) from None


def message(fields: Fields, field: int) -> Fields | None:
    """The message in a field (parts of it may come apart), None if there is none."""
    parts = [value for value in fields.get(field, ()) if isinstance(value, bytes)]
    return read(b"".join(parts)) if parts else None
