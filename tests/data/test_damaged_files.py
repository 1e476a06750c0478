"""Damaged files of every kind: a named error or what a reference decoder makes of them, in bounded time and memory."""

import json
import subprocess
import sys

import damaged_files
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_files(count):
    """In a process of its own, where warnings are errors, a crash is seen, and memory is measured."""
    script = [sys.executable, "-W", "error", damaged_files.__file__, str(count), "0"]
    result = subprocess.run(script, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert sum(found["seen"].values()) == count
    assert found["bytes"] < 1e9
    for kind in ("idx", "bin", "png, checksums renewed", "jpg", "npy"):
        assert found["seen"][f"{kind}: accepted"] > count / 100, "damage that leaves a file readable is tested too"


WHOLE = damaged_files.whole_files()


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files(kind, tmp_path):
    for content in WHOLE[kind]:
        assert damaged_files.compare(kind, content, content, damaged_files.read(kind, content, tmp_path))


@st.composite
def edited(draw):
    """(kind, content, whole file): a file of some kind with bytes replaced, removed or added at a few places."""
    kind = draw(st.sampled_from(list(WHOLE)))
    whole = draw(st.sampled_from(WHOLE[kind]))
    content = whole
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        gone = draw(st.sampled_from([0, 1, 4, len(content)]))
        content = content[:start] + draw(st.binary(max_size=6)) + content[start + gone :]
    return kind, content, whole


@given(edited())
@settings(max_examples=150)
def test_edited_files(tmp_path_factory, case):
    kind, content, _ = case
    damaged_files.compare(*case, damaged_files.read(kind, content, tmp_path_factory.getbasetemp()))


@given(st.sampled_from(list(WHOLE)), st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes(tmp_path_factory, kind, content):
    damaged_files.compare(kind, content, content, damaged_files.read(kind, content, tmp_path_factory.getbasetemp()))
