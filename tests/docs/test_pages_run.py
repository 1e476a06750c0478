"""The pages of the documentation keep their word: their code runs, in order, and prints what they say."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import page_blocks
import pytest

DOCS = page_blocks.ROOT / "docs"
FOLDERS = ("guides", "how")
PAGES = [DOCS / "start.md", DOCS / "gan-in-40-lines.md", *sorted(p for f in FOLDERS for p in DOCS.glob(f"{f}/*.md"))]
NEEDED = {"exporting": ["torch", "onnxruntime"], "tracking": ["tensorboard"]}


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The page as its reader has it: a Python of its own, an empty folder, no data at hand."""
    return subprocess.run(
        [sys.executable, "-W", "error", page_blocks.__file__, page],
        cwd=folder,
        env={**{k: v for k, v in os.environ.items() if k != "MINIGAN_DATA"}, "PYTHONPATH": str(page_blocks.ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def wrong(text: str, folder: Path) -> str:
    """What is said of a page with this text; "" if it is as it says."""
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    done = run(page, folder)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


@pytest.mark.docs
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_runs(page, tmp_path):
    if missing := [name for name in NEEDED.get(page.stem, []) if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs {' and '.join(missing)}")
    done = run(page, tmp_path)
    assert done.returncode == 0, done.stderr


def test_no_page_is_missing():
    guides = {"own-data", "own-gan", "own-layer", "gpu", "many-processes", "resume", "judging", "exporting", "tracking"}
    how = {"engine", "convolution", "capture", "compiled-kernels"}
    assert {page.stem for page in PAGES} >= {"start", "gan-in-40-lines"} | guides | how
    assert all(page.exists() for page in PAGES)


def test_every_page_has_code_that_runs():
    runs = {page: {block.language for block in page_blocks.blocks(page.read_text(encoding="utf-8"))} for page in PAGES}
    assert [page for page, languages in runs.items() if not languages & {"python", "console"}] == []


TWO_BLOCKS = """
```python
import minigan as mg
x = mg.tensor(3.0)
```

and then

```python
print(f"{x.item() / 7:.6f} of 28x28")
```

```text
0.43 of 28x28
```

```sh
this runs nowhere
```
"""


def test_blocks_share_a_namespace_and_what_they_print_is_compared(tmp_path):
    assert wrong(TWO_BLOCKS, tmp_path) == ""
    assert "page.md, line 14: nothing printed is like '0.45" in wrong(TWO_BLOCKS.replace("0.43", "0.45"), tmp_path)
    assert "of 28x29" in wrong(TWO_BLOCKS.replace("28x28\n```", "28x29\n```"), tmp_path)
    assert "page.md, line 10: NameError: name 'x'" in wrong(TWO_BLOCKS.replace("x = ", "y = "), tmp_path)
    assert "page.md, line 3: DeprecationWarning: old" in wrong(
        TWO_BLOCKS.replace("x = ", "import warnings; warnings.warn('old', DeprecationWarning); x = "), tmp_path
    )


COMMAND = """
```console
$ minigan config mlp28 --nothing
```
"""


def test_commands_run_and_end_as_the_page_says(tmp_path):
    version = "```console\n$ minigan --version\n$ python -c 'print(open(\"page.md\").readline())'\n```\n"
    assert wrong(version + "```text\nminigan ...\n...\n```", tmp_path) == ""
    assert "nothing printed is like 'maxigan" in wrong(version + "```text\nmaxigan ...\n...\n```", tmp_path)
    assert "page.md, line 3: minigan config mlp28 --nothing ended with 2 instead of 0" in wrong(COMMAND, tmp_path)
    assert wrong(COMMAND.replace("console", "console status=2"), tmp_path) == ""
    assert "belongs into an sh block" in wrong(COMMAND.replace("minigan", "mpiexec -n 2 minigan"), tmp_path)
    assert 'no line begins with "$ "' in wrong(COMMAND.replace("$ ", ""), tmp_path)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("a 1.00\nb", "a  1.01\nb\n"),
        ("loss ..., step 7", "loss 0.3 of D, step 7"),
        ("...\nlast", "one\ntwo\nlast\n"),
        ("first\n...", "first"),
        ("1.5e-3", "0.0015"),
    ],
)
def test_what_is_alike(expected, printed):
    assert page_blocks.unlike(expected, printed) == ""


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("a 1.00", "a 1.03"),
        ("step 100", "step 101"),
        ("a\nb", "b\na"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("...\nlast", "last\nmore"),
        ("-0.5", "0.5"),
        ("a.c", "abc"),
    ],
)
def test_what_is_not_alike(expected, printed):
    assert page_blocks.unlike(expected, printed) != ""
