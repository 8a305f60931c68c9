"""What a DataNode finds again: after a stop, a kill, a power cut, the loss of its index."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_world import (
    POOL,
    SOURCE,
    Recorder,
    begin,
    block,
    content,
    feed,
    kill,
    open_dataset,
    put,
    settings,
)
from raw_transfer_client import RawClient

from cairnfs.datanode.dataset import Dataset
from cairnfs.errors import ReplicaNotFound
from cairnfs.types import Block, Replica, ReplicaState, StorageType

DATA = random.Random(2).randbytes(100_003)
RWR = ReplicaState.RWR


def report(dataset: Dataset) -> set[Replica]:
    return {replica for _, replica in dataset.iter_replicas(POOL)}


def finalized(block_id: int, stamp: int, length: int) -> Replica:
    return Replica(Block(block_id, stamp, length), ReplicaState.FINALIZED)


@pytest.mark.requirement("A03")
def test_after_a_clean_stop_all_is_there_without_a_walk(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path)
    for number in range(20):
        put(dataset, block(number), DATA[: 1 + number * 1000])
    before, space = report(dataset), dataset.storage_reports(POOL)
    dataset.close()
    again = open_dataset(tmp_path)
    assert (again.findings.walked, again.findings.hashed) == (False, 0)
    assert report(again) == before
    assert again.storage_reports(POOL)[0].dfs_used == space[0].dfs_used
    for number in range(20):
        assert content(again, block(number)) == DATA[: 1 + number * 1000]
    again.close()


def test_after_a_kill_what_was_finalized_is_there_without_a_walk(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path, sync_interval_ms=60_000)
    put(dataset, block(1), DATA)
    put(dataset, block(2), DATA[:5000])
    dataset.invalidate(POOL, [Block(2, 1001, 0)])
    kill(dataset)
    again = open_dataset(tmp_path)
    assert not again.findings.walked
    assert report(again) == {finalized(1, 1001, len(DATA))}
    assert content(again, block(1)) == DATA
    assert again.storage_reports(POOL)[0].dfs_used == len(DATA)
    again.close()


def test_after_a_kill_an_unfinished_replica_waits_for_recovery_with_all_its_bytes(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(tmp_path)
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA[:50_001])
    os.close(writer.descriptor)
    kill(dataset)
    again = open_dataset(tmp_path)
    assert report(again) == {Replica(Block(1, 1001, 50_001), RWR)}
    with pytest.raises(ReplicaNotFound, match="cannot be read"):
        again.open_for_read(block(1))
    found = again.init_replica_recovery(block(1), 1010)
    assert found is not None
    assert (found.original_state, found.block.num_bytes) == (RWR, 50_001)
    again.update_replica_under_recovery(block(1, 1001, 50_001), 1010, 50_001)
    assert content(again, block(1, 1010)) == DATA[:50_001]
    again.close()


def test_copies_that_were_not_finished_are_removed(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path)
    writer = dataset.writing.create_temporary(block(1), StorageType.DISK, "", SOURCE)
    writer.begin(SOURCE)
    feed(writer, 0, DATA)
    os.close(writer.descriptor)
    kill(dataset)
    again = open_dataset(tmp_path)
    assert report(again) == set()
    assert again.findings.removed == 1
    assert not list(tmp_path.rglob("blk_*"))
    again.close()


def test_deletions_go_on_after_a_kill_and_after_a_stop(tmp_path: Path) -> None:
    for stop in (kill, Dataset.close):
        dataset = open_dataset(tmp_path)
        put(dataset, block(1), DATA)
        # As a kill between the flag and the unlinking leaves it.
        record = dataset.table.find(POOL, 1)
        dataset.table.index.mark_deleting(dataset.table.pool_number(POOL), [record])  # type: ignore[list-item]
        dataset.table.index.set_flag("deleting", True)
        dataset._deletion.close = dataset._deletion.end  # type: ignore[method-assign]
        stop(dataset)
        recorder = Recorder()
        again = open_dataset(tmp_path, recorder)
        assert report(again) == set()
        recorder.wait_for("deleted")
        again.close()
        assert not list(tmp_path.rglob("blk_*"))


def test_a_crash_between_record_and_rename_is_mended(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path)
    put(dataset, block(1), DATA)
    file = next(tmp_path.rglob("blk_1_1001"))
    kill(dataset)
    file.rename(tmp_path / "data0" / "current" / POOL / "rbw" / file.name)
    again = open_dataset(tmp_path)
    assert again.findings.moved == 1
    assert content(again, block(1)) == DATA
    again.close()


def test_a_crash_while_a_replica_gets_a_new_stamp_is_mended(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path)
    put(dataset, block(1), DATA)
    dataset.writing.recover_close(block(1), 1009, len(DATA))
    file = next(tmp_path.rglob("blk_1_1009"))
    file.rename(file.with_name("blk_1_1001"))
    assert content(dataset, block(1, 1009)) == DATA
    dataset.close()


def test_an_append_that_was_killed_keeps_the_old_bytes(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path)
    put(dataset, block(1), DATA[:20_000])
    writer = dataset.writing.append(block(1), 1002, 20_000)
    writer.begin(SOURCE)
    feed(writer, 20_000, DATA[20_000:30_000])
    os.close(writer.descriptor)
    kill(dataset)
    again = open_dataset(tmp_path)
    assert report(again) == {Replica(Block(1, 1002, 30_000), RWR)}
    again.close()


# --- power cuts ----------------------------------------------------------------------------------


def test_after_a_power_cut_what_was_settled_is_trusted_and_the_rest_is_found_by_a_walk(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(tmp_path, boot_id="first", sync_interval_ms=60_000)
    put(dataset, block(1), DATA)
    dataset._syncer.sync_all()
    put(dataset, block(2), DATA[:9000])
    kill(dataset)
    again = open_dataset(tmp_path, boot_id="second")
    assert again.findings.walked
    assert again.findings.hashed == 1
    assert report(again) == {finalized(1, 1001, len(DATA)), finalized(2, 1001, 9000)}
    assert content(again, block(1)) == DATA
    assert content(again, block(2)) == DATA[:9000]
    again.close()


def test_after_a_power_cut_a_replica_that_lost_its_tail_is_reported_as_it_is(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(tmp_path, boot_id="first")
    put(dataset, block(1), DATA)
    kill(dataset)
    os.truncate(next(tmp_path.rglob("blk_1_1001")), 4096)
    again = open_dataset(tmp_path, boot_id="second")
    assert report(again) == {finalized(1, 1001, 4096)}
    again.close()


def test_after_a_power_cut_a_replica_whose_file_is_gone_is_forgotten(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path, boot_id="first")
    put(dataset, block(1), DATA, sync=True)
    dataset._syncer.sync_all()
    kill(dataset)
    next(tmp_path.rglob("blk_1_1001")).unlink()
    again = open_dataset(tmp_path, boot_id="second")
    assert report(again) == set()
    assert again.storage_reports(POOL)[0].dfs_used == 0
    again.close()


@pytest.mark.requirement("A04")
def test_what_was_hsynced_survives_a_power_cut_and_torn_bytes_after_it_do_not(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(tmp_path, boot_id="first")
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA[:30_000])
    dataset.writing.hsync(writer)
    os.close(writer.descriptor)
    kill(dataset)
    (file,) = tmp_path.rglob("blk_1_1001")
    again = open_dataset(tmp_path, boot_id="second")
    assert report(again) == {Replica(Block(1, 1001, 30_000), RWR)}
    kill(again)
    # Were the disk to have lied: only what agrees with its checksums counts.
    with file.open("r+b") as stream:
        stream.seek(20_000)
        stream.write(b"torn")
    third = open_dataset(tmp_path, boot_id="third")
    assert report(third) == {Replica(Block(1, 1001, 16_384), RWR)}
    third.close()


# --- losing the index ----------------------------------------------------------------------------


@pytest.mark.requirement("E06")
@pytest.mark.parametrize("damage", ["gone", "overwritten", "truncated"])
def test_a_lost_index_is_rebuilt_from_the_volumes(tmp_path: Path, damage: str) -> None:
    dataset = open_dataset(tmp_path, volumes=2)
    for number in range(10):
        put(dataset, block(number), DATA[: 1 + number * 9000])
    before, uuid, storages = report(dataset), dataset.datanode_uuid, dataset.storages()
    dataset.close()
    data = tmp_path / "index" / "base" / "data.mdb"
    if damage == "gone":
        shutil.rmtree(tmp_path / "index")
    elif damage == "overwritten":
        data.write_bytes(b"\xa5" * data.stat().st_size)
    else:
        os.truncate(data, 100)
    again = open_dataset(tmp_path, volumes=2)
    assert again.findings.hashed == 10
    assert report(again) == before
    assert (again.datanode_uuid, again.storages()) == (uuid, storages)
    for number in range(10):
        assert content(again, block(number)) == DATA[: 1 + number * 9000]
        record = again.table.find(POOL, number)
        assert not record.verified  # type: ignore[union-attr]
    again.close()


def test_of_two_generations_the_walk_keeps_the_newer(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path)
    put(dataset, block(1, 1005), DATA)
    dataset.close()
    file = next(tmp_path.rglob("blk_1_1005"))
    shutil.copy(file, file.with_name("blk_1_1003"))
    shutil.rmtree(tmp_path / "index")
    again = open_dataset(tmp_path)
    assert report(again) == {finalized(1, 1005, len(DATA))}
    assert [path.name for path in tmp_path.rglob("blk_*")] == ["blk_1_1005"]
    again.close()


def test_a_volume_that_comes_from_an_older_index_is_walked(tmp_path: Path) -> None:
    open_dataset(tmp_path).close()
    shutil.copytree(tmp_path / "index", tmp_path / "old-index")
    dataset = open_dataset(tmp_path, volumes=2)
    for number in range(4):
        put(dataset, block(number), DATA)
    dataset.close()
    shutil.rmtree(tmp_path / "index")
    (tmp_path / "old-index").rename(tmp_path / "index")
    again = open_dataset(tmp_path, volumes=2)
    # The first volume is known to the old index, which says that it was stopped cleanly.
    assert again.findings.hashed == 2
    again.close()


# --- a real process, really killed ---------------------------------------------------------------

_NODE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from dataset_world import *
from cairnfs.datanode.settings import TransferSettings
from cairnfs.datanode.transfer_server import TransferServer
dataset = open_dataset(Path(sys.argv[1]))
server = TransferServer(dataset, TransferSettings())
print(server.start("127.0.0.1", 0), flush=True)
sys.stdin.read()
"""


@pytest.mark.requirement("A04")
def test_what_was_acknowledged_is_there_after_kill_9_in_mid_write(tmp_path: Path) -> None:
    for cycle in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", _NODE, str(tmp_path), str(Path(__file__).parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        done, open_id = 100 + cycle, 200 + cycle
        acked = 0
        try:
            port = int(process.stdout.readline())
            with RawClient(port) as client:
                client.write(block(done), DATA)
            with RawClient(port) as client:
                client.begin_write(block(open_id))
                while acked < 20_000 * (1 + cycle):
                    size = 1000 + 777 * cycle
                    client.send(client.packet(acked, DATA[acked : acked + size]))
                    client.acks(1)
                    acked += size
                client.send(client.packet(acked, DATA[acked : acked + 512])[:300])
                os.kill(process.pid, signal.SIGKILL)
                assert client.ended()
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        dataset = open_dataset(tmp_path)
        found = {replica.block.block_id: replica for replica in report(dataset)}
        for number in range(cycle + 1):
            assert content(dataset, block(100 + number)) == DATA
        assert found[open_id].state is RWR
        length = found[open_id].block.num_bytes
        assert length >= acked
        dataset.init_replica_recovery(block(open_id), 5000)
        dataset.update_replica_under_recovery(block(open_id, 1001, length), 5000, acked)
        assert content(dataset, block(open_id, 5000)) == DATA[:acked]
        dataset.close()


def test_a_settings_object_is_all_that_a_start_needs(tmp_path: Path) -> None:
    dataset = Dataset.open(settings(tmp_path), Recorder())
    assert dataset.pools() == ()
    assert not dataset.wait_for_pool(POOL, 0)
    dataset.close()
