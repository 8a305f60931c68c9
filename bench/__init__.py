"""Apache Hadoop and Cairn measured in turn on this machine: ``python -m bench``."""
