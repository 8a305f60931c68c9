"""The verbs of the shell, one file each."""
