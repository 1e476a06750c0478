"""examples/README.md keeps its word: every system is there, every picture is shown, every command can be given."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from minigan.data import files
from minigan.gan import losses, penalties
from minigan.presets import PRESETS

ROOT = Path(__file__).parent.parent
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
    words = ["six", "seven", "eight", "nine", "ten"]
    assert (
        f"any of {len(losses.LOSSES)} score losses with any of {words[len(penalties.PENALTIES) - 6]} penalties"
        in readme
    )


def given(command, folder):
    """The command's words, with a folder of pictures where it asks for one."""
    return shlex.split(command.replace("FOLDER", str(folder)).replace("RUN", str(folder)))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_table_takes_its_first_steps(command, tmp_path):
    if "FOLDER" in command or "cifar10" in command:
        name = "cifar10" if "cifar10" in command else "anime_faces"
        folder = next((f for f in files.folders(name) if f.name == name and f.is_dir()), None)
        if folder is None:
            pytest.skip(f"needs {name}: set MINIGAN_DATA to the folder that holds it")
    else:
        folder = tmp_path
    words = [str(ROOT / "examples" / given(command, folder)[0].removeprefix("examples/")), *given(command, folder)[1:]]
    result = subprocess.run([sys.executable, *words, "--dry-run"], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
