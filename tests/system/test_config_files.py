"""Options from a TOML file: what is set, what counts more, what is refused."""

import re
import tomllib

import numpy as np
import pytest
from example_scripts import example

from minigan.command import cli, recipe
from minigan.errors import DataError
from minigan.system import toml
from minigan.training import Settings


@pytest.fixture
def file(tmp_path):
    """A file with this text."""

    def written(text):
        (tmp_path / "run.toml").write_text(text, encoding="utf-8")
        return str(tmp_path / "run.toml")

    return written


def settings(*line):
    return Settings.parsed(recipe.options(line), line, "train")


def test_values_are_those_of_the_options_and_the_line_counts_more(file):
    path = file('loss = "hinge"\nlr = 3e-4\nd-steps = 2\nflip = true\nno-graph = true\nepochs = 7\nseed = 4\n')
    found = settings("--config", path, "--seed", "5")
    assert (found.extra["loss"], found.extra["lr"], found.extra["d_steps"]) == ("hinge", 3e-4, 2)
    assert (found.flip, found.graph, found.epochs, found.seed) == (True, False, 7, 5)
    assert "config" not in found.extra
    assert settings("--seed=5", f"--config={path}") == found
    assert settings("--config", file("graph = false")).graph is False


def test_a_preset_is_named_on_the_line_or_in_the_file_and_the_file_counts_more(file):
    path = file("lr = 0.5\nsteps = 9")
    found = settings("wgan_gp", "--config", path)
    plain = settings("wgan_gp", "--lr", "0.5", "--steps", "9")
    assert found == plain
    assert settings("--config", file('preset = "wgan_gp"\nlr = 0.5\nsteps = 9')) == plain


@pytest.mark.parametrize("preset", ["wgan_gp", "dcgan", "best", "rpgan", "sngan", "tricks"])
def test_settings_that_are_written_are_read_again(preset, file, capsys):
    assert cli.main(["config", preset, "--toml"]) == 0
    text = capsys.readouterr().out
    line = ["--config", file(text)]
    found, expected = settings(*line), settings(preset)
    expected.extra["preset"], expected.out, found.out = None, "", ""
    assert found == expected


def test_settings_of_a_run_are_written_and_read_again(tmp_path, file, capsys):
    run = str(tmp_path / "run")
    line = ["--data", "digits", "--steps", "1", "--batch-size", "4", "--model", "mlp28", "--loss", "hinge"]
    assert recipe.main([*line, "--out", run], "minigan train") == 0
    capsys.readouterr()
    assert cli.main(["config", run, "--toml"]) == 0
    found = settings("--config", file(capsys.readouterr().out))
    assert (found.steps, found.batch_size) == (1, 4)
    assert found.extra == settings(*line).extra


def test_labels_are_an_option_in_a_file_too(tmp_path, file, capsys):
    for line in (["--labels"], ["--labels-from", "folders"]):
        for both in ([*line, "--labels"], ["--labels", *line]):
            assert settings(*both).labels_from == settings(*line).labels_from
    labels = settings("--labels").labels_from
    assert settings("--config", file("labels = true")).labels_from == labels
    assert settings("--config", file("labels = false")).labels_from is None
    assert settings("--config", file('labels_from = "folders"'), "--labels").labels_from == labels
    images = np.zeros((12, 1, 28, 28), np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(12) % 3)
    run = str(tmp_path / "run")
    line = ["--data", str(tmp_path / "own.npz"), "--labels", "--steps", "1", "--batch-size", "4", "--model", "mlp28"]
    assert recipe.main([*line, "--out", run], "minigan train") == 0
    capsys.readouterr()
    assert cli.main(["config", run, "--toml"]) == 0
    assert settings("--config", file(capsys.readouterr().out)).labels_from == labels


def test_what_another_program_was_told_is_a_file_for_it(tmp_path, file, capsys):
    module, run = example("pix2pix"), str(tmp_path / "run")
    line = ["--data", "digits", "--width", "2", "--made", "grey", "--steps", "1", "--batch-size", "4"]
    assert module.main([*line, "--out", run]) == 0
    capsys.readouterr()
    assert cli.main(["config", run, "--toml"]) == 0
    found = Settings.parsed(module.options(), ["--config", file(capsys.readouterr().out)], "pix2pix")
    assert found == Settings.parsed(module.options(), line, "pix2pix")


def test_examples_take_a_file_too(file):
    module = example("pix2pix")
    found = Settings.parsed(module.options(), ["--config", file('made = "grey"\nwidth = 8\nsystem = "pix2pix"')], "x")
    assert (found.extra["made"], found.extra["width"]) == ("grey", 8)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lrr = 1", "run.toml: there is no option lrr; did you mean lr"),
        ('lr = "fast"', "run.toml: lr: invalid float value: 'fast'"),
        ("lecam-after = 2.5", "run.toml: lecam-after: expected a whole number, got '2.5'"),
        ("batch-size = 2.5", "run.toml: batch-size: expected a whole number, got '2.5'"),
        ("flip = 1", "run.toml: flip: expected true or false, got 1"),
        ("lr = true", "run.toml: lr: expected one value, got True"),
        ("lr = [1, 2]", r"run.toml: lr: expected one value, got \[1, 2\]"),
        ('loss = "hing"', "run.toml: loss: invalid choice: 'hing'; did you mean hinge"),
        ("lecam-decay = 0.5", "--lecam-decay changes nothing without --lecam"),
    ],
)
def test_what_an_option_does_not_take_is_named(text, told, file, capsys):
    with pytest.raises(SystemExit) as ended:
        settings("--config", file(text))
    assert ended.value.code == 2
    assert re.search(told, capsys.readouterr().err)


def test_a_file_that_is_none_is_named(file, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.toml: cannot be read"):
        settings("--config", str(tmp_path / "nowhere.toml"))
    with pytest.raises(DataError, match=r"run.toml: is no TOML: .*line 1"):
        settings("--config", file("lr = ="))
    with pytest.raises(DataError, match=r"run\.toml: model: expected a number, a text"):
        settings("--config", file("[model]\nwidth = 3"))


def test_what_is_written_is_toml():
    values = {"a": 1, "b": 0.5, "c": 'say "ü"\n\x7f', "d": True, "e": [1, 2], "f": float("-inf"), "g": 1e-8, "h": None}
    found = tomllib.loads(toml.written(values))
    assert found == {name: value for name, value in values.items() if value is not None}
