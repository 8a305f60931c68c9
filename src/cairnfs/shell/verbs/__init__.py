"""The verbs of ``cairn fs``; which is where says :mod:`cairnfs.shell.registry`."""
