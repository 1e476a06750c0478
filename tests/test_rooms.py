"""The rooms: a module imports only rooms above its own, no two import each other, and `import minigan` is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "minigan"

# From the top: a room may import those above it. Beside each is what it knows.
ROOMS = {
    "errors": "the exceptions",
    "backend": "devices, NumPy or CuPy from an array's type, what a shape and a type may be",
    "system": "files on disk, the machine and its BLAS, the terminal, options, signals, processes, others' names",
    "kernels": "arrays in, arrays out, fast",
    "processes": "who computes together, and whose rows of a batch are whose",
    "random": "streams of random numbers",
    "tensor": "arrays that remember",
    "recording": "modes and observers",
    "op": "what calling an op does",
    "ops": "each op's forward and its rules",
    "grad": "the one engine",
    "recompute": "blocks that are computed again for their gradient",
    "testing": "gradcheck",
    "capture": "a step that is replayed",
    "nn": "modules and layers",
    "optim": "optimizers, schedules, averages",
    "models": "the networks of documents and papers",
    "gan": "losses, penalties, games",
    "data": "samples and batches: arrays only",
    "metrics": "measures of samples: arrays only",
    "viz": "pictures: arrays only",
    "judge": "how good, how healthy",
    "export": "a generator, or weights, in a file",
    "latent": "the space that a generator draws from",
    "training": "settings, the files of a run, the loop, reports",
    "explain": "the lens on a tape",
    "pages": "pages that compute in the browser",
    "reproduce": "tables of papers, computed again",
    "sweep": "a grid of settings, a run for each",
    "command": "the command line",
    "__main__": "python -m minigan",
}
FLOOR = {room: floor for floor, room in enumerate(ROOMS)}
ARRAYS_ONLY = {"data", "metrics", "viz"}  # they see arrays, never a Tensor
CUPY = {"backend", "kernels"}  # they alone may know it


def modules(package=PACKAGE):
    """Every module below `package` by its dotted name, "" for the package itself."""
    named = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def imports(name, known):
    """What the module of that name imports of the package, wherever in its file: dotted names."""
    path = known[name]
    inside = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE.name:
                    yield alias.name.partition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*inside[: len(inside) - node.level + 1], *(node.module or "").split(".")]
            elif (node.module or "").split(".")[0] == PACKAGE.name:
                base = node.module.split(".")[1:]
            else:
                continue
            base = ".".join(part for part in base if part)
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                yield inner if inner in known else base


def room(name):
    return name.split(".")[0]


def misplaced(known):
    """(module, what it imports from a room below its own, or may not see)."""
    for name in known:
        mine = room(name)
        for other in imports(name, known):
            theirs = room(other)
            if not mine or theirs == mine:
                continue
            # the package itself offers what lies in all rooms: nobody within may ask there
            of_arrays = FLOOR[theirs or mine] < FLOOR["tensor"] or theirs in ARRAYS_ONLY
            if not theirs or FLOOR[theirs] > FLOOR[mine] or (mine in ARRAYS_ONLY and not of_arrays):
                yield name, other


def circle(known):
    """Modules that import each other in a ring, [] if none do."""
    arrows = {name: sorted(set(imports(name, known)) - {name}) for name in known}
    done, way = set(), []

    def visit(name):
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        way.append(name)
        found = next((ring for other in arrows[name] if (ring := visit(other))), [])
        way.pop()
        done.add(name)
        return found

    return next((ring for name in known if (ring := visit(name))), [])


def knows_cupy(path):
    """Does the code name the module cupy or cupyx, as an import, a variable or a string?"""
    words = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        words += [getattr(node, field, None) for field in ("id", "attr", "name", "module", "value")]
    return any(isinstance(word, str) and word.split(".")[0] in ("cupy", "cupyx") for word in words)


# --- the house ----------------------------------------------------------------------------------------------------


def test_every_file_is_in_a_room_and_every_room_is_there():
    assert {room(name) for name in modules()} - {""} == set(ROOMS)
    assert len(list(PACKAGE.glob("*.py"))) <= 14  # what a reader of the engine needs


def test_a_module_imports_only_rooms_above_its_own():
    assert dict(misplaced(modules())) == {}


def test_no_modules_import_each_other():
    assert circle(modules()) == []


def test_only_two_rooms_know_cupy():
    assert {room(name) for name, path in modules().items() if knows_cupy(path)} == CUPY


def test_import_loads_numpy_and_nothing_heavier():
    heavy = ["matplotlib", "PIL", "safetensors", "tqdm", "threadpoolctl", "cupy", "torch", "scipy"]
    code = f"import sys, minigan; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_who_looks_through_the_modules_loads_none():
    """As warnings, unittest and inspect do: the modules that moved answer to no name of Python's own."""
    code = "import sys, minigan; before = set(sys.modules)\n"
    code += "for m in list(sys.modules.values()): [getattr(m, n, None) for n in ('__file__', '__path__', '__spec__')]\n"
    code += "print(sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# --- what these tests would notice --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("tensor.py", "import minigan.gan", ("tensor", "gan")),
        ("tensor.py", "from . import nn", ("tensor", "nn")),
        ("tensor.py", "def late():\n    from .ops import conv", ("tensor", "ops.conv")),
        ("ops/conv.py", "from ..grad import grad", ("ops.conv", "grad")),
        ("grad.py", "from minigan.testing import gradcheck", ("grad", "testing")),
        ("grad.py", "from . import no_grad", ("grad", "")),
        ("data/idx.py", "from ..tensor import Tensor", ("data.idx", "tensor")),
    ],
)
def test_an_import_that_goes_down_is_noticed(file, line, found, tmp_path):
    assert found in dict.fromkeys(misplaced(changed(tmp_path, file, line)))


def test_a_circle_within_a_room_is_noticed(tmp_path):
    known = changed(tmp_path, "training/record.py", "def late():\n    from .folder import RunFolder")
    assert set(circle(known)) >= {"training.record", "training.folder"}
    assert list(misplaced(known)) == []


@pytest.mark.parametrize(
    "line", ["import cupy", "from cupyx import jit", 'x = sys.modules["cupy"]', "y = cupy.ones(3)"]
)
def test_cupy_in_another_room_is_noticed(line, tmp_path):
    assert knows_cupy(changed(tmp_path, "capture.py", line)["capture"])


def changed(folder, file, line):
    """The modules as they would be if a file ended with that line."""
    name = file.removesuffix(".py").replace("/", ".")
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((PACKAGE / file).read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    return {**modules(), name: path}
