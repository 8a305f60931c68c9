"""What a block costs in syncs: counted, as each one may take a disk milliseconds."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_world import POOL, block, content, kill, open_dataset, put
from raw_transfer_client import RawClient
from transfer_world import stations

from cairnfs.datanode import syncing
from cairnfs.datanode.dataset import Dataset
from cairnfs.types import Block, Replica, ReplicaState

DATA = random.Random(11).randbytes(100_003)


class Counted:
    """Counts syncs, and commits of the index that sync."""

    def __init__(self, patch: pytest.MonkeyPatch, *datasets: Dataset) -> None:
        self.calls: list[str] = []
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, self._counting(name, getattr(os, name)))
        for dataset in datasets:
            index = dataset.table.index
            patch.setattr(index, "settle", self._counting("settle", index.settle))

    def _counting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: object) -> object:
            self.calls.append(name)
            return call(*arguments)

        return counted


def test_a_block_that_need_not_be_durable_is_closed_without_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(tmp_path, sync_interval_ms=60_000)
    counted = Counted(monkeypatch, dataset)
    put(dataset, block(1), DATA)
    assert counted.calls == []
    dataset.close()


def test_a_synced_close_costs_one_sync_of_the_data_and_one_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(tmp_path, sync_interval_ms=60_000)
    counted = Counted(monkeypatch, dataset)
    put(dataset, block(1), DATA, sync=True)
    assert counted.calls == ["fdatasync", "fsync"]
    # The record follows in the background, and the file is not synced again.
    dataset._syncer.sync_all()
    assert counted.calls == ["fdatasync", "fsync", "settle"]
    dataset.close()


def test_so_does_it_in_each_node_of_a_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stations(tmp_path, 3, sync_interval_ms=60_000) as nodes:
        counted = Counted(monkeypatch, *(node.dataset for node in nodes))
        first, *others = nodes
        with RawClient(first.port) as client:
            client.begin_write(block(1), *(node.info for node in others))
            client.send(
                client.packet(0, DATA) + client.packet(len(DATA), b"", last=True, sync=True)
            )
            client.acks(2)
        assert sorted(counted.calls) == 3 * ["fdatasync"] + 3 * ["fsync"]
        monkeypatch.undo()


@pytest.mark.parametrize("sync", [True, False])
def test_records_of_many_blocks_share_one_synced_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: bool
) -> None:
    dataset = open_dataset(tmp_path, sync_interval_ms=60_000)
    for number in range(1, 21):
        put(dataset, block(number), DATA, sync)
    counted = Counted(monkeypatch, dataset)
    filesystems: list[int] = []
    monkeypatch.setattr(syncing._libc, "syncfs", lambda volume: filesystems.append(volume) or 0)
    dataset._syncer.sync_all()
    assert counted.calls == ["settle"]
    assert len(filesystems) == (0 if sync else 1)
    assert dataset.table.index.unsettled() == []
    dataset.close()


@pytest.mark.requirement("A04")
def test_a_synced_close_survives_a_power_cut_before_its_record_was_settled(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(tmp_path, boot_id="first", sync_interval_ms=60_000)
    put(dataset, block(1), DATA, sync=True)
    kill(dataset)
    again = open_dataset(tmp_path, boot_id="second")
    assert again.findings.hashed == 1
    assert again.replica(POOL, 1) == Replica(Block(1, 1001, len(DATA)), ReplicaState.FINALIZED)
    assert content(again, block(1)) == DATA
    again.close()
