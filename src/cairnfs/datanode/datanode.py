"""The DataNode on an event loop: started in order, stopped in order.

Configuration, then directory locks, volumes and index, then the ports, then the NameNodes. A
step that fails undoes those before it and leaves one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairnfs.clock import Clock, SystemClock
from cairnfs.config import Configuration, keys
from cairnfs.config import datanode_keys as names
from cairnfs.config.key import Key
from cairnfs.config.nameservices import NamenodeAddress, host_port, namenodes
from cairnfs.datanode import client_protocol, inter_protocol
from cairnfs.datanode.authorize import Authorizer
from cairnfs.datanode.block_pools import BlockPools, Reporter
from cairnfs.datanode.commands import TransferOrder
from cairnfs.datanode.control_threads import ControlThreads
from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.messages import NodeLoad
from cairnfs.datanode.node import Node, Ports
from cairnfs.datanode.obedience import Obedience
from cairnfs.datanode.recovery import RecoveryWorker
from cairnfs.datanode.service_state import ServiceSettings
from cairnfs.datanode.settings import DatasetSettings, TransferSettings
from cairnfs.datanode.status import Status
from cairnfs.datanode.transfer_block import send_replica
from cairnfs.datanode.transfer_server import TransferServer
from cairnfs.errors import StartupError, StorageError, UnsupportedOperation
from cairnfs.events import Event, EventBus
from cairnfs.net.lazy_http_server import LazyHttpServer
from cairnfs.net.rpc_server import RpcServer

if TYPE_CHECKING:
    from aiohttp import web

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DataNodeSettings:
    """All of the configuration that a DataNode obeys, parsed and checked."""

    dataset: DatasetSettings
    transfer: TransferSettings
    service: ServiceSettings
    namenodes: tuple[NamenodeAddress, ...]
    transfer_address: tuple[str, int]
    ipc_address: tuple[str, int]
    http_address: tuple[str, int]
    host_name: str
    report_split_threshold: int
    namenode_version_min: str
    superuser_group: str

    @classmethod
    def from_configuration(cls, configuration: Configuration) -> DataNodeSettings:
        """Raises ``ConfigurationError``."""

        def address(key: Key[str], port_default: int) -> tuple[str, int]:
            return host_port(configuration[key], port_default, key.name)

        return cls(
            dataset=DatasetSettings.from_configuration(configuration),
            transfer=TransferSettings.from_configuration(configuration),
            service=ServiceSettings(
                heartbeat_interval_ms=configuration[keys.HEARTBEAT_INTERVAL_MS],
                block_report_interval_ms=configuration[names.BLOCK_REPORT_INTERVAL_MS],
                block_report_initial_delay_ms=configuration[names.BLOCK_REPORT_INITIAL_DELAY_MS],
                incremental_interval_ms=configuration[names.INCREMENTAL_INTERVAL_MS],
            ),
            namenodes=namenodes(configuration, for_datanodes=True),
            transfer_address=address(names.TRANSFER_ADDRESS, 9866),
            ipc_address=address(names.IPC_ADDRESS, 9867),
            http_address=address(names.HTTP_ADDRESS, 9864),
            host_name=configuration[names.HOST_NAME],
            report_split_threshold=configuration[names.BLOCK_REPORT_SPLIT_THRESHOLD],
            namenode_version_min=configuration[names.NAMENODE_VERSION_MIN],
            superuser_group=configuration[names.SUPERUSER_GROUP],
        )


def process_user() -> str:
    """The user this process acts as towards NameNodes and other DataNodes."""
    return os.environ.get("HADOOP_USER_NAME") or getpass.getuser()


class _Transfers:
    """What :class:`Obedience` needs of the transfer side."""

    def __init__(
        self, dataset: Dataset, settings: TransferSettings, server: TransferServer
    ) -> None:
        self._dataset = dataset
        self._settings = settings
        self._server = server

    def send_replica(self, order: TransferOrder) -> None:
        send_replica(
            self._dataset,
            self._settings,
            self._server.context.identity,
            order.block,
            order.targets,
            order.target_storage_types,
            order.target_storage_ids,
        )

    def set_balance_bandwidth(self, bytes_per_s: int) -> None:
        self._server.set_balance_bandwidth(bytes_per_s)


class DataNode:
    """One DataNode on the running event loop.

    ``on_stop`` is called when the node must end by itself: with an error if it cannot go on
    (every NameNode refused it, too many volumes failed), with None where it was told to shut
    down. ``reload`` reads the configuration anew (``dfsadmin -refreshNamenodes``)."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock | None = None,
        events: EventBus | None = None,
        on_stop: Callable[[StartupError | None], None] | None = None,
        reload: Callable[[], Configuration] | None = None,
    ) -> None:
        self.configuration = configuration
        self.clock: Clock = clock or SystemClock()
        self.events = events or EventBus()
        self.dataset: Dataset | None = None
        self.pools: BlockPools | None = None
        self.transfer_port = 0
        self.ipc_port = 0
        self.http_port = 0
        self._on_stop = on_stop or (lambda error: None)
        self._reload = reload
        self._closing = contextlib.AsyncExitStack()
        self._settings: DataNodeSettings | None = None
        self._transfers: TransferServer | None = None
        self._status: Status | None = None

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open everything. Raises ``StartupError`` or ``StorageError`` with all closed again.

        Returns when the ports are open; NameNodes are found in the background, whenever
        they come (event ``datanode.registered``)."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the ports, end transfers, leave the NameNodes, mark the volumes as clean."""
        closing, self._closing = self._closing, contextlib.AsyncExitStack()
        await closing.aclose()
        self.events.emit("datanode.stopped")

    async def _start(self) -> None:
        settings = self._settings = DataNodeSettings.from_configuration(self.configuration)
        closing = self._closing
        reporter = Reporter(asyncio.get_running_loop(), self._volume_failed)
        dataset = self.dataset = await asyncio.to_thread(
            Dataset.open, settings.dataset, reporter, None, self.clock.now_ms
        )
        closing.push_async_callback(asyncio.to_thread, dataset.close)
        threads = ControlThreads()
        closing.push_async_callback(threads.stop)
        transfers = self._transfers = TransferServer(dataset, settings.transfer)
        host, port = settings.transfer_address
        self.transfer_port = transfers.start(host, port)
        closing.push_async_callback(asyncio.to_thread, transfers.stop)
        node = self._node(settings, dataset, threads)
        recoveries = RecoveryWorker(node)
        closing.push_async_callback(recoveries.stop)
        obedience = Obedience(
            node,
            _Transfers(dataset, settings.transfer, transfers),
            recoveries,
            self.shut_down,
        )
        closing.push_async_callback(obedience.stop)
        # The one more is the thread that accepts, which Hadoop counted until 3.3. Without it the
        # mean load of an idle cluster is 0, and to Hadoop's placement a node with a single
        # transfer is "too busy" then (seen with three nodes: blocks placed on two of them).
        node.load = lambda: NodeLoad(
            obedience.sending, transfers.xceiver_count + recoveries.under_way + 1
        )
        node.tell_rest = reporter.drain
        pools = self.pools = reporter.pools = BlockPools(node, obedience, self._refused)
        closing.push_async_callback(pools.stop)
        closing.callback(self.events.listen(self._on_event))
        await self._open_ports(settings, node, pools, obedience, recoveries)
        await pools.serve(settings.namenodes)
        self.events.emit(
            "datanode.started",
            transfer_port=self.transfer_port,
            ipc_port=self.ipc_port,
            http_port=self.http_port,
        )

    def _node(self, settings: DataNodeSettings, dataset: Dataset, threads: ControlThreads) -> Node:
        return Node(
            dataset=dataset,
            ports=Ports(settings.transfer_address[0], self.transfer_port, 0, 0, settings.host_name),
            clock=self.clock,
            events=self.events,
            user=process_user(),
            load=lambda: NodeLoad(0, 0),
            threads=threads,
            service_settings=settings.service,
            report_split_threshold=settings.report_split_threshold,
            namenode_version_min=settings.namenode_version_min,
            use_hostname=settings.transfer.use_hostname,
        )

    async def _open_ports(
        self,
        settings: DataNodeSettings,
        node: Node,
        pools: BlockPools,
        obedience: Obedience,
        recoveries: RecoveryWorker,
    ) -> None:
        assert self.dataset is not None
        assert self._transfers is not None
        rpc = RpcServer(
            [inter_protocol.service(node), *client_protocol.services(node, pools, self)],
            authorize=Authorizer(node.user, settings.superuser_group),
            clock=self.clock,
        )
        await rpc.start(*settings.ipc_address)
        self.ipc_port = rpc.port
        self._closing.push_async_callback(rpc.close)
        status = self._status = Status(
            self.dataset, self._transfers, rpc, pools, obedience, recoveries, self.clock
        )

        def make_app() -> web.Application:
            from cairnfs.datanode.http import make_app

            return make_app(status)

        http = LazyHttpServer(make_app, ("cairnfs.datanode.http",))
        await http.start(*settings.http_address)
        self.http_port = http.port
        self._closing.push_async_callback(http.close)
        host = settings.transfer_address[0]
        node.ports = Ports(
            host, self.transfer_port, self.ipc_port, self.http_port, settings.host_name
        )

    # --- what happens to it ------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if event.name == "datanode.registered" and self._transfers is not None:
            # Pipelines name this node to clients as it was last registered.
            self._transfers.set_identity(event.facts["identity"])

    def _refused(self, reasons: list[str]) -> None:
        self._on_stop(StartupError(reasons[0]))

    def _volume_failed(self) -> None:
        """Stop if more volumes have failed than the operator tolerates."""
        assert self.dataset is not None
        assert self._settings is not None
        failures = self.dataset.volume_failures()
        tolerated = self._settings.dataset.failed_volumes_tolerated
        if not self.dataset.storages() or 0 <= tolerated < len(failures):
            self._on_stop(
                StartupError(
                    f"{len(failures)} volumes failed, {max(0, tolerated)} are tolerated "
                    f"({names.VOLUMES_FAILED_TOLERATED.name}): {failures[-1].reason}"
                )
            )

    # --- what an operator asks for (client_protocol.Operations) ------------------------------

    @property
    def uptime_ms(self) -> int:
        return self._status.uptime_ms if self._status is not None else 0

    @property
    def balance_bandwidth(self) -> int:
        """Bytes a second."""
        assert self._transfers is not None
        return self._transfers.context.moves.throttle.bytes_per_s

    def shut_down(self) -> None:
        """Begin to stop; the answer to whoever asked still goes out."""
        logger.info("told to shut down")
        asyncio.get_running_loop().call_soon(self._on_stop, None)

    def evict_writers(self) -> None:
        """End the writes under way; clients go on with other nodes."""
        assert self.dataset is not None
        for replica in list(self.dataset.table.open.values()):
            with contextlib.suppress(StorageError):
                replica.stop_writer(0)

    async def refresh_namenodes(self) -> None:
        """Serve the NameNodes that the configuration names by now."""
        if self._reload is None:
            raise UnsupportedOperation("this DataNode was given its configuration, not files of it")
        assert self.pools is not None
        await self.pools.serve(namenodes(self._reload(), for_datanodes=True))
