"""What runs where is said once: pyproject.toml names the Pythons, and the workflows take what is in the checkout."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)


def test_every_python_that_is_named_is_tested_and_no_other():
    (listed,) = re.findall(r"^ +python: \[(.+)\]$", WORKFLOWS[0].read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r'"(.+?)"', listed) == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert [f"3.{11 + k}" for k in range(len(PYTHONS))] == PYTHONS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_takes_no_action_that_can_change_and_no_right_that_it_does_not_name(workflow):
    text = workflow.read_text(encoding="utf-8")
    actions = re.findall(r"uses: (.+)", text)
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []
    assert re.search(r"^permissions:( \{\}|\n  contents: read)$", text, re.MULTILINE)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_runs_is_there(workflow):
    text = workflow.read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w./-])((?:tests|\.ci)/[\w/]+(?:\.py)?)(?![\w/.])", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    extras = {extra for group in re.findall(r"\.\[([\w,]+)\]", text) for extra in group.split(",")}
    assert extras <= set(PROJECT["optional-dependencies"])
