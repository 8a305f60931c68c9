"""The DataNode role."""
