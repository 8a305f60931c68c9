from __future__ import annotations

import hashlib
import zlib

import crc32c
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cairnfs.errors import LocalProtocolError, RemoteProtocolError
from cairnfs.types import ChecksumType
from cairnfs.wire import block_checksum, crc_fold
from cairnfs.wire.block_checksum import BlockDigest
from cairnfs.wire.checksum import (
    BlockChecksumType,
    DataChecksum,
    compute,
    verify,
    verify_packets,
)
from cairnfs.wire.checksum_stream import ChecksumAccumulator
from cairnfs.wire.crc import combine

TYPES = (ChecksumType.CRC32, ChecksumType.CRC32C)
REAL = {ChecksumType.CRC32: zlib.crc32, ChecksumType.CRC32C: crc32c.crc32c}


def bytes_of(size: int, seed: int = 0) -> bytes:
    """Repeatable data without pattern."""
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(size)


def sums_of(checksum: DataChecksum, data: bytes) -> bytes:
    """The model: one library call for each chunk."""
    if checksum.type is ChecksumType.NULL:
        return b""
    step = checksum.bytes_per_checksum
    return b"".join(
        REAL[checksum.type](data[at : at + step]).to_bytes(4, "big")
        for at in range(0, len(data), step)
    )


types = st.sampled_from(TYPES)
chunk_sizes = st.sampled_from([1, 100, 128, 512, 1000, 4096, 8192, 16384])


def test_the_check_values_of_both_polynomials() -> None:
    nine = b"123456789"
    assert compute(DataChecksum(ChecksumType.CRC32, 512), nine).hex() == "cbf43926"
    assert compute(DataChecksum(ChecksumType.CRC32C, 512), nine).hex() == "e3069283"


@given(type_=types, a=st.binary(max_size=300), b=st.binary(max_size=300))
def test_combine_is_the_crc_of_the_joined_data(type_: ChecksumType, a: bytes, b: bytes) -> None:
    crc = REAL[type_]
    assert combine(type_, crc(a), crc(b), len(b)) == crc(a + b)


@pytest.mark.parametrize("type_", TYPES)
def test_combine_over_a_length_of_terabytes(type_: ChecksumType) -> None:
    # shift(2 * n) is shift(n) twice.
    half = combine(type_, combine(type_, 0x12345678, 0, 3 << 40), 0, 3 << 40)
    assert combine(type_, 0x12345678, 0, 6 << 40) == half


@given(type_=types, step=chunk_sizes, size=st.integers(0, 40_000), seed=st.integers(0, 99))
def test_compute_is_one_crc_a_chunk(type_: ChecksumType, step: int, size: int, seed: int) -> None:
    checksum, data = DataChecksum(type_, step), bytes_of(size, seed)
    if step == 1:
        data = data[:3000]
    assert compute(checksum, memoryview(data)) == sums_of(checksum, data)


@pytest.mark.requirement("A16")
@given(
    type_=types,
    step=chunk_sizes,
    size=st.sampled_from([1, 511, 512, 6144, 6145, 64512, 65536, 70_001, 262_144]),
    at=st.integers(0, 1 << 30),
    flip=st.integers(1, 255),
)
@settings(max_examples=60)
def test_verify_finds_the_bad_chunk(
    type_: ChecksumType, step: int, size: int, at: int, flip: int
) -> None:
    step = max(step, 100)
    checksum, data = DataChecksum(type_, step), bytearray(bytes_of(size))
    sums = compute(checksum, data)
    assert verify(checksum, data, memoryview(sums)) is None
    data[at % size] ^= flip
    assert verify(checksum, memoryview(data), sums) == at % size // step * step


@given(
    type_=types,
    step=st.sampled_from([100, 512, 4096]),
    sizes=st.lists(st.sampled_from([512, 4096, 8192, 8192, 8192, 12_800, 700]), max_size=8),
    bad=st.none() | st.tuples(st.integers(0, 7), st.integers(0, 12_799)),
)
def test_verifying_many_packets_is_verifying_each(
    type_: ChecksumType, step: int, sizes: list[int], bad: tuple[int, int] | None
) -> None:
    checksum = DataChecksum(type_, step)
    packets = []
    for index, size in enumerate(sizes):
        data = bytearray(bytes_of(size, index))
        packets.append((data, compute(checksum, data)))
    expected = None
    if bad is not None and bad[0] < len(sizes):
        index, at = bad[0], bad[1] % sizes[bad[0]]
        packets[index][0][at] ^= 1
        expected = (index, at // step * step)
    assert verify_packets(checksum, packets) == expected


def test_no_checksum_verifies_anything_without_sums() -> None:
    null = DataChecksum(ChecksumType.NULL, 512)
    assert compute(null, b"x" * 1000) == b""
    assert verify(null, b"x" * 1000, b"") is None
    assert verify_packets(null, [(b"x" * 1024, b""), (b"y" * 1024, b"")]) is None


@pytest.mark.parametrize("sums", [b"", b"\0" * 3, b"\0" * 12])
def test_a_wrong_number_of_checksums_is_the_peers_fault(sums: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        verify(DataChecksum(ChecksumType.CRC32C, 512), b"x" * 1000, sums)


@given(type_=types, count=st.integers(0, 300), group=st.sampled_from([1, 2, 16, 100]))
@example(type_=ChecksumType.CRC32C, count=128 * 3, group=128)
@settings(max_examples=40)
def test_folding_is_the_crc_of_the_longer_chunk(
    type_: ChecksumType, count: int, group: int
) -> None:
    data = bytes_of(count * 128)
    sums = sums_of(DataChecksum(type_, 128), data)
    assert crc_fold.fold_all(type_, 128, sums) == REAL[type_](data)
    whole = count // group * group
    folded = crc_fold.fold_groups(type_, 128, sums[: whole * 4], group)
    assert folded == sums_of(DataChecksum(type_, 128 * group), data[: whole * 128])


def test_folding_refuses_what_it_has_no_tables_for() -> None:
    for step in (1, 100, 513):
        with pytest.raises(LocalProtocolError):
            crc_fold.fold_all(ChecksumType.CRC32C, step, b"\0" * 8)
    with pytest.raises(LocalProtocolError):
        crc_fold.fold_groups(ChecksumType.CRC32C, 512, b"\0" * 68, 16)


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, list[tuple[int, str]]]:
    start = draw(st.sampled_from([0, 0, 512, 700, 8192, 8700, 10_000]))
    sizes = st.sampled_from([1, 50, 188, 511, 512, 1024, 4096, 8192, 64_512, 3000, 20_000])
    backs = st.sampled_from(["no", "no", "no", "short", "chunk", "far"])
    steps = draw(st.lists(st.tuples(sizes, backs), min_size=1, max_size=12))
    return start, steps


@pytest.mark.requirement("A16")
@given(
    source_type=st.sampled_from([*TYPES, ChecksumType.NULL]),
    step=st.sampled_from([100, 128, 512, 512, 512, 4096, 8192, 16384]),
    at_rest_bytes=st.sampled_from([512, 8192, 8192]),
    stream=streams(),
    take_often=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_checksums_at_rest_equal_those_of_the_data(
    source_type: ChecksumType,
    step: int,
    at_rest_bytes: int,
    stream: tuple[int, list[tuple[int, str]]],
    take_often: bool,
) -> None:
    """Whatever a writer's packets look like, the result is what a second read would give."""
    start, steps = stream
    source = DataChecksum(source_type, step)
    at_rest = DataChecksum(ChecksumType.CRC32C, at_rest_bytes)
    block = bytes_of(400_000, seed=step)
    head_start = start // at_rest_bytes * at_rest_bytes
    accumulator = ChecksumAccumulator(
        source, at_rest, start, crc32c.crc32c(block[head_start:start])
    )
    crcs, next_chunk, end = b"", start // at_rest_bytes, start
    for size, back in steps:
        rewind = {"no": 0, "short": end % step, "chunk": end % step + step, "far": 1234}[back]
        offset = max(0, end - rewind)
        data = block[offset : offset + size]
        old = accumulator.add(offset, bytearray(data), sums_of(source, data))
        assert old == min(end - offset, len(data))
        end = max(end, offset + len(data))
        assert accumulator.position == end
        if take_often:
            first, more = accumulator.take()
            assert first == next_chunk
            crcs, next_chunk = crcs + more, next_chunk + len(more) // 4
    tail_start = end // at_rest_bytes * at_rest_bytes
    assert accumulator.partial == (crc32c.crc32c(block[tail_start:end]), end - tail_start)
    first, more = accumulator.finish()
    assert first == next_chunk
    assert crcs + more == sums_of(at_rest, block[head_start:end])


def test_folding_needs_no_data() -> None:
    """Java's packets (126 chunks of 512) into 8 KiB: the data is never looked at."""
    source = DataChecksum(ChecksumType.CRC32C, 512)
    at_rest = DataChecksum(ChecksumType.CRC32C, 8192)
    accumulator = ChecksumAccumulator(source, at_rest)
    block = bytes_of(64_512 * 9 + 300)
    for offset in range(0, len(block), 64_512):
        data = block[offset : offset + 64_512]
        accumulator.add(offset, b"\0" * len(data), sums_of(source, data))
    assert accumulator.finish() == (0, sums_of(at_rest, block))


def test_a_gap_and_wrong_sums_are_the_peers_fault() -> None:
    checksum = DataChecksum(ChecksumType.CRC32C, 512)
    accumulator = ChecksumAccumulator(checksum, checksum)
    accumulator.add(0, b"x" * 10, compute(checksum, b"x" * 10))
    with pytest.raises(RemoteProtocolError, match="missing"):
        accumulator.add(512, b"x" * 10, compute(checksum, b"x" * 10))
    with pytest.raises(RemoteProtocolError, match="instead of"):
        accumulator.add(10, b"x" * 10, b"")
    assert accumulator.position == 10


@given(
    type_=types,
    step=st.sampled_from([100, 512, 8192]),
    size=st.integers(0, 70_000),
    kind=st.sampled_from(BlockChecksumType),
    by_sums=st.booleans(),
)
@settings(max_examples=60)
def test_block_checksums(
    type_: ChecksumType, step: int, size: int, kind: BlockChecksumType, by_sums: bool
) -> None:
    checksum, data = DataChecksum(type_, step), bytes_of(size)
    digest = BlockDigest(kind, checksum)
    piece = step * 7
    for at in range(0, size, piece):
        part = data[at : at + piece]
        if by_sums:
            digest.add_sums(sums_of(checksum, part), len(part))
        else:
            digest.add_data(part)
    assert digest.chunks == -(-size // step)
    if kind is BlockChecksumType.MD5CRC:
        assert digest.digest() == hashlib.md5(sums_of(checksum, data)).digest()
    else:
        assert digest.digest() == REAL[type_](data).to_bytes(4, "big")


def test_a_file_checksum_reads_as_hadoops() -> None:
    checksum = DataChecksum(ChecksumType.CRC32C, 512)
    md5 = block_checksum.file_md5(checksum, 0, [b"\1" * 16])
    assert md5.algorithm == "MD5-of-0MD5-of-512CRC32C"
    # Padded with zeros to the size of Java's buffer: golden/checksums.txt shows it.
    assert md5.value[12:] == hashlib.md5(b"\1" * 16 + bytes(16)).digest()
    assert md5.value[:12] == bytes.fromhex("00000200" + "00" * 8)
    three = block_checksum.file_md5(checksum, 8, [b"\1" * 16] * 3)
    assert three.value[12:] == hashlib.md5(b"\1" * 48 + bytes(16)).digest()
    with pytest.raises(RemoteProtocolError):
        block_checksum.file_md5(checksum, 0, [b"\1" * 15])
    data = bytes_of(3000)
    blocks = [data[:1000], data[1000:]]
    composite = block_checksum.file_composite_crc(
        ChecksumType.CRC32C,
        [(crc32c.crc32c(block).to_bytes(4, "big"), len(block)) for block in blocks],
    )
    assert str(composite) == f"COMPOSITE-CRC32C\t{crc32c.crc32c(data):08x}"
    with pytest.raises(RemoteProtocolError):
        block_checksum.file_composite_crc(ChecksumType.CRC32C, [(b"", 1)])
