"""ClientProtocol (ClientNamenodeProtocol.proto): what file system clients call."""

from __future__ import annotations

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
