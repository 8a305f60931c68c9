"""What any client may ask of a NameNode over the wire, and what it is answered."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import aiohttp
import pytest
from namenode_world import (
    World,
    complete,
    create,
    create_request,
    delete,
    exists,
    mkdirs,
)

from cairnfs.errors import (
    AlreadyBeingCreated,
    AlreadyExists,
    AuthorizationFailed,
    CairnError,
    FileSystemError,
    InvalidRequest,
    LeaseExpired,
    NoSuchMethod,
    NoSuchProtocol,
    PermissionDenied,
    SafeMode,
    VersionMismatch,
)
from cairnfs.wire.proto import client_namenode_pb2 as pb

SOFT_MS, HARD_MS = 60_000, 1_200_000


# --- who may do what -------------------------------------------------------------------------


@pytest.mark.requirement("F01")
async def test_permissions_hold_for_everyone_but_the_superuser(world: World) -> None:
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    with pytest.raises(PermissionDenied, match="alice"):
        await mkdirs(alice, "/alice")
    await mkdirs(world.root, "/alice", 0o750)
    owner = pb.SetOwnerRequestProto(src="/alice", username="alice", groupname="staff")
    with pytest.raises(PermissionDenied):
        await alice.call("setOwner", owner)
    await world.root.call("setOwner", owner)
    await create(alice, "/alice/file")
    assert await exists(bob, "/alice/file")
    with pytest.raises(PermissionDenied, match="bob"):
        await create(bob, "/alice/other")
    with pytest.raises(PermissionDenied):
        await delete(bob, "/alice/file")
    with pytest.raises(PermissionDenied, match="carol"):
        await exists(carol, "/alice/file")
    with pytest.raises(PermissionDenied):
        await bob.call(
            "setPermission",
            pb.SetPermissionRequestProto(src="/alice/file", permission={"perm": 0o777}),
        )
    # A member of the supergroup may do anything.
    assert await delete(world.client("root2"), "/alice/file")


async def test_a_proxy_acts_for_whom_it_may(tmp_path: Path) -> None:
    values = {"hadoop.proxyuser.oozie.users": "alice", "hadoop.proxyuser.oozie.hosts": "127.0.0.1"}
    world = World(tmp_path, values)
    await world.start()
    try:
        await mkdirs(world.root, "/open", 0o777)
        await mkdirs(world.client("alice", real_user="oozie"), "/open/by-proxy")
        answer = await world.root.call(
            "getFileInfo", pb.GetFileInfoRequestProto(src="/open/by-proxy")
        )
        assert pb.GetFileInfoResponseProto.FromString(answer).fs.owner == "alice"
        for user, real_user in (("carol", "oozie"), ("alice", "carol")):
            with pytest.raises(AuthorizationFailed, match=f"{real_user} is not allowed"):
                await mkdirs(world.client(user, real_user=real_user), "/open/no")
        assert not await exists(world.root, "/open/no")
    finally:
        await world.close()


async def test_what_only_superusers_may(world: World) -> None:
    alice = world.client("alice")
    for method, request in (
        ("setSafeMode", pb.SetSafeModeRequestProto(action=pb.SAFEMODE_ENTER, checked=False)),
        ("saveNamespace", pb.SaveNamespaceRequestProto()),
        ("refreshNodes", pb.RefreshNodesRequestProto()),
        ("setBalancerBandwidth", pb.SetBalancerBandwidthRequestProto(bandwidth=1)),
    ):
        with pytest.raises(PermissionDenied, match="alice"):
            await alice.call(method, request)
    await world.healthy()


# --- the retry cache -------------------------------------------------------------------------


@pytest.mark.requirement("A04")
@pytest.mark.parametrize("restart", [None, True, False])
async def test_a_call_that_comes_again_is_not_done_again(
    world: World, restart: bool | None
) -> None:
    client = world.client()
    calls = {
        "create": create_request("/file"),
        "rename": pb.RenameRequestProto(src="/a", dst="/b"),
        "rename2": pb.Rename2RequestProto(src="/c", dst="/d", overwriteDest=False),
        "delete": pb.DeleteRequestProto(src="/gone", recursive=True),
    }
    for path in ("/a", "/c", "/gone"):
        await mkdirs(world.root, path)
    ids = {method: client.new_call_id() for method in calls}
    first = {
        method: await client.call(method, request, call_id=ids[method])
        for method, request in calls.items()
    }
    if restart is not None:
        port = world.port
        await world.cluster.restart_namenode(clean=restart)
        assert world.port == port
    for method, request in calls.items():
        answer = await client.call(method, request, call_id=ids[method], retry_count=1)
        assert answer == first[method], method
    # Asked anew each fails, or finds nothing to do.
    with pytest.raises(AlreadyBeingCreated):
        await client.call("create", calls["create"])
    answer = await client.call("delete", calls["delete"])
    assert not pb.DeleteResponseProto.FromString(answer).result
    answer = await client.call("rename", calls["rename"])
    assert not pb.RenameResponseProto.FromString(answer).result


async def test_an_answer_is_kept_for_its_client_only(world: World) -> None:
    await mkdirs(world.root, "/gone")
    one, other = world.client(), world.client()
    call_id = one.new_call_id()
    assert await delete(one, "/gone", call_id=call_id)
    assert not await delete(other, "/gone", call_id=call_id)
    assert await delete(one, "/gone", call_id=call_id)


async def test_a_refusal_is_not_kept(world: World) -> None:
    client = world.client()
    call_id = client.new_call_id()
    await create(world.root, "/file")
    with pytest.raises(AlreadyBeingCreated):
        await client.call("create", create_request("/file", "other"), call_id=call_id)
    assert await complete(world.root, "/file")
    with pytest.raises(AlreadyExists):
        await client.call("create", create_request("/file", "other"), call_id=call_id)


# --- safe mode -------------------------------------------------------------------------------


async def test_safe_mode_refuses_changes_and_serves_reads(world: World) -> None:
    async def ask(action: int) -> bool:
        request = pb.SetSafeModeRequestProto(action=action, checked=False)
        answer = await world.root.call("setSafeMode", request)
        return bool(pb.SetSafeModeResponseProto.FromString(answer).result)

    await mkdirs(world.root, "/before")
    await create(world.root, "/open")
    assert not await ask(pb.SAFEMODE_GET)
    assert await ask(pb.SAFEMODE_ENTER)
    assert await ask(pb.SAFEMODE_GET)
    for change in (
        mkdirs(world.root, "/x"),
        create(world.root, "/x"),
        complete(world.root, "/open"),
        delete(world.root, "/before"),
    ):
        with pytest.raises(SafeMode, match="safe mode"):
            await change
    assert await exists(world.root, "/before")
    assert not await ask(pb.SAFEMODE_LEAVE)
    assert await delete(world.root, "/before")


# --- names that are not known ----------------------------------------------------------------


@pytest.mark.requirement("F01")
async def test_unknown_methods_protocols_and_versions(world: World) -> None:
    with pytest.raises(NoSuchMethod, match="getBatchedListing"):
        await world.root.call("getBatchedListing", b"")
    assert NoSuchMethod.java_class == "org.apache.hadoop.ipc.RpcNoSuchMethodException"
    with pytest.raises(NoSuchProtocol, match="NoProtocol"):
        await world.client(protocol="org.example.NoProtocol").call("mkdirs", b"")
    with pytest.raises(VersionMismatch, match="server = 1"):
        await world.client(protocol_version=7).call("mkdirs", b"")
    await world.healthy()


@pytest.mark.requirement("A26")
async def test_a_request_that_is_no_message_costs_only_itself(world: World) -> None:
    for method in ("mkdirs", "getFileInfo", "getListing", "create", "complete", "addBlock"):
        for request in (b"\xff" * 11, b"", b"\x0a\xff\xff\xff\xff\x07"):
            with pytest.raises(CairnError):
                await world.root.call(method, request)
    await world.healthy()


# --- listings --------------------------------------------------------------------------------


async def test_a_listing_comes_in_pages(world: World) -> None:
    names = [f"n{number:02d}" for number in range(37)]
    await asyncio.gather(*(mkdirs(world.root, f"/dir/{name}") for name in names))
    found: list[str] = []
    start_after, pages = b"", 0
    while True:
        request = pb.GetListingRequestProto(src="/dir", startAfter=start_after, needLocation=False)
        answer = pb.GetListingResponseProto.FromString(await world.root.call("getListing", request))
        page = [bytes(entry.path).decode() for entry in answer.dirList.partialListing]
        assert len(page) <= 10
        found += page
        pages += 1
        # Exact on the first page and the last; between an upper bound, which clients use so.
        assert answer.dirList.remainingEntries >= len(names) - len(found)
        if not answer.dirList.remainingEntries:
            break
        start_after = page[-1].encode()
    assert found == names
    assert pages == 4


# --- leases ----------------------------------------------------------------------------------


async def add_block(world: World, holder: str) -> None:
    request = pb.AddBlockRequestProto(src="/file", clientName=holder)
    await world.root.call("addBlock", request)


@pytest.mark.requirement("A21")
@pytest.mark.requirement("A23")
async def test_a_second_writer_waits_for_the_soft_limit(world: World) -> None:
    await create(world.root, "/file", "first")
    with pytest.raises(AlreadyBeingCreated, match="first"):
        await create(world.root, "/file", "second", overwrite=False)
    await world.turn(SOFT_MS - 1_000)
    await world.root.call("renewLease", pb.RenewLeaseRequestProto(clientName="first"))
    await world.turn(SOFT_MS - 1_000)
    append = pb.AppendRequestProto(src="/file", clientName="second")
    with pytest.raises(AlreadyBeingCreated):
        await world.root.call("append", append)
    await world.turn(2_000)
    await world.root.call("append", append)
    with pytest.raises(LeaseExpired):
        await complete(world.root, "/file", "first")
    assert await complete(world.root, "/file", "second")


@pytest.mark.requirement("A21")
async def test_a_silent_writers_files_are_closed_at_the_hard_limit(world: World) -> None:
    await create(world.root, "/file", "gone")
    await world.turn(HARD_MS - 5_000)
    assert world.system.namespace.leases
    await world.turn(10_000)
    async with asyncio.timeout(20):
        while len(world.system.namespace.leases):
            await world.turn(2_000)
    with pytest.raises(LeaseExpired):
        await add_block(world, "gone")
    await create(world.root, "/file", "next", overwrite=True)


@pytest.mark.requirement("A21")
async def test_a_lease_can_be_recovered_by_order(world: World) -> None:
    await create(world.root, "/file", "first")
    request = pb.RecoverLeaseRequestProto(src="/file", clientName="second")
    answer = await world.root.call("recoverLease", request)
    assert pb.RecoverLeaseResponseProto.FromString(answer).result
    with pytest.raises(LeaseExpired):
        await add_block(world, "first")
    with pytest.raises(FileSystemError, match="/missing"):
        await world.root.call(
            "recoverLease", pb.RecoverLeaseRequestProto(src="/missing", clientName="x")
        )


async def test_a_block_of_another_pool_is_refused(world: World) -> None:
    await create(world.root, "/file")
    block = {"poolId": "BP-1-1.2.3.4-5", "blockId": 1, "generationStamp": 1, "numBytes": 1}
    for method, request in (
        ("addBlock", pb.AddBlockRequestProto(src="/file", clientName="holder", previous=block)),
        ("complete", pb.CompleteRequestProto(src="/file", clientName="holder", last=block)),
        ("abandonBlock", pb.AbandonBlockRequestProto(src="/file", holder="holder", b=block)),
    ):
        with pytest.raises(InvalidRequest, match="BP-1-1"):
            await world.root.call(method, request)


@pytest.mark.requirement("A22")
async def test_without_datanodes_a_block_is_refused_and_the_file_stays(world: World) -> None:
    await create(world.root, "/file")
    with pytest.raises(FileSystemError, match="/file"):
        await add_block(world, "holder")
    assert await complete(world.root, "/file")


# --- groups, audit, web ----------------------------------------------------------------------


async def test_groups_are_asked_anew_on_demand(world: World) -> None:
    groups = world.system.groups
    groups._cache["dave"] = (world.clock.steady_ms() + 300_000, ("old",))
    assert groups.of("dave") == ("old",)
    protocol = "org.apache.hadoop.security.RefreshUserMappingsProtocol"
    with pytest.raises(PermissionDenied, match="alice"):
        await world.client("alice", protocol=protocol).call("refreshUserToGroupsMappings", b"")
    assert groups.of("dave") == ("old",)
    refresh = world.client(protocol=protocol)
    await refresh.call("refreshUserToGroupsMappings", b"")
    assert groups.of("dave") == ()


async def test_changes_are_audited_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, {"cairn.namenode.audit-log": "true"})
    await world.start()
    try:
        with caplog.at_level(logging.INFO, "cairnfs.audit"):
            await mkdirs(world.root, "/seen")
            with pytest.raises(PermissionDenied):
                await mkdirs(world.client("alice"), "/unseen")
        lines = [r.getMessage() for r in caplog.records if r.name == "cairnfs.audit"]
        assert any("allowed=true" in line and "src=/seen" in line for line in lines)
        [refused] = [line for line in lines if "allowed=false" in line]
        assert "ugi=alice" in refused
        assert "cmd=mkdirs" in refused
        assert "ip=/127.0.0.1" in refused
    finally:
        await world.close()


async def test_health_and_metrics_over_http(world: World) -> None:
    await mkdirs(world.root, "/dir")
    web = f"http://127.0.0.1:{world.cluster.namenode.http_port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(web + "/health") as answer:
            body = json.loads(await answer.text())
            assert answer.status == 503
            assert body["status"] == "degraded"
            assert body["reasons"] == ["no DataNode is live"]
            assert body["pool_id"] == world.system.info.pool_id
        async with session.get(web + "/metrics") as answer:
            text = await answer.text()
            assert answer.status == 200
            assert 'cairn_rpc_calls_total{method="ClientProtocol.mkdirs"} 1.0' in text
            assert "cairn_namenode_directories 2.0" in text
        async with session.get(web + "/nothing") as answer:
            assert answer.status == 404


async def test_an_empty_name_leaves_owner_and_group_as_they_are(world: World) -> None:
    """The Go client sends the one that it does not mean to change as an empty name."""
    await create(world.root, "/f")
    for owner, group in (("alice", "staff"), ("", "users"), ("bob", ""), ("", "")):
        request = pb.SetOwnerRequestProto(src="/f", username=owner, groupname=group)
        await world.root.call("setOwner", request)
    answer = await world.root.call("getFileInfo", pb.GetFileInfoRequestProto(src="/f"))
    status = pb.GetFileInfoResponseProto.FromString(answer).fs
    assert (status.owner, status.group) == ("bob", "users")
