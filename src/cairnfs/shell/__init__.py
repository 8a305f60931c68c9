"""``cairn fs``: Hadoop's file system shell, one file for each verb; ``cairn shell``: the same,
interactively.

Flags, output and exit codes are those of Hadoop's FsShell. Two things differ on purpose: a
wrong command line shows the usage of its own verb instead of everybody's, and nothing is
answered with a stack trace.
"""
