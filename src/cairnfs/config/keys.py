"""Keys that more than one role reads. Each role's own stand in ``*_keys.py``."""

from __future__ import annotations

from cairnfs.config.key import Key, duration_ms, integer, one_of, size, text

DEFAULT_FS = Key("fs.defaultFS", text, "hdfs://localhost:8020", "Address of the NameNode.")
BLOCK_SIZE = Key("dfs.blocksize", size, 128 << 20, "Block size of new files.", minimum=512)
REPLICATION = Key("dfs.replication", integer, 3, "Replicas of new files.", minimum=1, maximum=512)
BYTES_PER_CHECKSUM = Key(
    "dfs.bytes-per-checksum", integer, 512, "Data under one checksum.", minimum=1
)
CHECKSUM_TYPE = Key(
    "dfs.checksum.type", one_of("CRC32C", "CRC32", "NULL"), "CRC32C", "Checksum of new data."
)
WRITE_PACKET_SIZE = Key(
    "dfs.client-write-packet-size", size, 65536, "Data in one packet of a write.", minimum=512
)
HEARTBEAT_INTERVAL_MS = Key(
    "dfs.heartbeat.interval", duration_ms("s"), 3000, "Time between heartbeats.", minimum=1
)
SOCKET_TIMEOUT_MS = Key(
    "dfs.client.socket-timeout", duration_ms("ms"), 60_000, "Longest silence of a peer."
)
SUPERUSER_GROUP = Key(
    "dfs.permissions.superusergroup", text, "supergroup", "Group of those who may administer."
)
