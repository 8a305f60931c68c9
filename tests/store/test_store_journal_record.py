"""The bytes of the journal: what is written comes back, whatever else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.errors import StoreDamaged
from cairnfs.store.journal_record import (
    HEADER_BYTES,
    Segment,
    SegmentHeader,
    decode_header,
    encode_header,
    encode_record,
    pack_changes,
    record_bytes,
    unpack_changes,
)

U64 = st.integers(0, 2**64 - 1)
CHANGES = st.lists(st.tuples(st.binary(max_size=40), st.none() | st.binary(max_size=60)))
HEADER = SegmentHeader(b"0123456789abcdef", 7, 5, 0x1122334455667788)


def segment_of(payloads: list[bytes], durable: int = 6, header: SegmentHeader = HEADER) -> bytes:
    data = encode_header(header)
    for number, payload in enumerate(payloads, header.first_sequence):
        data += encode_record(header.salt, number, durable, payload)
    return data


@given(CHANGES)
def test_changes_come_back(changes: list[tuple[bytes, bytes | None]]) -> None:
    assert unpack_changes(pack_changes(changes)) == changes


@given(st.binary(max_size=200))
def test_other_bytes_are_changes_or_damage(data: bytes) -> None:
    try:
        changes = unpack_changes(data)
    except StoreDamaged:
        return
    assert unpack_changes(pack_changes(changes)) == changes


@given(st.binary(min_size=16, max_size=16), U64, U64, U64)
def test_headers_come_back(store_id: bytes, first: int, durable: int, salt: int) -> None:
    header = SegmentHeader(store_id, first, durable, salt)
    data = encode_header(header)
    assert len(data) == HEADER_BYTES
    assert decode_header(data) == header


@given(st.integers(0, 51), st.integers(1, 255))
def test_a_header_with_a_wrong_byte_is_none(at: int, flip: int) -> None:
    data = bytearray(encode_header(HEADER))
    data[at] ^= flip
    assert decode_header(bytes(data)) is None


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8), st.binary(max_size=80))
def test_records_come_back_up_to_the_first_that_is_none(
    payloads: list[bytes], behind: bytes
) -> None:
    data = segment_of(payloads)
    records = list(Segment(data + behind).records(HEADER_BYTES, 7))
    assert [bytes(record.payload) for record in records] == payloads
    assert [record.sequence for record in records] == list(range(7, 7 + len(payloads)))
    assert (records[-1].end if records else HEADER_BYTES) == len(data)
    for record in records:
        assert record.end - record.offset == record_bytes(len(record.payload))


@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6),
    st.data(),
    st.integers(1, 255),
)
def test_a_wrong_byte_ends_the_records_before_it(
    payloads: list[bytes], data: st.DataObject, flip: int
) -> None:
    whole = segment_of(payloads)
    places = list(Segment(whole).records(HEADER_BYTES, 7))
    damaged = bytearray(whole)
    at = data.draw(st.integers(HEADER_BYTES, len(whole) - 1))
    damaged[at] ^= flip
    found = list(Segment(bytes(damaged)).records(HEADER_BYTES, 7))
    index = next(i for i, place in enumerate(places) if at < place.end)
    # Only the zeros behind a payload are nobody's.
    payload_end = places[index].offset + 24 + len(payloads[index])
    expected = index if at < payload_end else len(payloads)
    assert [bytes(record.payload) for record in found] == payloads[:expected]


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 20))
def test_any_bytes_are_no_records_and_no_exception(data: bytes, offset: int, number: int) -> None:
    segment = Segment(encode_header(HEADER) + data)
    assert list(segment.records(HEADER_BYTES + offset, number)) == []
    assert segment.evidence(HEADER_BYTES, number) == 0
    assert Segment(data).evidence(0, 0) == 0
    assert Segment(data).record(offset, number) is None


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=2, max_size=6))
def test_records_behind_damage_tell_what_was_durable(payloads: list[bytes]) -> None:
    data = encode_header(HEADER)
    for number, payload in enumerate(payloads, 7):
        data += encode_record(HEADER.salt, number, number - 1, payload)
    damaged = bytearray(data)
    damaged[HEADER_BYTES + 24] ^= 1
    segment = Segment(bytes(damaged))
    assert segment.record(HEADER_BYTES, 7) is None
    assert segment.evidence(HEADER_BYTES, 7) == 7 + len(payloads) - 2


def test_a_payload_that_looks_like_a_record_is_no_evidence() -> None:
    other = SegmentHeader(HEADER.store_id, 7, 5, HEADER.salt + 1)
    # What somebody who does not know the salt could store as an attribute.
    forged = encode_record(other.salt, 9, 8, b"forged")
    data = bytearray(segment_of([b"padding!" * 2 + forged]))
    data[HEADER_BYTES] ^= 1
    assert Segment(bytes(data)).evidence(HEADER_BYTES, 7) == 0


def test_zeros_that_were_not_stored_belong_to_the_record() -> None:
    payload = b"x" + bytes(5000)
    data = segment_of([payload])
    sparse = Segment(data[: HEADER_BYTES + 25], size_bytes=len(data))
    record = sparse.record(HEADER_BYTES, 7)
    assert record is not None
    assert bytes(record.payload) == payload
    assert Segment(data[: HEADER_BYTES + 25]).record(HEADER_BYTES, 7) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x80", pack_changes([])[:-1] + b"\x91\xc0", b"\x91\x93\xc4\x01a\xc0\xc0"]
)
def test_what_is_no_list_of_changes_is_damage(data: bytes) -> None:
    with pytest.raises(StoreDamaged, match="changes"):
        unpack_changes(data)
