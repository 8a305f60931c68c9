"""The ordered key-value store and the journal."""
