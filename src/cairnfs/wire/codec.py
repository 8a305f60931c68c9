"""Values of :mod:`cairnfs.types` <-> protobuf messages, all in one place.

``encode_x(value) -> XProto`` and ``decode_x(XProto) -> value``. ``decode_*`` raise
``RemoteProtocolError`` on values that make no sense; the message itself comes from
:func:`cairnfs.wire.message.parse`, which refuses what is incomplete.
"""

from cairnfs.wire.codec_block import (
    decode_block,
    decode_extended_block,
    decode_located_block,
    decode_located_blocks,
    decode_storage_types,
    decode_token,
    encode_block,
    encode_extended_block,
    encode_located_block,
    encode_located_blocks,
    encode_token,
)
from cairnfs.wire.codec_file import (
    decode_content_summary,
    decode_file_status,
    decode_permission,
    decode_server_defaults,
    encode_content_summary,
    encode_file_status,
    encode_permission,
    encode_server_defaults,
)
from cairnfs.wire.codec_node import (
    StorageInfo,
    decode_datanode_id,
    decode_datanode_info,
    decode_datanode_storage,
    decode_namespace_info,
    decode_storage_info,
    decode_storage_report,
    encode_datanode_id,
    encode_datanode_info,
    encode_datanode_storage,
    encode_namespace_info,
    encode_storage_info,
    encode_storage_report,
)
from cairnfs.wire.message import parse, serialize

__all__ = [
    "StorageInfo",
    "decode_block",
    "decode_content_summary",
    "decode_datanode_id",
    "decode_datanode_info",
    "decode_datanode_storage",
    "decode_extended_block",
    "decode_file_status",
    "decode_located_block",
    "decode_located_blocks",
    "decode_namespace_info",
    "decode_permission",
    "decode_server_defaults",
    "decode_storage_info",
    "decode_storage_report",
    "decode_storage_types",
    "decode_token",
    "encode_block",
    "encode_content_summary",
    "encode_datanode_id",
    "encode_datanode_info",
    "encode_datanode_storage",
    "encode_extended_block",
    "encode_file_status",
    "encode_located_block",
    "encode_located_blocks",
    "encode_namespace_info",
    "encode_permission",
    "encode_server_defaults",
    "encode_storage_info",
    "encode_storage_report",
    "encode_token",
    "parse",
    "serialize",
]
