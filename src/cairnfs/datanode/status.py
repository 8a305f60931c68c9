"""How a DataNode is: one answer for the health check, one set of figures for metrics."""

from __future__ import annotations

import threading
from typing import Any

from cairnfs.clock import Clock
from cairnfs.datanode.block_pools import BlockPools
from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.messages import SOFTWARE_VERSION
from cairnfs.datanode.obedience import Obedience
from cairnfs.datanode.recovery import RecoveryWorker
from cairnfs.datanode.service_state import Phase
from cairnfs.datanode.transfer_server import TransferServer
from cairnfs.net.rpc_server import RpcServer

# (kind, name, documentation, labels, value)
Figure = tuple[str, str, str, dict[str, str], float]


class Status:
    """Reads the figures where they are kept when somebody asks; nothing is counted twice.

    Both methods may touch disks: call them in a thread."""

    def __init__(
        self,
        dataset: Dataset,
        transfers: TransferServer,
        rpc: RpcServer,
        pools: BlockPools,
        obedience: Obedience,
        recoveries: RecoveryWorker,
        clock: Clock,
    ) -> None:
        self._dataset = dataset
        self._transfers = transfers
        self._rpc = rpc
        self._pools = pools
        self._obedience = obedience
        self._recoveries = recoveries
        self._clock = clock
        self._started_ms = clock.steady_ms()

    @property
    def uptime_ms(self) -> int:
        return self._clock.steady_ms() - self._started_ms

    def health(self) -> dict[str, Any]:
        """JSON for ``/health``. ``status`` is ``ok`` once a NameNode knows this node and
        while a storage works, else it says what is missing."""
        failures = self._dataset.volume_failures()
        if not self._dataset.storages():
            status = "no storage works"
        elif not any(pool.serving for pool in self._pools.all):
            status = "not registered with any NameNode"
        else:
            status = "ok"
        return {
            "status": status,
            "datanode": self._dataset.datanode_uuid,
            "cluster": self._dataset.cluster_id,
            "version": SOFTWARE_VERSION,
            "uptime_ms": self.uptime_ms,
            "pools": self._pool_list(),
            "volumes": [
                {
                    "path": space.path,
                    "storage": space.storage_uuid,
                    "capacity": space.capacity,
                    "used": space.dfs_used,
                    "remaining": space.remaining,
                    "replicas": space.replicas,
                }
                for space in self._dataset.volume_spaces()
            ],
            "failed_volumes": [
                {"path": failure.path, "at_ms": failure.failed_at_ms, "reason": failure.reason}
                for failure in failures
            ],
        }

    def _pool_list(self) -> list[dict[str, Any]]:
        return [
            {
                "nameservice": pool.nameservice,
                "pool": pool.pool_id,
                "namenodes": [
                    {
                        "address": service.name,
                        "phase": service.phase.value,
                        "active": service is pool.active,
                        "last_heartbeat_ms": service.last_heartbeat_ms,
                        "last_full_report_ms": service.last_report_ms,
                        "refusal": service.state.refusal,
                    }
                    for service in pool.services
                ],
            }
            for pool in self._pools.all
        ]

    def figures(self) -> list[Figure]:
        """For ``/metrics``; names without their common prefix."""
        return [
            *self._volume_figures(),
            *self._transfer_figures(),
            *self._namenode_figures(),
            ("gauge", "threads", "Threads of this process.", {}, threading.active_count()),
            ("gauge", "uptime_seconds", "Time since the start.", {}, self.uptime_ms / 1000),
        ]

    def _volume_figures(self) -> list[Figure]:
        figures: list[Figure] = []
        for space in self._dataset.volume_spaces():
            labels = {"volume": space.path, "storage": space.storage_uuid}
            figures += [
                ("gauge", "capacity_bytes", "Room for blocks.", labels, space.capacity),
                ("gauge", "used_bytes", "Bytes in blocks.", labels, space.dfs_used),
                ("gauge", "remaining_bytes", "Room that is left.", labels, space.remaining),
                ("gauge", "blocks", "Replicas.", labels, space.replicas),
            ]
        failed = len(self._dataset.volume_failures())
        moving = self._dataset.in_motion()
        return [
            *figures,
            ("gauge", "volumes_failed", "Volumes that were taken out.", {}, failed),
            ("gauge", "blocks_receiving", "Being written.", {}, len(moving.receiving)),
            ("gauge", "blocks_deleting", "Deleted, not yet gone.", {}, len(moving.deleting)),
        ]

    def _transfer_figures(self) -> list[Figure]:
        transfers = self._transfers
        counts = transfers.counters
        busy, connections = transfers.xceiver_count, transfers.connection_count
        parked = max(0, connections - busy)
        return [
            ("gauge", "transfers", "Operations under way.", {}, busy),
            ("gauge", "connections", "Open, idle ones included.", {}, connections),
            ("gauge", "connections_parked", "Idle, without a thread.", {}, parked),
            ("counter", "connections_accepted", "That began to talk.", {}, counts.connections),
            (
                "counter",
                "connections_refused",
                "For want of threads or places.",
                {},
                counts.connections_refused,
            ),
            ("counter", "blocks_read", "Blocks sent to readers.", {}, counts.blocks_read),
            ("counter", "blocks_written", "Blocks received.", {}, counts.blocks_written),
            ("counter", "read_bytes", "Bytes sent to readers.", {}, counts.bytes_read),
            ("counter", "written_bytes", "Bytes received.", {}, counts.bytes_written),
            ("counter", "checksum_errors", "Data that was wrong.", {}, counts.checksum_errors),
            ("gauge", "replications_sending", "To other nodes.", {}, self._obedience.sending),
            ("gauge", "recoveries", "Led by this node.", {}, self._recoveries.under_way),
        ]

    def _namenode_figures(self) -> list[Figure]:
        figures: list[Figure] = []
        for service in self._pools.services:
            labels = {"namenode": service.name}
            serving = float(service.phase is Phase.SERVING)
            figures += [
                ("gauge", "registered", "1 if this NameNode knows us.", labels, serving),
                (
                    "gauge",
                    "facts_pending",
                    "Replica changes to tell.",
                    labels,
                    len(service.state.pending),
                ),
            ]
        figures += [
            ("counter", "rpc_calls", "Calls served.", {"method": method}, count)
            for method, count in sorted(self._rpc.call_counts().items())
        ]
        return figures
