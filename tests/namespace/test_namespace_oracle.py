"""The same answers and the same exceptions as a real NameNode (Apache Hadoop 3.4.2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from namespace_oracle import answer
from namespace_world import World

GOLDEN = Path(__file__).parent / "golden" / "namenode.tsv"


@pytest.mark.requirement("F01")
def test_we_answer_as_a_real_namenode_did() -> None:
    world = World()
    asked = 0
    for line in GOLDEN.read_text().splitlines():
        operation, _, expected = line.partition("\t=>\t")
        words = operation.split("\t")
        assert answer(world, words) == expected.split("\t"), f"operation {asked}: {words}"
        asked += 1
    assert asked > 1000
    world.check()
