"""The local journal: order, rotation, torn tails, damage, full disks, failed syncs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cairnfs.errors import DiskFull, LocalProtocolError, StorageError, StoreDamaged
from cairnfs.store import journal as journal_module
from cairnfs.store.interface import Change
from cairnfs.store.journal import LocalJournal
from cairnfs.store.journal_record import HEADER_BYTES, pack_changes, record_bytes
from cairnfs.store.journal_scan import NO_MARK, JournalMark, segment_path
from cairnfs.testing.faulty_disk import FaultyDisk

STORE = b"0123456789abcdef"
SEGMENT_BYTES = 1024


def change(number: int, value_bytes: int = 50) -> list[Change]:
    return [(b"%08d" % number, b"v" * value_bytes), (b"gone", None)]


def opened(
    directory: Path, mark: JournalMark = NO_MARK, disk: FaultyDisk | None = None, floor: int = 0
) -> LocalJournal:
    return LocalJournal(directory, STORE, mark, disk=disk, segment_bytes=SEGMENT_BYTES, floor=floor)


def filled(directory: Path, count: int, disk: FaultyDisk | None = None) -> LocalJournal:
    journal = opened(directory, disk=disk)
    for number in range(journal.last_sequence + 1, count + 1):
        assert journal.append(change(number)) == number
    return journal


def segments(directory: Path) -> list[int]:
    return sorted(int(path.stem) for path in directory.iterdir())


def numbers(journal: LocalJournal, after: int = 0) -> list[int]:
    found = list(journal.read(after))
    assert all(changes == change(number) for number, changes in found)
    return [number for number, _ in found]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_records_come_back_over_many_segments_and_openings(tmp_path: Path) -> None:
    for count in (20, 21, 60):
        journal = filled(tmp_path, count)
        assert journal.sync() == count == journal.durable_sequence
        assert numbers(journal) == list(range(1, count + 1))
        assert numbers(journal, after=count - 3) == [count - 2, count - 1, count]
        assert numbers(journal, after=count) == []
        journal.close()
    assert len(segments(tmp_path)) > 4
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_a_segment_is_as_large_as_its_record_needs(tmp_path: Path) -> None:
    journal = filled(tmp_path, 1)
    assert journal.append(change(2, 5000)) == 2
    assert journal.append(change(3)) == 3
    journal.close()
    journal = opened(tmp_path)
    assert [number for number, _ in journal.read(0)] == [1, 2, 3]
    journal.close()
    assert segments(tmp_path) == [1, 2, 3]


def test_a_record_beyond_the_limit_is_refused_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "JOURNAL_RECORD_BYTES_MAX", 3000)
    journal = filled(tmp_path, 3)
    with pytest.raises(LocalProtocolError, match="in parts"):
        journal.append(change(4, 4000))
    assert journal.append(change(4)) == 4
    assert numbers(journal) == [1, 2, 3, 4]
    journal.close()


def test_a_mark_spares_reading_what_is_known(tmp_path: Path) -> None:
    journal = filled(tmp_path, 40)
    mark = journal.mark
    for number in range(41, 44):
        journal.append(change(number))
    journal.close()
    # What lies before the mark is not looked at.
    flip(segment_path(tmp_path, mark.segment), HEADER_BYTES + 30)
    journal = opened(tmp_path, mark)
    assert journal.last_sequence == 43
    assert numbers(journal, after=40) == [41, 42, 43]
    journal.close()


def test_trim_keeps_what_is_above_and_the_newest_segment(tmp_path: Path) -> None:
    journal = filled(tmp_path, 40)
    journal.sync()
    before = segments(tmp_path)
    journal.trim(before[2] - 2)
    assert segments(tmp_path) == before[1:]
    journal.trim(before[2] - 1)
    assert segments(tmp_path) == before[2:]
    assert numbers(journal, after=before[2] - 1)[0] == before[2]
    with pytest.raises(StoreDamaged, match="any more"):
        next(journal.read(before[1]))
    mark = journal.mark
    journal.trim(40)
    assert segments(tmp_path) == before[-1:]
    assert journal.append(change(41)) == 41
    journal.close()
    journal = opened(tmp_path, mark)
    assert numbers(journal, after=40) == [41]
    journal.close()


def test_restart_forgets_and_goes_on_behind_the_store(tmp_path: Path) -> None:
    journal = filled(tmp_path, 10)
    journal.restart(25)
    assert segments(tmp_path) == []
    assert journal.append(change(26)) == 26
    journal.close()
    journal = opened(tmp_path, JournalMark(25, 0, 0))
    assert numbers(journal, after=25) == [26]
    journal.close()


@pytest.mark.requirement("A04")
@pytest.mark.parametrize("lost", range(0, 140, 7))
def test_a_torn_tail_is_cut_and_stays_cut(tmp_path: Path, lost: int) -> None:
    journal = filled(tmp_path, 5)
    journal.close()
    path = segment_path(tmp_path, 1)
    payload_bytes = len(pack_changes(change(1)))
    each = record_bytes(payload_bytes)
    padding = each - 24 - payload_bytes
    end = HEADER_BYTES + 5 * each
    data = bytearray(path.read_bytes())
    assert not any(data[end:])
    data[end - lost : end] = bytes(lost)
    path.write_bytes(data)
    # Record k ends, without its padding, at k * each - padding.
    kept = min(5, (5 * each - lost + padding) // each)
    journal = opened(tmp_path)
    assert journal.last_sequence == kept
    assert journal.append(change(kept + 1)) == kept + 1
    journal.sync()
    journal.close()
    journal = opened(tmp_path)
    assert numbers(journal) == list(range(1, kept + 2))
    journal.close()


@pytest.mark.requirement("A04")
def test_what_was_cut_never_comes_back(tmp_path: Path) -> None:
    """Of two unsynced records the power cut took the first and left the second."""
    journal = filled(tmp_path, 3)
    journal.sync()
    at = journal.mark.offset
    journal.append(change(4))
    journal.append(change(5))
    journal.close()
    size = (journal.mark.offset - at) // 2
    data = bytearray(segment_path(tmp_path, 1).read_bytes())
    data[at + size : at + 2 * size] = bytes(size)
    segment_path(tmp_path, 1).write_bytes(data)
    journal = opened(tmp_path)
    assert journal.last_sequence == 3
    # The new record 4 is as long as the old one: the old record 5 would follow it.
    assert journal.append(change(4)) == 4
    journal.close()
    journal = opened(tmp_path)
    assert numbers(journal) == [1, 2, 3, 4]
    journal.close()


@pytest.mark.requirement("A04")
def test_damage_among_durable_records_is_refused(tmp_path: Path) -> None:
    journal = filled(tmp_path, 3)
    journal.sync()
    at = journal.mark.offset
    journal.append(change(4))
    journal.close()
    path = segment_path(tmp_path, 1)
    flip(path, at + 30)
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match=rf"{path}: record 3 at byte {at} is damaged.*up to 3"):
        opened(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.requirement("A04")
def test_damage_in_an_older_segment_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(1, 41):
        journal.append(change(number))
        journal.sync()
    journal.close()
    second = segments(tmp_path)[1]
    flip(segment_path(tmp_path, second), HEADER_BYTES + 30)
    with pytest.raises(StoreDamaged, match=rf"record {second} .* damaged"):
        opened(tmp_path)


@pytest.mark.requirement("A04")
def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(1, 41):
        journal.append(change(number))
        journal.sync()
    journal.close()
    missing = segments(tmp_path)[1]
    segment_path(tmp_path, missing).unlink()
    with pytest.raises(StoreDamaged, match=f"record {missing} "):
        opened(tmp_path)
    for first in segments(tmp_path)[:1]:
        segment_path(tmp_path, first).unlink()
    with pytest.raises(StoreDamaged, match="record 1 "):
        opened(tmp_path)


def test_a_damaged_header_before_records_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    flip(segment_path(tmp_path, 1), 20)
    with pytest.raises(StoreDamaged, match="header is damaged"):
        opened(tmp_path)


def test_a_segment_cut_short_in_the_making_is_made_again(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    for unfinished in (b"", bytes(500), b"CAIRN", b"CAIRNJ01" + b"x" * 40 + bytes(100)):
        segment_path(tmp_path, 4).write_bytes(unfinished)
        journal = opened(tmp_path)
        assert journal.last_sequence == 3
        journal.close()
        assert segments(tmp_path) == [1]


def test_a_segment_of_another_store_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    with pytest.raises(StoreDamaged, match="belongs to another store"):
        LocalJournal(tmp_path, b"another store id")
    segment_path(tmp_path, 1).rename(segment_path(tmp_path, 2))
    with pytest.raises(StoreDamaged, match="was renamed"):
        opened(tmp_path, JournalMark(1, 1, HEADER_BYTES))


def test_a_journal_that_ends_before_the_store_says_so_and_changes_nothing(tmp_path: Path) -> None:
    journal = filled(tmp_path, 3)
    mark = journal.mark
    journal.close()
    path = segment_path(tmp_path, 1)
    flip(path, mark.offset + 30)
    before = path.read_bytes()
    journal = opened(tmp_path, mark)
    assert journal.last_sequence < mark.sequence
    journal.close()
    assert path.read_bytes() == before


def test_records_known_to_be_durable_must_be_there(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    with pytest.raises(StoreDamaged, match=r"record 4 .*missing.*up to 5"):
        opened(tmp_path, floor=5)
    opened(tmp_path, floor=3).close()


@pytest.mark.requirement("A04")
def test_a_full_disk_refuses_a_record_and_harms_nothing(tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path)
    journal = filled(tmp_path, 5, disk)
    journal.sync()
    disk.space_bytes = SEGMENT_BYTES // 2
    refused = False
    while not refused:
        try:
            journal.append(change(journal.last_sequence + 1))
        except DiskFull as error:
            assert "no space" in str(error)  # noqa: PT017 - the loop must see it
            refused = True
    appended = journal.last_sequence
    assert appended > 5
    assert journal.sync() == appended
    disk.space_bytes = None
    assert journal.append(change(appended + 1)) == appended + 1
    journal.close()
    journal = opened(tmp_path)
    assert numbers(journal) == list(range(1, appended + 2))
    journal.close()


def test_a_write_that_ran_out_of_space_half_way_is_written_over(tmp_path: Path) -> None:
    class Sparse(FaultyDisk):
        """Allocates nothing, as some file systems do."""

        def allocate(self, descriptor: int, size_bytes: int) -> None: ...

    disk = Sparse(tmp_path)
    journal = filled(tmp_path, 3, disk)
    disk.space_bytes = 40
    with pytest.raises(DiskFull):
        journal.append(change(4))
    disk.space_bytes = None
    assert journal.append([(b"short", None)]) == 4
    journal.close()
    journal = opened(tmp_path)
    assert list(journal.read(3)) == [(4, [(b"short", None)])]
    journal.close()


@pytest.mark.requirement("A04")
def test_after_a_failed_sync_nothing_is_taken(tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path)
    journal = filled(tmp_path, 3, disk)
    journal.sync()
    journal.append(change(4))
    disk.syncs_until_error = 0
    with pytest.raises(StorageError, match="takes no more"):
        journal.sync()
    disk.syncs_until_error = None
    # The kernel may have dropped the pages: a second sync that succeeds would be a lie.
    with pytest.raises(StorageError, match="takes no more"):
        journal.sync()
    with pytest.raises(StorageError, match="takes no more"):
        journal.append(change(5))
    assert journal.durable_sequence == 3
    journal.close()


def test_a_new_segment_is_durable_before_it_is_used(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    disk = FaultyDisk(root)
    journal = filled(root, 30, disk)
    journal.sync()
    for attempt in range(20):
        after = tmp_path / f"{attempt}"
        disk.power_cut(after, random.Random(attempt))
        found = opened(after)
        assert numbers(found) == list(range(1, 31))
        found.close()
    journal.close()
