"""The life of one replica and of one write pipeline."""
