"""The DataNode as a process: ``cairn datanode``."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable

from cairnfs.config import Configuration
from cairnfs.datanode.datanode import DataNode
from cairnfs.errors import CairnError, StartupError
from cairnfs.log import configure

logger = logging.getLogger(__name__)

__all__ = ["DataNode", "run"]


def run(
    configuration: Configuration,
    ready: Callable[[dict[str, int]], None] | None = None,
    reload: Callable[[], Configuration] | None = None,
) -> int:
    """Serve until SIGTERM, SIGINT or an order to shut down; the exit code.

    ``ready`` is told the ports. What stops the start is printed as one sentence (exit code
    1), or raised where there is somebody (``ready``) to tell."""
    import uvloop

    configure()
    try:
        return uvloop.run(_serve(configuration, ready, reload))
    except CairnError as error:
        if ready is not None:
            raise
        print(f"cairn datanode: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


async def _serve(
    configuration: Configuration,
    ready: Callable[[dict[str, int]], None] | None,
    reload: Callable[[], Configuration] | None,
) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[StartupError | None] = loop.create_future()

    def end(error: StartupError | None = None) -> None:
        if not ended.done():
            ended.set_result(error)

    datanode = DataNode(configuration, on_stop=end, reload=reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    await datanode.start()
    # What was made until now lives as long as the process: spare the collector the walk.
    gc.collect()
    gc.freeze()
    ports = {
        "transfer_port": datanode.transfer_port,
        "ipc_port": datanode.ipc_port,
        "http_port": datanode.http_port,
    }
    logger.info(
        "serving data transfer on port %d, RPC on %d, HTTP on %d",
        datanode.transfer_port,
        datanode.ipc_port,
        datanode.http_port,
    )
    if ready is not None:
        ready(ports)
    error = await ended
    await datanode.stop()
    if error is not None:
        raise error
    return 0
