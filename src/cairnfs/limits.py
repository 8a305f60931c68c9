"""Every fixed limit, with its reason.

What an operator may want to change is a key in :mod:`cairnfs.config`; what protects a
process from its peers, whatever is configured, is here. Units are the last word of each name.
"""

from __future__ import annotations

# --- RPC ---------------------------------------------------------------------------------------
# Hadoop's ipc.maximum.data.length: larger frames are refused before a byte is buffered.
RPC_FRAME_BYTES_MAX = 128 * 1024 * 1024
# What a connection may send before its context is accepted; a context is below 1 KiB.
RPC_PREAMBLE_BYTES_MAX = 64 * 1024
# What names a call across retries: client id (16) and call id.
RPC_CALL_KEY_BYTES = 20
# Calls one connection may have in flight; Java's clients stay far below.
RPC_CALLS_IN_FLIGHT_MAX = 4096
# Answers waiting for a peer that does not read; past this its reading is paused.
RPC_ANSWER_BUFFER_BYTES_MAX = 32 * 1024 * 1024
# A connection must finish its handshake within this time (slow drips).
RPC_HANDSHAKE_MS = 20_000
# One frame, once begun, must arrive whole within this time.
RPC_FRAME_MS = 120_000
RPC_CONNECTIONS_MAX = 20_000

# --- Data transfer -------------------------------------------------------------------------------
# Hadoop's PacketReceiver.MAX_PACKET_SIZE.
PACKET_BYTES_MAX = 16 * 1024 * 1024
# A packet header protobuf is 25-40 bytes; more is hostile.
PACKET_HEADER_BYTES_MAX = 1024
# An operation's request protobuf: 64 targets with tokens stay below.
TRANSFER_OP_BYTES_MAX = 1024 * 1024
BYTES_PER_CHECKSUM_MAX = 1024 * 1024
PIPELINE_LENGTH_MAX = 64
TRANSFER_OP_MS = 20_000
# Connections to one DataNode, idle ones included (150 bytes each here, 4 KiB in the kernel).
TRANSFER_CONNECTIONS_MAX = 20_000

# --- DataNode control ----------------------------------------------------------------------------
# Replica changes kept for a NameNode that cannot be reached; past this a full report replaces them.
REPORT_FACTS_PENDING_MAX = 100_000
# Replica changes in one incremental report, and such reports that may await answers at once.
REPORT_FACTS_PER_CALL_MAX = 10_000
REPORT_CALLS_IN_FLIGHT_MAX = 8
# Bad blocks and disk errors to tell a NameNode that cannot be reached.
SERVICE_ERRANDS_MAX = 1_000
# Threads for recoveries, deletions, outgoing replications and lists of all blocks.
CONTROL_THREADS_MAX = 32
# Block recoveries that one DataNode leads at once, and commands that wait behind them.
RECOVERIES_MAX = 16
RECOVERIES_WAITING_MAX = 10_000

# --- Namespace -----------------------------------------------------------------------------------
# Hadoop's MAX_PATH_LENGTH and MAX_PATH_DEPTH.
PATH_CHARS_MAX = 8000
PATH_DEPTH_MAX = 1000
# LMDB's largest key is 511 bytes; a directory key is table (1) + parent id (8) + name.
NAME_BYTES_MAX = 490
# Directories whose place is remembered for whom they are open to: some 300 bytes each.
KNOWN_DIRECTORIES_MAX = 32_768
# Listings remembered as they were answered.
LISTING_ANSWERS_BYTES_MAX = 16 * 1024 * 1024
# Blocks of files remembered as they were read: some 400 bytes a block.
LOCATED_FILES_BYTES_MAX = 16 * 1024 * 1024
# Blocks whose encoded locations are remembered: some KB each, as they have many replicas.
LOCATED_BLOCKS_MAX = 8_192

# --- Store and journal ---------------------------------------------------------------------------
# LMDB's compiled-in limit.
STORE_KEY_BYTES_MAX = 511
# Upper bound of one LMDB file: address space, not an allocation; a billion files take 200 GB.
STORE_MAP_BYTES = 1 << 40
# Snapshots open at one time, over all processes on one store; a slot is 64 bytes.
STORE_READERS_MAX = 2048
# Ended read transactions that LMDB keeps for the next snapshot of this process.
STORE_SPARE_READERS = 16
# One committed batch in the journal. A batch of 500 calls takes some 100 KB.
JOURNAL_RECORD_BYTES_MAX = 128 * 1024 * 1024
# Free space without which a batch is not begun: pages that LMDB may need for one change (it
# copies the path from the root, which the changes of a batch share in part), and a reserve
# for others who write to the disk at that very moment.
STORE_ROOM_BYTES_PER_CHANGE = 16 * 1024
STORE_ROOM_BYTES_MIN = 4 * 1024 * 1024
# Allocated ahead of the records; small enough to be looked through in milliseconds.
JOURNAL_SEGMENT_BYTES = 16 * 1024 * 1024

# --- Configuration -------------------------------------------------------------------------------
# Large real files hold some hundred keys in 100 KiB.
CONFIGURATION_FILE_BYTES_MAX = 4 * 1024 * 1024
# Keys have at most eight dots.
CONFIGURATION_DEPTH_MAX = 32
# What one value may grow to by ${...}; Hadoop's MAX_SUBST bounds the steps.
CONFIGURATION_VALUE_CHARS_MAX = 64 * 1024
CONFIGURATION_SUBSTITUTIONS_MAX = 20
