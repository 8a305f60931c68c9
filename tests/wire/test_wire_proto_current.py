from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "make_proto.py"


def test_generated_code_is_what_the_proto_files_make() -> None:
    pytest.importorskip("grpc_tools")
    spec = importlib.util.spec_from_file_location("make_proto", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.stale() == []
