"""Data-transfer servers over real sockets in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dataset_world import Recorder, open_dataset
from raw_transfer_client import node

from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.settings import TransferSettings
from cairnfs.datanode.transfer_server import TransferServer
from cairnfs.types import DatanodeInfo


@dataclass
class Station:
    """One node without a control plane."""

    dataset: Dataset
    server: TransferServer
    recorder: Recorder
    port: int

    @property
    def info(self) -> DatanodeInfo:
        return node(self.port, self.dataset.datanode_uuid)


@contextmanager
def stations(
    root: Path, count: int, settings: TransferSettings | None = None, **dataset_settings: object
) -> Iterator[list[Station]]:
    opened: list[Station] = []
    try:
        for number in range(count):
            recorder = Recorder()
            dataset = open_dataset(root / f"node{number}", recorder, **dataset_settings)
            server = TransferServer(dataset, settings or TransferSettings(pool_ready_ms=0))
            station = Station(dataset, server, recorder, server.start("127.0.0.1", 0))
            server.set_identity(station.info.id)
            opened.append(station)
        yield opened
    finally:
        for station in opened:
            station.server.stop()
            station.dataset.close()
