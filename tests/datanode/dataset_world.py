"""Datasets in temporary directories, and the shortest ways to put bytes into them."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.interface import SilentListener
from cairnfs.datanode.open_replica import ReplicaWriter
from cairnfs.datanode.settings import DatasetSettings, StorageSpec
from cairnfs.types import Block, ChecksumType, ExtendedBlock, StorageType
from cairnfs.wire.checksum import DataChecksum, compute

POOL = "BP-1-127.0.0.1-1"
CLUSTER = "CID-test"
SOURCE = DataChecksum(ChecksumType.CRC32C, 512)


class Recorder(SilentListener):
    """Remembers what it was told; thread safe."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int, int]] = []
        self.failed_volumes: list[str] = []
        self._changed = threading.Condition()

    def _tell(self, what: str, block: Block) -> None:
        with self._changed:
            self.told.append((what, block.block_id, block.generation_stamp, block.num_bytes))
            self._changed.notify_all()

    def wait_for(self, what: str, count: int = 1, timeout_s: float = 10) -> None:
        """Until ``what`` was told ``count`` times."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: sum(1 for entry in self.told if entry[0] == what) >= count, timeout_s
            ), self.told

    def receiving(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        self._tell("receiving", block)

    def received(
        self, pool_id: str, block: Block, storage_uuid: str, delete_hint: str = ""
    ) -> None:
        self._tell("received", block)

    def deleted(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        self._tell("deleted", block)

    def corrupt(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        self._tell("corrupt", block)

    def corrupt_elsewhere(self, block: ExtendedBlock, source: object) -> None:
        self._tell("corrupt_elsewhere", block.block)

    def volume_failed(self, storage_uuid: str, path: str, reason: str) -> None:
        with self._changed:
            self.failed_volumes.append(path)
            self._changed.notify_all()


def settings(root: Path, volumes: int = 1, **more: object) -> DatasetSettings:
    directories = tuple(root / f"data{number}" for number in range(volumes))
    made = DatasetSettings(
        (StorageSpec(StorageType.DISK, directories),),
        root / "index",
        index_bytes_max=256 << 20,
        sync_interval_ms=50,
        writer_stop_ms=5_000,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def open_dataset(
    root: Path, listener: Recorder | None = None, boot_id: str | None = None, **more: object
) -> Dataset:
    dataset = Dataset.open(settings(root, **more), listener or Recorder(), boot_id)  # type: ignore[arg-type]
    dataset.add_block_pool(POOL, CLUSTER)
    return dataset


def kill(dataset: Dataset) -> None:
    """What ``kill -9`` leaves: threads end, nothing is flushed, no mark of a clean stop."""
    dataset.abandon()


def block(block_id: int, stamp: int = 1001, length: int = 0) -> ExtendedBlock:
    return ExtendedBlock(POOL, block_id, stamp, length)


def begin(dataset: Dataset, what: ExtendedBlock, source: DataChecksum = SOURCE) -> ReplicaWriter:
    writer = dataset.writing.create_rbw(what, StorageType.DISK, "", source)
    writer.begin(source)
    return writer


def feed(writer: ReplicaWriter, offset: int, data: bytes, source: DataChecksum = SOURCE) -> None:
    writer.write([(offset, data, compute(source, data))])
    writer.set_acked(offset + len(data))


def put(dataset: Dataset, what: ExtendedBlock, data: bytes, sync: bool = False) -> Block:
    writer = begin(dataset, what)
    try:
        feed(writer, 0, data)
        return dataset.writing.finalize(writer, sync)[0]
    finally:
        writer.close()


def content(dataset: Dataset, what: ExtendedBlock) -> bytes:
    """All readable bytes of a replica, compared with their checksums."""
    with dataset.open_for_read(what) as reader:
        with open(reader.descriptor, "rb", closefd=False) as file:
            data = file.read(reader.stop)
        assert compute(reader.checksum, data) == reader.sums
        return data
