"""CRC-32 arithmetic without data: what the CRC of joined pieces is.

A CRC is linear over GF(2): ``crc(a + b) = shift(crc(a), len(b)) ^ crc(b)``, where ``shift``
multiplies by ``x^(8 * len(b))`` modulo the polynomial. Values are the ordinary ones (initial
and final complement included, as ``zlib.crc32`` and ``crc32c.crc32c`` return them) in the
reflected bit order: bit 31 is the coefficient of ``x^0``.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Final

from cairnfs.errors import LocalProtocolError
from cairnfs.types import ChecksumType

Buffer = bytes | bytearray | memoryview

_POLYNOMIALS: Final = {ChecksumType.CRC32: 0xEDB88320, ChecksumType.CRC32C: 0x82F63B78}
_ONE: Final = 1 << 31
# Calls shorter than this keep the GIL: releasing it costs more than the CRC (at 20 GiB/s,
# 256 KiB are 12 us; threads that gave it up wait up to 5 ms to have it back).
_KEEP_GIL_BYTES_MAX: Final = 256 * 1024
# The longest piece that is combined by computing a CRC instead of by arithmetic.
_ZEROS: Final = memoryview(bytes(8192))


def polynomial(type_: ChecksumType) -> int:
    """The reflected polynomial. Raises ``LocalProtocolError`` for ``NULL``."""
    try:
        return _POLYNOMIALS[type_]
    except KeyError:
        raise LocalProtocolError(f"checksum type {type_!r} has no polynomial") from None


@functools.cache
def _crc32c_function() -> Callable[[Buffer, int], int]:
    # Imported on first use: the package brings argparse and importlib.metadata along (25 ms),
    # which verbs that move no data need not wait for.
    import crc32c

    hardware = crc32c.crc32c

    def crc32c_of(data: Buffer, value: int) -> int:
        return hardware(data, value, 0 if len(data) < _KEEP_GIL_BYTES_MAX else -1)

    return crc32c_of


def short_crc_function(type_: ChecksumType) -> Callable[[Buffer], int]:
    """As :func:`crc_function` for one short piece, without a call of ours around it."""
    if type_ is ChecksumType.CRC32C:
        import crc32c

        return crc32c.crc32c
    if type_ is ChecksumType.CRC32:
        return zlib.crc32
    raise LocalProtocolError(f"checksum type {type_!r} computes nothing")


def crc_function(type_: ChecksumType) -> Callable[[Buffer, int], int]:
    """The function ``(data, value so far) -> CRC`` of a type; ``NULL`` has none."""
    if type_ is ChecksumType.CRC32C:
        return _crc32c_function()
    if type_ is ChecksumType.CRC32:
        return zlib.crc32
    raise LocalProtocolError(f"checksum type {type_!r} computes nothing")


def multiply(type_: ChecksumType, a: int, b: int) -> int:
    """``a * b`` modulo the polynomial."""
    poly = polynomial(type_)
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ poly if b & 1 else b >> 1
    return product


@functools.lru_cache(maxsize=4)
def _powers(type_: ChecksumType) -> tuple[int, ...]:
    # x^(2^k) for k = 0..66: enough for lengths of 8 EiB.
    powers = [_ONE >> 1]
    for _ in range(66):
        powers.append(multiply(type_, powers[-1], powers[-1]))
    return tuple(powers)


@functools.lru_cache(maxsize=1024)
def shift_factor(type_: ChecksumType, length: int) -> int:
    """``x^(8 * length)`` modulo the polynomial: what ``length`` further bytes multiply by."""
    if not 0 <= length < 1 << 63:
        raise LocalProtocolError(f"a length of {length} bytes cannot follow a CRC")
    powers = _powers(type_)
    factor = _ONE
    bit = 3
    while length:
        if length & 1:
            factor = multiply(type_, powers[bit], factor)
        length >>= 1
        bit += 1
    return factor


def combine(type_: ChecksumType, crc_a: int, crc_b: int, length_b: int) -> int:
    """The CRC of ``a + b`` from the CRCs of ``a`` and of ``b`` and the length of ``b``."""
    if not crc_a or not length_b:
        return crc_a ^ crc_b
    if length_b <= len(_ZEROS):
        # What zeros do to ``crc_a``, less what they do to nothing: 1 us instead of 17.
        crc, zeros = crc_function(type_), _ZEROS[:length_b]
        return crc(zeros, crc_a) ^ crc(zeros, 0) ^ crc_b
    return multiply(type_, crc_a, shift_factor(type_, length_b)) ^ crc_b
