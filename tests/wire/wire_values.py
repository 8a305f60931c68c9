"""Hypothesis strategies for the values that cross the wire."""

from __future__ import annotations

from hypothesis import strategies as st

from cairnfs import types
from cairnfs.types import (
    TOKEN_NONE,
    AdminState,
    Block,
    ContentSummary,
    DatanodeID,
    DatanodeInfo,
    DatanodeStorage,
    ExtendedBlock,
    FileStatus,
    FileType,
    LocatedBlock,
    LocatedBlocks,
    NamespaceInfo,
    StorageReport,
    StorageState,
    StorageType,
    Token,
)
from cairnfs.wire import transfer as t
from cairnfs.wire.checksum import BlockChecksumType, DataChecksum
from cairnfs.wire.transfer_reply import (
    BlockChecksumReply,
    BlockOpResponse,
    ReadChecksumInfo,
    Status,
)

longs = st.integers(-(1 << 63), (1 << 63) - 1)
ints = st.integers(-(1 << 31), (1 << 31) - 1)
counts = st.integers(0, (1 << 63) - 1) | st.integers(0, 300)
small = st.integers(0, (1 << 31) - 1)
ports = st.integers(0, 65535)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.binary(max_size=40)

tokens = st.just(TOKEN_NONE) | st.builds(
    Token, st.binary(min_size=1, max_size=20), st.binary(max_size=20), texts, texts
)
blocks = st.builds(Block, longs, longs, longs)
extended_blocks = st.builds(ExtendedBlock, texts, longs, longs, longs)
datanode_ids = st.builds(DatanodeID, texts, texts, texts, ports, ports, ports, ports)
datanodes = st.builds(
    DatanodeInfo,
    id=datanode_ids,
    capacity=counts,
    dfs_used=counts,
    remaining=counts,
    block_pool_used=counts,
    non_dfs_used=longs,
    last_update_ms=counts,
    xceiver_count=small,
    location=texts.filter(bool),
    admin_state=st.sampled_from(AdminState),
    cache_capacity=counts,
    cache_used=counts,
    last_block_report_ms=counts,
    num_blocks=small,
    upgrade_domain=st.none() | texts,
)
storage_types = st.sampled_from(StorageType)
storages = st.builds(DatanodeStorage, texts, st.sampled_from(StorageState), storage_types)
storage_reports = st.builds(
    StorageReport, storages, st.booleans(), counts, counts, counts, counts, longs
)
namespaces = st.builds(NamespaceInfo, ints, texts, texts, longs, texts, texts, ints)
content_summaries = st.builds(ContentSummary, counts, counts, counts, counts, longs, longs)


@st.composite
def located_blocks_of_one(draw: st.DrawFn) -> LocatedBlock:
    count = draw(st.integers(0, 4))

    def each(values: st.SearchStrategy[object]) -> tuple[object, ...]:
        return tuple(draw(st.lists(values, min_size=count, max_size=count)))

    return LocatedBlock(
        block=draw(extended_blocks),
        offset=draw(counts),
        locations=each(datanodes),  # type: ignore[arg-type]
        storage_ids=each(texts),  # type: ignore[arg-type]
        storage_types=each(storage_types),  # type: ignore[arg-type]
        corrupt=draw(st.booleans()),
        token=draw(tokens),
        cached=each(st.booleans()),  # type: ignore[arg-type]
    )


located_block = located_blocks_of_one()
located_blocks = st.builds(
    LocatedBlocks,
    counts,
    st.lists(located_block, max_size=3).map(tuple),
    st.booleans(),
    st.none() | located_block,
    st.booleans(),
)


@st.composite
def _file_statuses(draw: st.DrawFn) -> FileStatus:
    file_type = draw(st.sampled_from(FileType))
    return FileStatus(
        file_type=file_type,
        name=draw(names),
        length=draw(counts),
        mode=draw(st.integers(0, 0o1777)),
        owner=draw(texts),
        group=draw(texts),
        modification_time_ms=draw(counts | st.integers(1 << 27, 1 << 43)),
        access_time_ms=draw(counts | st.integers(1 << 27, 1 << 43)),
        replication=draw(st.integers(0, 512)),
        block_size=draw(counts),
        inode_id=draw(counts),
        children=draw(st.just(-1) | small),
        symlink=draw(names) if file_type is FileType.SYMLINK else b"",
        storage_policy=draw(st.integers(0, 255)),
        flags=draw(st.integers(0, 15)),
    )


file_statuses = _file_statuses()

checksums = st.builds(
    DataChecksum, st.sampled_from(types.ChecksumType), st.integers(1, 1024 * 1024)
)
traces = st.none() | st.builds(t.TraceInfo, longs, longs, st.binary(max_size=20))
caching = st.builds(t.CachingStrategy, st.none() | st.booleans(), st.none() | counts)
nodes = st.lists(datanodes, max_size=3).map(tuple)
kinds = st.sampled_from(BlockChecksumType)
slots = st.builds(t.ShmSlot, longs, longs, ints)


@st.composite
def _writes(draw: st.DrawFn) -> t.WriteBlock:
    targets = draw(nodes)
    types_ = st.lists(storage_types, min_size=len(targets), max_size=len(targets)).map(tuple)
    return t.WriteBlock(
        block=draw(extended_blocks),
        client_name=draw(texts),
        targets=targets,
        stage=draw(st.sampled_from(t.Stage)),
        pipeline_size=draw(small),
        min_bytes_received=draw(counts),
        max_bytes_received=draw(counts),
        latest_generation_stamp=draw(longs),
        checksum=draw(checksums),
        source=draw(st.none() | datanodes),
        caching=draw(caching),
        storage_type=draw(storage_types),
        target_storage_types=draw(types_),
        allow_lazy_persist=draw(st.booleans()),
        pinning=draw(st.booleans()),
        target_pinnings=draw(st.lists(st.booleans(), max_size=3).map(tuple)),
        storage_id=draw(texts),
        target_storage_ids=draw(st.lists(texts, max_size=3).map(tuple)),
        token=draw(tokens),
        trace=draw(traces),
    )


@st.composite
def _group_checksums(draw: st.DrawFn) -> t.BlockGroupChecksum:
    targets = draw(nodes)
    count = len(targets)
    policy = st.builds(t.ErasureCodingPolicy, small, texts, texts, small, small, small)
    return t.BlockGroupChecksum(
        block=draw(extended_blocks),
        nodes=targets,
        node_tokens=tuple(draw(st.lists(tokens, min_size=count, max_size=count))),
        policy=draw(policy),
        block_indices=tuple(draw(st.lists(small, min_size=count, max_size=count))),
        requested_bytes=draw(counts),
        kind=draw(kinds),
        stripe_length=draw(counts),
        token=draw(tokens),
        trace=draw(traces),
    )


requests: st.SearchStrategy[t.Request] = st.one_of(
    st.builds(
        t.ReadBlock,
        extended_blocks,
        texts,
        counts,
        counts,
        st.booleans(),
        caching,
        tokens,
        traces,
    ),
    _writes(),
    st.builds(
        t.TransferBlock,
        extended_blocks,
        texts,
        nodes,
        target_storage_ids=st.lists(texts, max_size=3).map(tuple),
        token=tokens,
        trace=traces,
    ),
    st.builds(
        t.ReplaceBlock, extended_blocks, texts, datanodes, storage_types, texts, tokens, traces
    ),
    st.builds(t.CopyBlock, extended_blocks, tokens, traces),
    st.builds(t.BlockChecksum, extended_blocks, kinds, counts, tokens, traces),
    _group_checksums(),
    st.builds(
        t.RequestShortCircuitFds,
        extended_blocks,
        small,
        st.none() | slots,
        st.booleans(),
        tokens,
        traces,
    ),
    st.builds(t.ReleaseShortCircuitFds, slots, traces),
    st.builds(t.RequestShortCircuitShm, texts, traces),
)

responses = st.builds(
    BlockOpResponse,
    st.sampled_from(Status),
    texts,
    st.none() | texts,
    st.none() | st.builds(ReadChecksumInfo, checksums, counts),
    st.none()
    | st.builds(
        BlockChecksumReply,
        small,
        counts,
        st.binary(max_size=16),
        st.sampled_from(types.ChecksumType),
        kinds,
        counts,
    ),
    st.none() | small,
)
