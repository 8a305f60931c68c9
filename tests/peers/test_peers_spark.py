"""Spark 4 (with Hadoop's 3.5 client inside) writes and reads tables."""

from __future__ import annotations

import os

import pytest
from cluster_processes import ProcessCluster

hdfs_native = pytest.importorskip("hdfs_native")
pytest.importorskip("pyspark")
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql import functions as sql  # noqa: E402

ROWS = 20_000


@pytest.mark.requirement("F01")
@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "orc"])
def test_write_and_read(spark: SparkSession, folder: str, kind: str) -> None:
    table = spark.range(ROWS).select(
        "id",
        (sql.col("id") % 7).cast("int").alias("part"),
        sql.concat(sql.lit("name, "), sql.col("id")).alias("name"),
        (sql.col("id") / 3).alias("share"),
    )
    place = f"{folder}/table"
    table.write.format(kind).option("header", True).save(place)
    back = spark.read.schema(table.schema).option("header", True).format(kind).load(place)
    assert back.count() == ROWS
    assert table.exceptAll(back).isEmpty()
    with pytest.raises(Exception, match=r"PATH_ALREADY_EXISTS|already exists"):
        table.write.format(kind).save(place)
    table.limit(5).write.mode("append").option("header", True).format(kind).save(place)
    assert spark.read.schema(table.schema).option("header", True).format(kind).load(
        place
    ).count() == (ROWS + 5)


@pytest.mark.requirement("F01")
def test_partitions_are_overwritten(
    spark: SparkSession, folder: str, cluster: ProcessCluster
) -> None:
    place = f"{folder}/table"
    table = spark.range(1000).withColumn("part", sql.col("id") % 5)
    for _ in range(2):
        table.write.mode("overwrite").partitionBy("part").parquet(place)
        assert spark.read.parquet(place).filter("part = 3").count() == 200
    names = {
        status.path.rpartition("/")[2]
        for status in native(cluster).list_status(place)
        if status.isdir
    }
    assert names == {f"part={number}" for number in range(5)}
    assert native(cluster).get_file_info(f"{place}/_SUCCESS").length == 0


@pytest.mark.requirement("F01")
def test_text_of_another_writer(spark: SparkSession, folder: str, cluster: ProcessCluster) -> None:
    lines = [f"line {number}" for number in range(50_000)]
    with native(cluster).create(f"{folder}/lines.txt") as file:
        file.write("\n".join(lines).encode())
    found = spark.sparkContext.textFile(f"{folder}/lines.txt", 4)
    assert found.count() == len(lines)
    assert found.filter(lambda line: line.endswith("999")).count() == 50


@pytest.mark.requirement("F01")
def test_bytes_as_they_are(spark: SparkSession, folder: str, cluster: ProcessCluster) -> None:
    contents = {f"{number}.bin": os.urandom(200_000 + number) for number in range(6)}
    for name, data in contents.items():
        with native(cluster).create(f"{folder}/{name}") as file:
            file.write(data)
    rows = spark.read.format("binaryFile").load(folder).select("path", "content").collect()
    assert {row.path.rpartition("/")[2]: bytes(row.content) for row in rows} == contents


def native(cluster: ProcessCluster) -> hdfs_native.Client:
    return hdfs_native.Client(cluster.url)
