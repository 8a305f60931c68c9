"""Sockets, loops and threads under the protocols."""
