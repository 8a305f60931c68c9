"""A small web server for a role: aiohttp, with the same refusals and shutdown everywhere."""

from __future__ import annotations

from aiohttp import web

from cairnfs.errors import StartupError


class HttpServer:
    """Serves ``app`` until it is closed."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises ``StartupError`` where the address cannot be had."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartupError(
                f"cannot listen on {host}:{port} for HTTP: {error.strerror or error}; "
                "is another process using the port?"
            ) from None
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._runner.cleanup()
