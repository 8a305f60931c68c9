"""Protobuf messages from bytes that a peer sent, and varint-delimited ones from a stream.

Hadoop precedes a message with its length as a varint wherever it stands in a stream
(``writeDelimitedTo``): operations, answers and acknowledgements of the data transfer.
"""

from __future__ import annotations

import functools
from typing import TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message

from cairnfs.errors import LocalProtocolError, RemoteProtocolError
from cairnfs.wire.rpc import encode_varint

M = TypeVar("M", bound=Message)

# A length is at most a 32-bit varint.
_VARINT_BYTES_MAX = 5


def parse(message_class: type[M], data: bytes | memoryview) -> M:
    """The message that ``data`` is.

    Raises ``RemoteProtocolError`` if it cannot be decoded, a required field is missing (or
    is an enum with an unknown number: proto2 treats both alike) or a string is not UTF-8
    (upb would hand out ``bytes`` where ``str`` is declared)."""
    data = bytes(data)
    try:
        message = message_class.FromString(data)
    except DecodeError:
        raise RemoteProtocolError(
            f"{len(data)} bytes are no {message_class.DESCRIPTOR.name}"
        ) from None
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())  # type: ignore[attr-defined]
        raise RemoteProtocolError(f"{message_class.DESCRIPTOR.name} lacks {missing}")
    # Nearly every message without large numbers is ASCII throughout, and so are its strings.
    if not data.isascii():
        _check_strings(message)
    return message


@functools.lru_cache(maxsize=1024)
def _with_strings(
    descriptor: Descriptor,
) -> tuple[tuple[str, ...], tuple[tuple[str, bool, bool], ...]]:
    """Names of the single strings; (name, is repeated, is a message) of the other fields
    that are or hold strings."""
    strings: list[str] = []
    others: list[tuple[str, bool, bool]] = []
    for field in descriptor.fields:
        if not _holds_strings(field, ()):
            continue
        nested = field.type == FieldDescriptor.TYPE_MESSAGE
        if field.is_repeated or nested:
            others.append((field.name, field.is_repeated, nested))
        else:
            strings.append(field.name)
    return tuple(strings), tuple(others)


def _holds_strings(field: FieldDescriptor, above: tuple[str, ...]) -> bool:
    nested = field.message_type
    if nested is None:
        return field.type == FieldDescriptor.TYPE_STRING
    if nested.full_name in above:
        return False
    return any(_holds_strings(each, (*above, nested.full_name)) for each in nested.fields)


def _check_strings(message: Message) -> None:
    strings, others = _with_strings(message.DESCRIPTOR)
    for name in strings:
        # One that is not set is an empty string.
        value = getattr(message, name)
        if type(value) is not str:
            raise _not_utf8(message, name, value)
    for name, repeated, nested in others:
        if not repeated and not message.HasField(name):
            continue
        value = getattr(message, name)
        for item in value if repeated else (value,):
            if nested:
                _check_strings(item)
            elif type(item) is not str:
                raise _not_utf8(message, name, item)


def _not_utf8(message: Message, name: str, value: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"{message.DESCRIPTOR.name}.{name} is not UTF-8: {bytes(value[:40])!r}"
    )


def serialize(message: Message) -> bytes:
    """The bytes of ``message``. Raises ``LocalProtocolError`` if a required field is unset."""
    try:
        return message.SerializeToString()
    except EncodeError as error:
        raise LocalProtocolError(
            f"{message.DESCRIPTOR.name} cannot be sent unfinished: {error}"
        ) from None


def delimited(message: Message) -> bytes:
    """The bytes of ``message`` after their length."""
    data = serialize(message)
    return encode_varint(len(data)) + data


def delimited_span(
    buffer: bytes | bytearray | memoryview, start: int, end: int, bytes_max: int
) -> tuple[int, int] | None:
    """Where the delimited message that begins at ``start`` stands in ``buffer[:end]``.

    (First byte, byte after the last) of the message itself, or None if more bytes are
    needed. Raises ``RemoteProtocolError`` at once if it is longer than ``bytes_max``."""
    length = shift = 0
    position = start
    while position < end:
        byte = buffer[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            if length > bytes_max:
                raise RemoteProtocolError(
                    f"a message says it has {length} bytes; at most {bytes_max} are taken"
                )
            stop = position + length
            return (position, stop) if stop <= end else None
        shift += 7
        if position - start == _VARINT_BYTES_MAX:
            raise RemoteProtocolError("the length before a message is no 32-bit number")
    return None


def unsigned64(value: int) -> int:
    """A Java ``long`` (-1 for "unset") as its ``uint64`` field carries it."""
    return value & 0xFFFFFFFFFFFFFFFF


def signed64(value: int) -> int:
    """What a ``uint64`` field means as the Java ``long`` it was."""
    return value - (1 << 64) if value >> 63 else value


def unsigned32(value: int) -> int:
    """A Java ``int`` as its ``uint32`` field carries it."""
    return value & 0xFFFFFFFF


def signed32(value: int) -> int:
    """What a ``uint32`` field means as the Java ``int`` it was."""
    return value - (1 << 32) if value >> 31 else value
