"""A replica that its disk does not give back as it was written is reported as corrupt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cairnfs.datanode.dataset import Dataset
from cairnfs.errors import ChecksumMismatch, VolumeFailed
from cairnfs.types import ExtendedBlock


@contextmanager
def reporting_unreadable(dataset: Dataset, block: ExtendedBlock) -> Iterator[None]:
    """Report the replica if the code below finds its data wrong or the disk fails on it.

    One bad sector is no failed volume: only this replica is given up."""
    try:
        yield
    except (ChecksumMismatch, VolumeFailed):
        found = dataset.replica(block.pool_id, block.block_id)
        storage_uuid = dataset.storage_of(block.pool_id, block.block_id)
        if found is not None and storage_uuid is not None:
            dataset.table.listener.corrupt(block.pool_id, found.block, storage_uuid)
        raise
