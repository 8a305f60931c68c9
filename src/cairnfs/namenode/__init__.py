"""The NameNode role."""
