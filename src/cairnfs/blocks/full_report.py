"""A full report of one storage, compared with the map in slices.

Blocks that the storage is known to hold with the reported stamp and length cost an array
operation; only what differs is looked at one by one. A slice ends after so much work that
calls never wait long. Between slices anything may happen: each slice compares a range of
ids with the map of that moment, and blocks that were touched since the report's lease are
left out, as what is known of them is newer than the report.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from cairnfs.blocks import tables
from cairnfs.blocks.construction import OpenBlocks
from cairnfs.blocks.intake import Intake
from cairnfs.blocks.nodes import StorageDescriptor
from cairnfs.blocks.report import ReportedReplicas
from cairnfs.blocks.tables import Uint64s
from cairnfs.blocks.turn import Turn
from cairnfs.types import Block, ReplicaState

# Replicas looked at one by one in a slice: 15-30 us each on LMDB.
SLOW_IN_SLICE_MAX = 400
# A block past the end of all ids.
_END = 1 << 64


class FullReport:
    """Call :meth:`step` until it answers True.

    ``finished`` is called once, at the end, unless the node registered anew meanwhile:
    then the rest of the report is void."""

    def __init__(
        self,
        intake: Intake,
        open_blocks: OpenBlocks,
        storage: StorageDescriptor,
        replicas: ReportedReplicas,
        slice_max: int,
        finished: Callable[[FullReport, int], None],
    ) -> None:
        self.storage = storage
        self.replicas = replicas
        self.differing = 0
        self.removed = 0
        self._intake = intake
        self._open = open_blocks
        self._slice_max = slice_max
        self._finished = finished
        self._touched = storage.touched if storage.touched is not None else set()
        storage.touched = self._touched
        # First id that has not been compared yet, and the first reported row from there.
        self._next_id = 0
        self._next_row = 0
        self._slow: deque[tuple[int, int]] = deque()
        self._complete = False

    @property
    def void(self) -> bool:
        """Whether the node registered anew, or died, before all was taken in."""
        return not self._complete and self.storage.touched is not self._touched

    def step(self, turn: Turn) -> bool:
        """Take in one slice; True when nothing is left."""
        if self._complete or self.void:
            return True
        if not self._slow and self._next_id < _END:
            self._compare(turn)
        for _ in range(min(len(self._slow), SLOW_IN_SLICE_MAX)):
            block_id, row = self._slow.popleft()
            if block_id not in self._touched:
                self._look(turn, block_id, row)
        if self._slow or self._next_id < _END:
            return False
        self._complete = True
        self.storage.touched = None
        self._finished(self, turn.now_ms)
        return True

    def _compare(self, turn: Turn) -> None:
        """Compare the next range of ids; what differs goes to the slow queue."""
        ids = self.replicas.block_ids
        first, row = self._next_id, self._next_row
        end_row = min(row + self._slice_max, len(ids))
        # Up to the id before the next slice's first, or to the end of all ids.
        end_id = int(ids[end_row]) if end_row < len(ids) else _END
        known, prints, following = tables.scan_storage(
            turn.tx, self.storage.index, first, self._slice_max
        )
        if following is not None and following < end_id:
            end_id = following
            end_row = row + int(np.searchsorted(ids[row:end_row], np.uint64(end_id)))
        if end_id < _END:
            inside = int(np.searchsorted(known, np.uint64(end_id)))
            known, prints = known[:inside], prints[:inside]
        self._queue_differences(row, end_row, known, prints)
        self._next_id, self._next_row = end_id, end_row

    def _queue_differences(
        self, row: int, end_row: int, known: Uint64s, prints: tables.Uint32s
    ) -> None:
        report = self.replicas
        ids = report.block_ids[row:end_row]
        if len(known):
            at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
            held = known[at] == ids
            same = (
                held
                & (report.states[row:end_row] == ReplicaState.FINALIZED)
                & (
                    prints[at]
                    == tables.fingerprints(
                        report.generation_stamps[row:end_row], report.num_bytes[row:end_row]
                    )
                )
            )
            # Blocks that are being written may be known, and yet have news.
            opened = self._open.ids()
            if len(opened):
                same &= ~np.isin(ids, opened)
            missing = np.ones(len(known), dtype=bool)
            missing[at[held]] = False
            self._slow.extend((block_id, -1) for block_id in tables.signed(known[missing]))
            rows = np.flatnonzero(~same)
        else:
            rows = np.arange(len(ids))
        self._slow.extend(zip(tables.signed(ids[rows]), (rows + row).tolist(), strict=True))

    def _look(self, turn: Turn, block_id: int, row: int) -> None:
        if row < 0:
            self.removed += 1
            self._intake.vanished(turn, self.storage, block_id)
            return
        report = self.replicas
        self.differing += 1
        self._intake.reported(
            turn,
            self.storage,
            Block(block_id, int(report.generation_stamps[row]), int(report.num_bytes[row])),
            ReplicaState(int(report.states[row])),
            full=True,
        )
