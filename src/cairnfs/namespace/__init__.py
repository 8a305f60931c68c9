"""The tree of names as transactions on an ordered store."""
