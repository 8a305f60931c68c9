"""Logging, with two kinds of warning that must never be mixed.

``our_fault``: this process did what it should not (a failed assertion, an unexpected
exception). Any such line fails a test run. ``peer_fault``: a peer broke a protocol,
vanished or asked for nonsense. That is a peer's business and fails nothing.
Both go to a child of the caller's logger, so that handlers can tell them apart.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

OUR_FAULT = "our fault"
PEER_FAULT = "peer's fault"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def our_fault(logger: logging.Logger, message: str, *args: Any, exc_info: Any = None) -> None:
    """Warn that this process is at fault. ``exc_info=True`` adds the traceback."""
    logger.error(f"{OUR_FAULT}: {message}", *args, exc_info=exc_info, extra={"fault": OUR_FAULT})


def peer_fault(logger: logging.Logger, message: str, *args: Any) -> None:
    """Warn that a peer is at fault; never with a traceback of ours."""
    logger.warning(f"{PEER_FAULT}: {message}", *args, extra={"fault": PEER_FAULT})


def configure(level: str = "INFO") -> None:
    """Send log lines of this process to stderr, from ``level`` upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
