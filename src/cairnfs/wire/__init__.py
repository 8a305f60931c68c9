"""Bytes to messages and back: Hadoop's protocols without I/O."""
