"""Ask a real NameNode what it answers to thousands of operations, for the golden file.

    python tests/namespace/capture_namenode.py JARS SEED COUNT > golden/namenode.tsv

JARS is a directory with Hadoop's server jars. The NameNode runs inside one Java process
(``golden/NameNodeOracle.java``) without DataNodes, so that files stay empty; what has to do
with blocks is tested elsewhere. Each line: the operation, ``=>``, the answer.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from namespace_oracle import Operations

HERE = Path(__file__).resolve().parent


def main(jars: str, seed: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as work:
        # The NameNode insists on a directory for its web pages.
        for name in ("hdfs", "static"):
            Path(work, "webapps", name).mkdir(parents=True)
        source = HERE / "golden" / "NameNodeOracle.java"
        subprocess.run(["javac", "-cp", f"{jars}/*", "-d", work, str(source)], check=True)
        with subprocess.Popen(
            ["java", "-cp", f"{work}:{jars}/*", "NameNodeOracle", f"{work}/name"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as oracle:
            assert oracle.stdin is not None
            assert oracle.stdout is not None
            oracle.stdout.readline()
            for words in Operations(seed).take(count):
                oracle.stdin.write("\t".join(words) + "\n")
                oracle.stdin.flush()
                answer = oracle.stdout.readline().rstrip("\n").split("\t")
                # A defect of its own (a rename of the root) is no example.
                if "NullPointerException" not in answer[1]:
                    print("\t".join([*words, "=>", *answer[:2]]))
            oracle.stdin.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
