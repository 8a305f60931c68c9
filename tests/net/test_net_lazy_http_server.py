"""The web port is open before aiohttp is loaded, and nobody who comes can tell."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import uvloop
from aiohttp import web

from cairnfs.errors import StartupError
from cairnfs.net.lazy_http_server import LazyHttpServer


def make_app() -> web.Application:
    async def greet(request: web.Request) -> web.Response:
        return web.Response(text=f"hello {request.match_info['name']}")

    app = web.Application()
    app.router.add_get("/{name}", greet)
    return app


def test_uvloop_hands_over_too() -> None:
    """Its transports behave differently before reading has begun."""

    async def serve() -> bytes:
        server = LazyHttpServer(make_app)
        await server.start("127.0.0.1", 0)
        try:
            return await fetch(server.port, "x")
        finally:
            await server.close()

    assert uvloop.run(serve()).endswith(b"hello x")


async def test_peer_that_says_much_before_it_is_served() -> None:
    server = LazyHttpServer(make_app)
    await server.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        requests = 5_000
        writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * (requests - 1))
        writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).count(b"hello x") == requests
        writer.close()
        await writer.wait_closed()
    finally:
        await server.close()


async def fetch(port: int, name: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    body = await reader.read()
    writer.close()
    await writer.wait_closed()
    return body


async def test_first_connections_and_later_ones_are_served() -> None:
    server = LazyHttpServer(make_app)
    await server.start("127.0.0.1", 0)
    try:
        assert not server.loaded
        first = await asyncio.gather(*(fetch(server.port, name) for name in "abc"))
        assert [body[-7:] for body in first] == [b"hello a", b"hello b", b"hello c"]
        assert server.loaded
        assert (await fetch(server.port, "d")).endswith(b"hello d")
    finally:
        await server.close()


async def test_peer_that_leaves_at_once_and_close_with_an_open_connection() -> None:
    server = LazyHttpServer(make_app)
    await server.start("127.0.0.1", 0)
    _, leaving = await asyncio.open_connection("127.0.0.1", server.port)
    leaving.close()
    await leaving.wait_closed()
    reader, staying = await asyncio.open_connection("127.0.0.1", server.port)
    await fetch(server.port, "x")
    await server.close()
    assert await reader.read() == b""
    staying.close()
    await staying.wait_closed()


@pytest.mark.requirement("A19")
async def test_port_in_use_is_one_sentence() -> None:
    server, second = LazyHttpServer(make_app), LazyHttpServer(make_app)
    await server.start("127.0.0.1", 0)
    try:
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{server.port}"):
            await second.start("127.0.0.1", server.port)
    finally:
        await second.close()
        await server.close()


def test_module_itself_loads_no_aiohttp() -> None:
    code = "import sys, cairnfs.net.lazy_http_server; sys.exit('aiohttp' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
