"""Spark in one JVM, which is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import SparkSession


@contextlib.contextmanager
def session(url: str, directory: Path) -> Iterator[SparkSession]:
    """A session on two threads whose default file system is ``url``."""
    # Without it Spark takes the address of some network card.
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master("local[2]")
        .appName("cairn")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.local.dir", str(directory / "local"))
        .config("spark.sql.warehouse.dir", f"{url}/warehouse")
        .config("spark.hadoop.fs.defaultFS", url)
        .getOrCreate()
    )
    try:
        yield spark
    finally:
        spark.stop()
        # PySpark keeps its JVM until Python ends; the run is checked for what it leaves.
        gateway = SparkContext._gateway
        assert gateway is not None
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(30)
        SparkContext._gateway = SparkContext._jvm = None
