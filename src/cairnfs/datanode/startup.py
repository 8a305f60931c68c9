"""What a DataNode finds on its volumes when it starts, and how index and files are made to agree.

Cheap after any ordinary stop or death of the process: the index is complete, only the small
directories of unfinished replicas are listed. A walk over all block files is needed where
the index may lack something: after a power cut, for a volume it has never seen, or when it
was lost. The walk reads names and sizes; data is read (and checksummed anew) only of
replicas that the index does not know. Such replicas are marked unverified.

==================== ==========================================================================
 found                done
==================== ==========================================================================
 tmp/ file            removed: a copy that was not finished (unless its record says finalized)
 rbw/ file            RWR: as long as its data agrees with the checksums that were kept of it
 rbw/ file, record    the file is moved: the crash came between record and move
 says finalized
 finalized/ file      kept if the record agrees, else recorded anew
 record, no file      forgotten (only where a walk was made)
 flagged as deleting  deletion goes on
==================== ==========================================================================
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass

from cairnfs.datanode import index_records as records
from cairnfs.datanode.deletion import PENDING_FLAG, DeletionQueue
from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.open_replica import hash_file, read_exactly
from cairnfs.datanode.replica_table import ReplicaTable
from cairnfs.datanode.syncing import Syncer
from cairnfs.datanode.volume import FINALIZED, RBW, TMP, BlockFile, Volume, unlink_quietly
from cairnfs.errors import VolumeFailed
from cairnfs.types import ChecksumType, ReplicaState
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum
from cairnfs.wire.crc import crc_function

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class StartupFindings:
    """Counts, for the log and for tests."""

    walked: bool = False
    waiting: int = 0
    moved: int = 0
    hashed: int = 0
    forgotten: int = 0
    removed: int = 0
    resumed: int = 0


class Reconciliation:
    """One start. Not thread safe; runs before anything else touches the dataset."""

    def __init__(
        self, table: ReplicaTable, syncer: Syncer, deletion: DeletionQueue, known: set[int]
    ) -> None:
        self._table = table
        self._index = table.index
        self._syncer = syncer
        self._deletion = deletion
        # Numbers of the volumes that the index knew before this start.
        self._known = known
        self.findings = StartupFindings()

    def run(self) -> StartupFindings:
        """Raises ``StorageError``; a volume that fails meanwhile is taken out."""
        complete = self._index.opening.complete
        for volume in list(self._table.volumes.values()):
            # A volume that fails is taken out by the guard; the others go on.
            with contextlib.suppress(VolumeFailed), self._table.guard(volume):
                for pool_id in volume.pools():
                    self._pool(volume, pool_id, complete and volume.number in self._known)
        self._resume_deletions()
        self._queue_unsettled()
        if not complete:
            self._index.walked()
        return self.findings

    def _pool(self, volume: Volume, pool_id: str, complete: bool) -> None:
        pool = self._index.pool_number(pool_id)
        for kind in (TMP, RBW):
            for file in list(volume.walk(pool_id, kind)):
                self._unfinished(volume, pool_id, pool, kind, file)
        if not complete:
            self.findings.walked = True
            self._walk(volume, pool_id, pool)

    # --- unfinished replicas -----------------------------------------------------------------

    def _unfinished(
        self, volume: Volume, pool_id: str, pool: int, kind: str, file: BlockFile
    ) -> None:
        record = self._index.find(pool, file.block_id)
        if record is not None and record.volume != volume.number:
            record = None if record.generation_stamp < file.generation_stamp else record
        if record is not None and (
            record.generation_stamp > file.generation_stamp or record.deleting
        ):
            self._remove(file)
        elif (
            record is not None
            and record.state is ReplicaState.FINALIZED
            and record.generation_stamp == file.generation_stamp
        ):
            target = volume.finalized_path(pool_id, file.block_id, file.generation_stamp)
            if record.volume == volume.number and not os.path.exists(target):
                volume.move(file.path, target)
                self.findings.moved += 1
            else:
                self._remove(file)
        elif kind == TMP:
            self._remove(file)
        else:
            self._wait_for_recovery(volume, pool, file, record)

    def _remove(self, file: BlockFile) -> None:
        unlink_quietly(file.path)
        self.findings.removed += 1

    def _wait_for_recovery(
        self, volume: Volume, pool: int, file: BlockFile, record: ReplicaRecord | None
    ) -> None:
        """RBW becomes RWR: compare what the index kept with the data, then take the rest.

        What was never recorded (all that no hsync or append named) is taken as it stands: in
        this boot it is exactly what was written, after a power cut the file system's length
        ends where its data does."""
        checksum = record.checksum if record is not None else self._at_rest()
        sums = hash_file(file.path, checksum, file.length)
        length = file.length
        if record is not None:
            kept = self._index.checksums(pool, record, 0, checksum.chunks(record.length))
            agreed = _agreeing_length(file, checksum, sums, kept, record.length)
            if agreed < record.length:
                length = agreed
                sums = sums[: checksum.chunks(length) * CRC_BYTES]
                logger.warning(
                    "blk_%d_%d: only %d of %d bytes agree with their checksums",
                    file.block_id,
                    file.generation_stamp,
                    length,
                    record.length,
                )
        self._index.put(
            pool,
            ReplicaRecord(
                file.block_id,
                file.generation_stamp,
                length,
                ReplicaState.RWR,
                volume.number,
                checksum,
                self._writer_chunk(record),
                0,
            ),
            sums,
            replaces=record.generation_stamp if record is not None else None,
        )
        self.findings.waiting += 1

    # --- the walk ----------------------------------------------------------------------------

    def _walk(self, volume: Volume, pool_id: str, pool: int) -> None:
        files: dict[int, BlockFile] = {}
        for file in volume.walk(pool_id, FINALIZED):
            other = files.get(file.block_id)
            if other is not None:
                older, file = sorted((other, file), key=lambda f: f.generation_stamp)
                self._remove(older)
            files[file.block_id] = file
        missing: list[tuple[int, int]] = []
        for record in self._index.scan(pool):
            if record.volume != volume.number:
                continue
            if record.state is not ReplicaState.FINALIZED:
                file_there = os.path.exists(
                    volume.open_path(pool_id, RBW, record.block_id, record.generation_stamp)
                )
            else:
                found = files.get(record.block_id)
                file_there = found is not None
                if found is not None and _agrees(record, found):
                    del files[record.block_id]
            if not file_there:
                missing.append((record.block_id, record.generation_stamp))
        if missing:
            self._index.remove(pool, missing)
            self.findings.forgotten += len(missing)
        for file in files.values():
            self._adopt(volume, pool, file)

    def _adopt(self, volume: Volume, pool: int, file: BlockFile) -> None:
        """A finalized file that the index does not know as it is."""
        record = self._index.find(pool, file.block_id)
        if record is not None and (
            record.generation_stamp > file.generation_stamp
            or (record.volume != volume.number and record.volume in self._table.volumes)
        ):
            self._remove(file)
            return
        checksum = record.checksum if record is not None else self._at_rest()
        sums = hash_file(file.path, checksum, file.length)
        self._index.put(
            pool,
            ReplicaRecord(
                file.block_id,
                file.generation_stamp,
                file.length,
                ReplicaState.FINALIZED,
                volume.number,
                checksum,
                self._writer_chunk(record),
                0,
            ),
            sums,
            replaces=record.generation_stamp if record is not None else None,
        )
        self.findings.hashed += 1

    # --- afterwards --------------------------------------------------------------------------

    def _resume_deletions(self) -> None:
        """Deletions under way at the last stop: their flags are in the fresh part of the
        index, or (after a clean stop) anywhere."""
        if self._index.flag(PENDING_FLAG) or not self._index.opening.complete:
            for pool_id, pool in self._index.pools().items():
                for record in list(self._index.scan(pool)):
                    self._resume(pool_id, record)
            self._index.set_flag(PENDING_FLAG, False)
            return
        for key in self._index.unsettled():
            pool_id, flagged = self._of_key(key)
            if flagged is not None:
                self._resume(pool_id, flagged)

    def _resume(self, pool_id: str, record: ReplicaRecord) -> None:
        if record.deleting and record.volume in self._table.volumes:
            self._deletion.resume(pool_id, record)
            self.findings.resumed += 1

    def _queue_unsettled(self) -> None:
        for key in self._index.unsettled():
            pool_id, record = self._of_key(key)
            if record is None:
                self._syncer.removed([key])
            elif record.volume in self._table.volumes and not record.deleting:
                self._syncer.closed(
                    records.pool_of(key),
                    record,
                    self._table.path_of(pool_id, record),
                    self._table.volumes[record.volume],
                )

    def _of_key(self, key: bytes) -> tuple[str, ReplicaRecord | None]:
        number = records.pool_of(key)
        pool_id = next(name for name, n in self._index.pools().items() if n == number)
        record = self._index.find(number, records.block_of(key))
        if record is not None and record.generation_stamp != records.stamp_of(key):
            record = None
        return pool_id, record

    def _at_rest(self) -> DataChecksum:
        return DataChecksum(ChecksumType.CRC32C, self._table.settings.bytes_per_checksum)

    def _writer_chunk(self, record: ReplicaRecord | None) -> int:
        if record is not None:
            return record.writer_bytes_per_checksum
        return self._table.settings.default_writer_bytes_per_checksum


def _agrees(record: ReplicaRecord, file: BlockFile) -> bool:
    return (
        record.generation_stamp == file.generation_stamp
        and record.length == file.length
        and record.state is ReplicaState.FINALIZED
    )


def _agreeing_length(
    file: BlockFile, checksum: DataChecksum, sums: bytes, kept: bytes, length: int
) -> int:
    """How many bytes of a file, up to ``length``, agree with the CRCs ``kept`` of them."""
    step = checksum.bytes_per_checksum
    whole = min(length, file.length) // step
    for chunk in range(whole):
        at = chunk * CRC_BYTES
        if sums[at : at + CRC_BYTES] != kept[at : at + CRC_BYTES]:
            return chunk * step
    tail = length - whole * step
    if file.length < length:
        return whole * step
    crc = crc_function(checksum.type)(read_exactly(file.path, whole * step, tail), 0)
    return (
        length if tail == 0 or crc.to_bytes(CRC_BYTES, "big") == kept[-CRC_BYTES:] else whole * step
    )
