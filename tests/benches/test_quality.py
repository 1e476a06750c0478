"""The bench of recipes: what it asks minigan for, that it goes on where it stopped, and the table it prints."""

import json
import sys
from pathlib import Path

import pytest

from minigan.command import networks, recipe

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

import quality  # noqa: E402  found through the line above
import runs  # noqa: E402

DATA = ["mnist", "cifar10", "faces"]


@pytest.fixture
def asked(monkeypatch):
    """The commands of the bench, which are answered without training."""
    commands = []

    def answered(command):
        command = command[len(runs.MINIGAN) :]
        commands.append(command)
        if command[0] == "train":
            folder = Path(command[command.index("--out") + 1])
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            (folder / "timings.json").write_text(json.dumps({"training": 60.0}))
            (folder / "config.json").write_text(json.dumps({"settings": {"batch_size": 128}}))
            return ""
        distance = 3.0 if "clusters" in command[1] else 12.0
        rows = {"frechet": {"value": distance, "floor": 2.5}, "smallest_class": {"value": 0.09, "floor": None}}
        return json.dumps({"step": 600, "samples": 100, "reader": "digits", "rows": rows})

    monkeypatch.setattr(runs, "run", answered)
    return commands


def bench(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["quality.py", *map(str, words)])
    quality.main()


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", quality.RECIPES)
def test_every_recipe_is_a_line_that_minigan_train_takes(name, data, tmp_path):
    (tmp_path / "faces").mkdir()
    given = str(tmp_path / data) if data == "faces" else data
    words = quality.words(name, given, quality.options().parse_args(["--images", "90"]))
    chosen = recipe.options(words).parse_args(words)
    assert (chosen.data, chosen.images) == (given, 90)
    ours = quality.group_of(name) == "networks"
    of_any_size = ours or "residual" in quality.RECIPES[name]
    assert networks.sized({"model": chosen.model}) == (of_any_size or data != "mnist")
    if data == "faces":
        assert chosen.side == (32 if ours else 48)


def test_a_group_is_named_for_its_recipes_and_has_a_table_of_its_own(tmp_path, monkeypatch, asked, capsys):
    bench(monkeypatch, "little", "net_dcgan", "--images", 1000, "--out", tmp_path)
    assert [command[0] for command in asked] == ["train", "evaluate"] * (1 + len(quality.GROUPS["little"].recipes))
    assert all("--images 1000" in " ".join(command) for command in asked if command[0] == "train")
    assert {Path(command[1]).parent.name for command in asked if command[0] == "evaluate"} == {"mnist_1000"}
    said = capsys.readouterr().out
    assert said.count("mnist (1000 images), 1 minute") == 2
    assert "| recipe | Fréchet | precision | recall | memorised | steps | ms a step | parameters |" in said
    assert "| net_dcgan | 12 / 2.5 |  |  | 600 | 100 | 1484193 |" in said


def test_runs_are_made_once_and_the_nearest_comes_first(tmp_path, monkeypatch, asked, capsys):
    words = ["plain", "clusters", "--seeds", 2, "--minutes", 0.5, "--out", tmp_path]
    bench(monkeypatch, *words)
    assert [command[0] for command in asked] == ["train", "evaluate"] * 4
    said = capsys.readouterr().out
    assert said.index("| clusters | 3 (3 to 3) / 2.5 |") < said.index("| plain | 12 (12 to 12) / 2.5 |")
    assert "| 600 | 100 | 7" in said
    bench(monkeypatch, *words)
    assert len(asked) == 8
    held = json.loads((tmp_path / "figures.json").read_text())
    assert [(row["recipe"], row["seed"]) for row in held["figures"]] == [
        *[("plain", 0), ("clusters", 0)],
        *[("plain", 1), ("clusters", 1)],
    ]
    assert held["machine"]


def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch, asked):
    (tmp_path / "mnist/plain_1min_0/checkpoints").mkdir(parents=True)
    (tmp_path / "mnist/plain_1min_0/checkpoints/step_00000007.safetensors").touch()
    bench(monkeypatch, "plain", "--out", tmp_path)
    assert "--resume" in asked[0]


def test_runs_of_other_minutes_or_judged_by_other_samples_are_others(tmp_path, monkeypatch, asked, capsys):
    for words in ([], ["--minutes", 2], ["--n", 50], []):
        bench(monkeypatch, "plain", "--out", tmp_path, *words)
    folders = [command[command.index("--out") + 1] for command in asked if command[0] == "train"]
    assert [Path(folder).name for folder in folders] == ["plain_1min_0", "plain_2min_0", "plain_1min_0"]
    assert [command[command.index("--n") + 1] for command in asked if command[0] == "evaluate"] == [
        *["10000", "10000", "50"],
    ]
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("mnist, ")]
    assert headings[-2:] == [
        f"mnist, {m}, 100 samples read by digits: value / of real images" for m in ("1 minute", "2 minutes")
    ]


def test_an_unknown_recipe_is_named(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        bench(monkeypatch, "nonesuch")
    assert "no recipe nonesuch; there are parts, little, networks, plain" in capsys.readouterr().err


def test_the_list_says_what_each_recipe_is(monkeypatch, capsys):
    bench(monkeypatch, "--list", "--data", "cifar10")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(quality.RECIPES)
    assert lines[0].endswith(" --model dcgan --batch-size 64 --lr 2e-4 --data cifar10")


def test_a_judge_of_the_data_reads_the_samples(tmp_path, monkeypatch, asked):
    bench(monkeypatch, "plain", "--judge", "faces.safetensors", "--out", tmp_path)
    (evaluated,) = (command for command in asked if command[0] == "evaluate")
    assert evaluated[evaluated.index("--judge") + 1] == "faces.safetensors"
