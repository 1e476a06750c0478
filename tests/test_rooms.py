"""The rooms: a module imports the rooms above it, never those below, and `import minigan` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "minigan"

# One row per floor, from the top: a module may import its own room and any floor above.
FLOORS = [
    ["errors"],
    ["atomic", "seal", "terminal"],
    ["backend"],
    ["kernels"],
    ["random"],
    ["tensor"],
    ["op"],
    ["ops"],
    ["capture", "grad", "testing"],
    ["nn", "optim"],
    ["gan", "latent", "models"],
    ["data", "metrics", "viz"],
    ["checkpoint", "export", "health", "judge", "lock", "presets", "rehearsal", "report", "yardstick"],
    ["loop", "recipe", "runs", "training"],
    ["studies"],
    ["explain"],
    ["cli"],
    ["__main__"],
]
FLOOR = {room: i for i, floor in enumerate(FLOORS) for room in floor}
ARRAYS_ONLY = {"data", "metrics", "viz"}  # they see arrays, never a Tensor


def imports(path):
    """The rooms that a file imports, wherever in the file."""
    here = path.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level == 0:
            assert not (node.module or "").startswith("minigan"), f"{path}: import relatively"
            continue
        parent = here[: len(here) - node.level]
        if parent:
            yield parent[0]
        elif node.module:
            yield node.module.split(".")[0]
        else:
            yield from (alias.name for alias in node.names)


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def upward(path):
    """What `path` imports from floors below its own, or sideways."""
    mine = room(path)
    for other in imports(path):
        if other in ("__version__", mine):
            continue
        if FLOOR[other] > FLOOR[mine] or (mine in ARRAYS_ONLY and FLOOR[other] >= FLOOR["tensor"]):
            yield other


def test_rooms_import_only_what_is_above_them():
    files = [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]
    assert len(files) > 10
    assert {str(p): list(upward(p)) for p in files if list(upward(p))} == {}


def test_only_two_rooms_know_cupy():
    knowing = {room(p) for p in PACKAGE.rglob("*.py") if "import cupy" in p.read_text(encoding="utf-8")}
    assert knowing <= {"backend", "kernels"}


def test_import_loads_numpy_and_nothing_heavier():
    heavy = ["matplotlib", "PIL", "safetensors", "tqdm", "threadpoolctl", "cupy", "torch", "scipy"]
    code = f"import sys, minigan; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
