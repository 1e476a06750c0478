"""Rehearsals: the stand-ins for CuPy and NCCL from tests/, where there is no GPU."""

import importlib
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[2] / "tests" / "support"


class Patch:
    """What the stand-in needs of pytest's monkeypatch; nothing is undone, the process ends."""

    @staticmethod
    def setitem(mapping: MutableMapping, key: Any, value: Any) -> None:
        mapping[key] = value

    @staticmethod
    def setattr(path: str, value: Any) -> None:
        module, name = path.rsplit(".", 1)
        setattr(importlib.import_module(module), name, value)


def install() -> None:
    """Make the stand-in what `import cupy` finds in this process: two GPUs."""
    sys.path.insert(0, str(TESTS))
    importlib.import_module("fakecupy").install(Patch, devices=2)
    importlib.import_module("fakenccl").install(Patch)
