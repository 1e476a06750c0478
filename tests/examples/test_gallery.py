"""examples/README.md keeps its word: every system is there, every picture is shown, every command can be given."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from minigan import data, viz
from minigan.command.presets import PRESETS
from minigan.data import files
from minigan.gan import losses, penalties

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`python (examples/\w+\.py[^`]*)`", PAGE)


def test_every_script_and_every_preset_has_its_row():
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert {name for name in scripts if f"examples/{name}" not in PAGE} == set()
    presets = {command.split()[1] for command in COMMANDS if command.startswith("examples/train.py ")}
    assert set(PRESETS) - presets == set()
    printed = {name for name, preset in PRESETS.items() if preset.as_printed}
    assert {name for name in printed if not re.search(rf"^\| `{name}`", PAGE, re.MULTILINE)} == set()


def test_every_picture_is_shown_and_every_shown_picture_is_there():
    shown = {path.name for path in (ROOT / "examples" / "gallery").iterdir()}
    linked = set(re.findall(r"gallery/([\w.]+)", PAGE))
    assert linked - shown == set()
    assert shown - linked == set()
    assert all((ROOT / "examples" / "gallery" / name).stat().st_size < 160_000 for name in shown)


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (ROOT / "examples" / link).exists()] == []


def test_the_readme_counts_what_there_is():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    words = ["eight", "nine", "ten", "eleven", "twelve"]
    assert (
        f"any of {len(losses.LOSSES)} score losses with any of {words[len(penalties.PENALTIES) - 8]} penalties"
        in readme
    )


def program(words, folder):
    """The outcome of an example with these words, run in this folder."""
    script, *rest = words
    return subprocess.run([sys.executable, ROOT / script, *rest], capture_output=True, text=True, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_table_takes_its_first_steps(command, tmp_path):
    words = shlex.split(command)
    needed = {"FOLDER": "anime_faces", "cifar10": "cifar10"}
    for word, name in needed.items():
        folder = next((f for f in files.folders(name) if f.name == name and f.is_dir()), None)
        if word in words and folder is None:
            pytest.skip(f"needs {name}: set MINIGAN_DATA to the folder that holds it")
        words = [str(folder) if given == word == "FOLDER" else given for given in words]
    for given in {"cuda", "JUDGE"} & {*words}:  # a device and a judge of one's own, which are not at hand
        at = words.index(given)
        del words[at - 1 : at + 1]
    if "features.py" in words[0]:
        pytest.importorskip("sklearn", reason="needs scikit-learn: pip install -e '.[features]'")
    if "PICTURE" in words:
        Image.fromarray(viz.grid(data.digits(16)[0], 4)).save(tmp_path / "PICTURE", "PNG")
    if "RUN" in words:
        options = "wgan_gp --data digits --steps 1 --batch-size 16 --out RUN"
        assert program(["examples/train.py", *options.split()], tmp_path).returncode == 0
    result = program([*words, "--dry-run"], tmp_path)
    assert result.returncode == 0, result.stderr
