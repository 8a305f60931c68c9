"""Writes standard input to ``/f`` with hdfs-native; says when the first block is synced.

Run as ``native_writer.py URL BLOCK_BYTES`` by the tests, which may kill it.
"""

from __future__ import annotations

import sys

import hdfs_native


def main(url: str, block: int) -> None:
    options = hdfs_native.WriteOptions(block_size=64 * block)
    writer = hdfs_native.Client(url).create("/f", options)
    writer.write(sys.stdin.buffer.read(block))
    writer.hsync()
    sys.stdout.write("synced\n")
    sys.stdout.flush()
    while data := sys.stdin.buffer.read(block):
        writer.write(data)
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
