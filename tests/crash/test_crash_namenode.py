"""kill -9 of the NameNode at any moment loses nothing that it acknowledged."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cairnfs.errors import CairnError, NotFound, TransportError
from cairnfs.namenode.layout import NAMESPACE
from cairnfs.namespace.verify import verify
from cairnfs.net.rpc_client import RpcClient
from cairnfs.store.durable import DurableStore
from cairnfs.wire.proto import client_namenode_pb2 as pb

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
# The slow suite runs as many; CAIRN_CRASH_CYCLES asks for more.
CYCLES = int(os.environ.get("CAIRN_CRASH_CYCLES", "300"))
CYCLES_QUICK = 40
WRITERS = 4


class Nursery:
    """The process that forks NameNodes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("namenode_nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, directory: Path) -> tuple[int, int]:
        """(pid, RPC port) of a NameNode that serves."""
        answer = self._ask(f"start {directory}")
        assert not answer.startswith("error"), answer
        pid, port = answer.split()
        return int(pid), int(port)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self._ask(f"reap {pid}") == "reaped"

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    running = Nursery()
    yield running
    running.close()


class Model:
    """What was acknowledged, and what may or may not have happened when the server died.

    Each writer owns the paths below ``/w<number>``; ``state`` maps a path to its kind."""

    def __init__(self) -> None:
        self.state: dict[str, str] = {}
        self.unsure: set[str] = set()
        self.count = 0

    def settle(self, path: str, present: bool) -> None:
        """An unsure path was looked at: that is how it is."""
        self.unsure.discard(path)
        if present:
            self.state[path] = "?"
        else:
            self.state.pop(path, None)


async def write_until_killed(port: int, number: int, model: Model, seed: int) -> int:
    """Make changes one after another until the server is gone; how many were acknowledged."""
    random_source = random.Random(seed)
    client = RpcClient("127.0.0.1", port, PROTOCOL, user=os.environ.get("USER", "root"))
    acknowledged = 0
    try:
        while True:
            model.count += 1
            own = [path for path in model.state if path.startswith(f"/w{number}/")]
            touched = await change(client, f"/w{number}/p{model.count}", own, model, random_source)
            acknowledged += touched
    except TransportError:
        return acknowledged
    finally:
        await client.close()


async def change(
    client: RpcClient, new: str, own: list[str], model: Model, source: random.Random
) -> int:
    kind = source.choice(["mkdir", "create", "rename", "delete"]) if own else "mkdir"
    if kind == "mkdir":
        model.unsure.add(new)
        request = pb.MkdirsRequestProto(src=new, masked={"perm": 0o755}, createParent=True)
        await client.call("mkdirs", request)
        model.settle(new, True)
    elif kind == "create":
        model.unsure.add(new)
        await client.call(
            "create",
            pb.CreateRequestProto(
                src=new,
                masked={"perm": 0o644},
                clientName="crash",
                createFlag=1,
                createParent=True,
                replication=1,
                blockSize=1 << 20,
            ),
        )
        model.settle(new, True)
        await client.call("complete", pb.CompleteRequestProto(src=new, clientName="crash"))
    elif kind == "rename":
        old = source.choice(own)
        model.unsure |= {old, new}
        await client.call("rename", pb.RenameRequestProto(src=old, dst=new))
        model.settle(old, False)
        model.settle(new, True)
    else:
        old = source.choice(own)
        model.unsure.add(old)
        await client.call("delete", pb.DeleteRequestProto(src=old, recursive=True))
        model.settle(old, False)
    return 1


async def check(port: int, model: Model) -> None:
    """Everything acknowledged is as it was acknowledged."""
    client = RpcClient("127.0.0.1", port, PROTOCOL, user=os.environ.get("USER", "root"))
    try:
        for path in sorted(model.state.keys() | model.unsure):
            answer = await client.call("getFileInfo", pb.GetFileInfoRequestProto(src=path))
            present = pb.GetFileInfoResponseProto.FromString(answer).HasField("fs")
            if path in model.unsure:
                model.settle(path, present)
            else:
                assert present, f"{path} was acknowledged and is gone"
        for number in range(WRITERS):
            await check_listing(client, f"/w{number}", model)
    finally:
        await client.close()


async def check_listing(client: RpcClient, directory: str, model: Model) -> None:
    """Nothing is there that nobody made, and nothing deleted came back."""
    request = pb.GetListingRequestProto(src=directory, startAfter=b"", needLocation=False)
    listing = pb.GetListingResponseProto.FromString(await client.call("getListing", request))
    found = {f"{directory}/{entry.path.decode()}" for entry in listing.dirList.partialListing}
    if listing.dirList.remainingEntries == 0:
        expected = {path for path in model.state if path.startswith(directory + "/")}
        assert found == expected


async def one_cycle(nursery: Nursery, directory: Path, model: Model, seed: int) -> int:
    pid, port = nursery.start(directory)
    try:
        await check(port, model)
        writers = [
            asyncio.ensure_future(write_until_killed(port, number, model, seed * 31 + number))
            for number in range(WRITERS)
        ]
        # The moment of death is the point of the test: no condition is waited for.
        await asyncio.sleep(random.Random(seed).uniform(0.0, 0.06))
    finally:
        nursery.kill(pid)
    return sum(await asyncio.gather(*writers))


@pytest.mark.requirement("A04")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "cycles", [CYCLES_QUICK, pytest.param(CYCLES, marks=pytest.mark.slow, id="hundreds")]
)
async def test_nothing_acknowledged_is_lost_by_kill_9(
    nursery: Nursery, tmp_path: Path, cycles: int
) -> None:
    model = Model()
    acknowledged = 0
    for seed in range(cycles):
        acknowledged += await one_cycle(nursery, tmp_path, model, seed)
        if len(model.state) > 300:
            # Keep the tree small, so that a cycle stays short.
            await prune(nursery, tmp_path, model)
    assert acknowledged > cycles
    store = DurableStore(tmp_path / "name" / NAMESPACE)
    snapshot = store.snapshot()
    try:
        assert verify(snapshot) == []
    finally:
        snapshot.close()
        store.close()


async def prune(nursery: Nursery, directory: Path, model: Model) -> None:
    pid, port = nursery.start(directory)
    await check(port, model)
    client = RpcClient("127.0.0.1", port, PROTOCOL, user=os.environ.get("USER", "root"))
    try:
        for number in range(WRITERS):
            request = pb.DeleteRequestProto(src=f"/w{number}", recursive=True)
            await client.call("delete", request)
    except (CairnError, NotFound) as error:
        pytest.fail(str(error))
    finally:
        await client.close()
        nursery.kill(pid)
    model.state.clear()
    model.unsure.clear()
