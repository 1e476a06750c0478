"""The README keeps its word: its Python runs, its commands are the ones CI runs, what it links to is there."""

import re
from pathlib import Path

import minigan as mg
from minigan.command.networks import NETWORKS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_runs_and_finds_the_distance(capsys):
    (code,) = blocks("python")
    assert len(code.strip().splitlines()) - 2 <= 15  # the import and the empty line after it aside
    exec(compile(code, "README.md", "exec"), {})
    found, exact, penalty = map(float, re.findall(r"-?\d+\.\d+", capsys.readouterr().out))
    assert abs(found / exact - 1) < 0.3  # a soft penalty lets the slope, and so the estimate, exceed 1 a little
    assert penalty < 0.1


def test_two_commands():
    main, tests = blocks("sh")
    assert main.strip() == "pip install -e . && python examples/dcgan_mnist.py"
    assert tests.strip() == "pip install -e '.[test]' && python -m pytest"


def test_what_it_counts_is_there():
    words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    words += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    counted = re.search(r"any of (\d+) score losses with any of (\w+) penalties on any of (\w+)\s+networks", README)
    assert int(counted[1]) == len(mg.gan.losses.LOSSES)
    assert words.index(counted[2]) + 2 == len(mg.gan.penalties.PENALTIES)
    assert words.index(counted[3]) + 2 == len(NETWORKS)


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []
