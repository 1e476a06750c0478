"""`minigan COMMAND`: what each does, what it says to a person and to a program, and how it ends."""

import contextlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from example_scripts import EXAMPLES
from PIL import Image

from minigan import export
from minigan.command import cli
from minigan.command.presets import PRESETS
from minigan.training import studies

OPTIONS = "--data digits --batch-size 8 --steps 4 --width 4 --model dcgan --channels 1"


def minigan(*arguments, **options):
    command = [sys.executable, "-m", "minigan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short run."""
    import io

    from minigan import data

    folder = tmp_path_factory.mktemp("cli") / "run"
    held = data.sources.digits(96)
    before, data.sources.digits = data.sources.digits, lambda n, seed=0: held
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            assert cli.main(["train", *OPTIONS.split(), "--out", str(folder)]) == 0
    finally:
        data.sources.digits = before
    return folder


def said(capsys):
    return json.loads(capsys.readouterr().out)


def test_every_command_has_help_and_a_wrong_line_is_status_2(capsys):
    for arguments in (["--help"], *([name, "--help"] for name in cli.COMMANDS)):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: minigan {arguments[0] if len(arguments) > 1 else '[-h]'}")
    assert all(name in minigan("--help").stdout for name in cli.COMMANDS)
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().err
    for arguments in (["fly"], ["sample"], ["train", "--lr"], ["sample", "x", "--n", "0"], ["config", "--no"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2
        problem = capsys.readouterr().err
        assert problem.startswith("minigan")
        assert "--help lists what there is" in problem
        assert problem.count("\n") == 1


def test_an_error_is_one_line_and_status_1(tmp_path, capsys):
    commands = ("resume", "sample", "interpolate", "edit", "mix", "path-length", "evaluate", "report", "config")
    for command in commands:
        assert cli.main([command, str(tmp_path)]) == 1
        problem = capsys.readouterr()
        assert problem.out == ""
        assert problem.err.startswith(f"minigan {command}: {tmp_path}: ")
        assert problem.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--optimizer sgd --momentum -1", "SGD: momentum: expected a finite number >= 0 and < 1, got -1.0"),
        ("--lr -1", "Adam: learning rate: expected a finite number >= 0, got -1.0"),
        ("--beta2 1", "Adam: beta2: expected a finite number >= 0 and < 1, got 1.0"),
        ("--clip -1", "Moves: expected clip and max_norm > 0, got Moves(unroll=0, consensus=0.0, clip=-1.0"),
        ("--penalty r1 --penalty-weight nan", "ScoreGame: penalty_weight: expected a finite number >= 0, got nan"),
        ("--ema 1", "EMA: decay: expected a finite number >= 0 and < 1, got 1.0"),
    ],
)
def test_a_number_out_of_range_is_refused_before_a_folder_is_made(options, told, tmp_path, capsys):
    out = tmp_path / "runs" / "new"
    assert cli.main(["train", *OPTIONS.split(), *options.split(), "--out", str(out)]) == 1
    problem = capsys.readouterr()
    assert problem.out == ""
    assert problem.err.startswith(f"minigan train: {told}")
    assert list(tmp_path.iterdir()) == []


def test_a_combination_that_trains_badly_is_noted_in_a_line(tmp_path, capsys):
    line = "train --data digits --model mlp28 --dry-run --loss wasserstein"
    assert cli.main(line.split()) == 0
    notes = [told for told in capsys.readouterr().out.splitlines() if told.startswith("note: ") and "NumPy" not in told]
    assert len(notes) == 1
    assert "wasserstein loss falls for ever" in notes[0]
    assert cli.main([*line.split(), "--penalty", "gradient_penalty"]) == 0
    assert "note: " not in capsys.readouterr().out


def test_a_source_that_is_not_there_is_named(tmp_path, capsys):
    assert cli.main(["sample", str(tmp_path / "absent")]) == 1
    assert "absent: no such run or generator file" in capsys.readouterr().err


def test_a_run_can_be_sampled(run, tmp_path, capsys):
    assert cli.main(["sample", str(run), "--n", "6", "--out", str(tmp_path / "a.npy"), "--json"]) == 0
    about = {"step": 4, "run": "train"}
    assert said(capsys) == {"out": str(tmp_path / "a.npy"), "n": 6, "shape": [1, 32, 32], "generator": about}
    array = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert array.dtype == np.float32
    assert np.array_equal(array, export.load_generator(run / "generator.safetensors").sample(6).numpy())
    file = str(run / "generator.safetensors")
    assert cli.main(["sample", file, "--n", "6", "--columns", "3", "--out", str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a.png'}\n"
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (2 * (3 * 34 + 2), 2 * (2 * 34 + 2))
    assert cli.main(["sample", file, "--n", "3", "--out", str(tmp_path / "each"), "--seed", "5"]) == 0
    assert sorted(p.name for p in (tmp_path / "each").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    with Image.open(tmp_path / "each" / "00002.png") as picture:
        assert picture.size == (32, 32)
    assert cli.main(["sample", file, "--labels", "3", "--out", str(tmp_path / "b.png")]) == 1
    assert "takes no labels" in capsys.readouterr().err
    assert cli.main(["sample", file, "--out", str(tmp_path / "b.jpg")]) == 1
    assert "b.jpg: expected a name that ends in .png or .npy, or in / for a folder" in capsys.readouterr().err
    assert not (tmp_path / "b.jpg").exists()
    assert cli.main(["sample", file, "--out", str(tmp_path / "absent" / "b.png")]) == 1
    assert "b.png: cannot be written (No such file or directory)" in capsys.readouterr().err
    assert cli.main(["sample", file, "--truncation", "0.5", "--out", str(tmp_path / "c.npy")]) == 1
    assert "normal noise has values far from 0 to leave out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["sample", file, "--labels", "a"])
    assert "expected numbers with commas between, got 'a'" in capsys.readouterr().err
    assert cli.main(["interpolate", file, "--label", "3", "--out", str(tmp_path / "b.png")]) == 1


def test_out_is_what_its_name_says(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.v2").mkdir()
    for name in ("X.NPY", "X.PNG", "there.v2", "new.v2/"):
        assert cli.main(["sample", "--n", "2", "--out", name, str(run)]) == 0
        assert capsys.readouterr().out == f"{name}\n"
    assert np.load("X.NPY").shape == (2, 1, 32, 32)
    assert [sorted(p.name for p in (tmp_path / name).iterdir()) for name in ("there.v2", "new.v2")] == [
        ["00000.png", "00001.png"]
    ] * 2
    assert cli.main(["interpolate", str(run), "--pairs", "1", "--frames", "2", "--out", "X.GIF"]) == 0
    with Image.open("X.GIF") as film:
        assert film.format == "GIF"
    assert cli.main(["interpolate", str(run), "--out", "x.npy"]) == 1
    assert "x.npy: expected a name that ends in .png or .gif" in capsys.readouterr().err
    for name in ("X.NPY", "there.v2"):
        with pytest.raises(SystemExit):
            cli.main(["sample", str(run), "--out", name, "--columns", "2"])
        assert "--columns changes nothing without a grid, --out NAME.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ["train --out=", "train --data=", "sample RUN --out=", "interpolate RUN --out=", "report RUN --out="]
    + [f"{command} EMPTY" for command in ("resume", "sample", "interpolate", "evaluate", "report", "config")],
)
def test_an_empty_path_is_not_the_working_directory(line, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main([{"RUN": str(run), "EMPTY": ""}.get(word, word) for word in line.split()])
    assert ended.value.code == 2
    assert "expected a path, got an empty one" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_lies_between_samples(run, tmp_path, capsys):
    out = tmp_path / "i.png"
    assert cli.main(["interpolate", str(run), "--pairs", "2", "--frames", "5", "--out", str(out), "--json"]) == 0
    assert said(capsys)["path"] == "line"  # the noise is uniform
    with Image.open(out) as picture:
        assert picture.size == (2 * (5 * 34 + 2), 2 * (2 * 34 + 2))
    film = tmp_path / "i.gif"
    assert cli.main(["interpolate", str(run), "--frames", "4", "--path", "circle", "--out", str(film)]) == 0
    with Image.open(film) as pictures:
        assert 1 < pictures.n_frames <= 6  # there and back, the same ones once


def test_a_damaged_run_has_a_report(run, tmp_path, capsys):
    import shutil

    folder = shutil.copytree(run, tmp_path / "copy")
    (folder / "log.csv").write_text("step,d_loss\n1,0.5\n2,x\n")
    (folder / "health.jsonl").write_bytes(b"\xff\n")
    assert cli.main(["report", str(folder)]) == 0
    config = json.loads((folder / "config.json").read_text())
    config["settings"]["extra"] = None
    (folder / "config.json").write_text(json.dumps(config))
    assert cli.main(["config", str(folder), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out[shown.out.index("{") :])["width"] == 4
    assert f"{folder}: config.json is missing or damaged; the settings are those of step_00000004" in shown.err
    shutil.rmtree(folder / "checkpoints")
    assert cli.main(["config", str(folder)]) == 1
    assert "config.json: is not as the run wrote it" in capsys.readouterr().err
    del config["sha256"]  # as runs of old have it
    (folder / "config.json").write_text(json.dumps(config))
    assert cli.main(["config", str(folder)]) == 1
    assert "holds no config.json of a training run" in capsys.readouterr().err


def test_the_report_says_how_the_run_stands(run, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert cli.main(["report", str(run), "--out", str(page), "--json"]) == 0
    about = said(capsys)
    assert (about["step"], about["verdict"], about["system"]) == (4, "early", "train")
    assert about["numbers"]["distance"] > 0
    assert "<html" in page.read_text()
    assert cli.main(["report", str(run)]) == 0
    assert "Verdict: early" in capsys.readouterr().out


def test_settings_of_presets_runs_and_this_installation(run, capsys):
    for name, preset in PRESETS.items():
        assert cli.main(["config", name, "--json"]) == 0
        shown = said(capsys)
        assert {k: shown[k] for k in preset.options} == preset.options
    assert cli.main(["config", str(run), "--json"]) == 0
    assert said(capsys)["width"] == 4
    assert cli.main(["config", "wgan_gp"]) == 0
    assert "gradient_penalty" in capsys.readouterr().out
    assert cli.main(["config", "--json"]) == 0
    assert "numpy" in said(capsys)["versions"]
    assert cli.main(["config"]) == 0
    assert "kernel" in capsys.readouterr().out


def test_settings_of_a_script_are_what_its_options_are_without_being_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(EXAMPLES.parent)
    for name in ("pix2pix", str(EXAMPLES / "pix2pix.py")):
        assert cli.main(["config", name, "--json"]) == 0
        shown = said(capsys)
        assert (shown["name"], shown["system"], shown["made"], shown["batch_size"]) == (
            "pix2pix",
            "pix2pix",
            "edges",
            16,
        )
    for name in ("cyclegan", "super_resolution", "stargan", "domain_adaptation", "cogan"):
        assert cli.main(["config", name, "--toml"]) == 0
        (tmp_path / f"{name}.toml").write_text(capsys.readouterr().out)
        script = studies.script(EXAMPLES, name)
        values = script.options().parse_args(["--config", str(tmp_path / f"{name}.toml")])
        assert vars(values) == vars(script.options().parse_args([]))
    runs = tmp_path / "runs.py"
    runs.write_text("raise SystemExit('it was run')\n")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import no_such_module\ndef options():\n    pass\n")
    raises = tmp_path / "raises.py"
    raises.write_text("raise KeyError('of its own')\ndef options():\n    pass\n")
    torn = tmp_path / "torn.py"
    torn.write_text("def options(:\n")
    for name, message in (
        ("pix2pixel", "no such run, and no preset; did you mean pix2pix?"),
        ("nothing", f"; a script is named by its file, such as {Path('examples') / 'pix2pix.py'}"),
        ("first_gan", "has no function options() without arguments, which scripts that train have"),
        ("train", "has no function options()"),
        (str(runs), "has no function options()"),
        (str(wrong), "cannot be imported (ModuleNotFoundError: No module named 'no_such_module')"),
        (str(raises), "cannot be imported (KeyError: 'of its own')"),
        (str(torn), "cannot be read as a script"),
    ):
        assert cli.main(["config", name]) == 1
        assert message in capsys.readouterr().err


def test_a_run_is_resumed_with_its_own_settings(run, tmp_path, capsys, monkeypatch):
    import shutil

    from minigan import data

    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    held = data.digits(96)
    monkeypatch.setattr(data.sources, "digits", lambda n, seed=0: held)
    assert cli.main(["resume", str(folder), "--steps", "6"]) == 0
    assert "6 steps of 8 images" in capsys.readouterr().out
    assert cli.main(["resume", str(folder), "--steps", "8", "--lr", "1e-3"]) == 1
    assert "lr was 0.0002, is 0.001; to go on all the same: --allow-change lr" in capsys.readouterr().err
    assert cli.main(["resume", str(folder), "--steps", "8", "--lr", "1e-3", "--allow-change", "lr"]) == 0
    held_lr = json.loads((folder / "config.json").read_text())["settings"]["extra"]["lr"]
    assert held_lr == 1e-3
    assert cli.main(["resume", str(folder), "--steps", "9", "--allow-change", "learning-rate"]) == 1
    assert "no setting learning_rate; there are accumulate, activation, ada_images" in capsys.readouterr().err
    assert cli.main(["resume", str(folder), "--epochs", "1"]) == 0  # though it was started with --steps
    assert "12 steps of 8 images" in capsys.readouterr().out
    assert cli.main(["resume", "--epochs", "2", str(folder)]) == 0  # options may come first
    assert "24 steps of 8 images" in capsys.readouterr().out
    for words, problem in {
        ("--epoch", "3"): "there is no option --epoch; did you mean --epochs?",
        ("--out", "elsewhere"): "there is no option --out",
        ("mlp",): "not expected: mlp",
        ("--momentum", "0.5"): "--momentum changes nothing without --optimizer sgd",
    }.items():
        with pytest.raises(SystemExit) as ended:
            cli.main(["resume", str(folder), *words])
        assert ended.value.code == 2
        assert problem in capsys.readouterr().err
    config = json.loads((folder / "config.json").read_text())
    assert cli.main(["resume", str(folder), "--steps", "2"]) == 0
    assert json.loads((folder / "config.json").read_text()) == config


def test_a_run_of_another_script_says_how_it_goes_on(run, tmp_path, capsys):
    config = json.loads((run / "config.json").read_text())
    config["settings"]["name"] = "conditional"
    del config["sha256"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert cli.main(["resume", str(tmp_path)]) == 1
    assert f"made by conditional.py; continue it by the same command with --out {tmp_path} --resume" in (
        capsys.readouterr().err
    )


def test_a_pipe_that_closes_early_is_no_error():
    for arguments in ("train --list", "config mlp --json", "config"):
        command = f"{sys.executable} -u -m minigan {arguments} | true"
        ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures, with files that are none and whose names no terminal should be given."""
    folder = tmp_path_factory.mktemp("größe")
    for k in range(6):
        Image.new("L", (16, 16), 40 * k).save(folder / f"{k}.png")
    for name in (b"caf\xe9.txt", b"\x1b[31mred.txt"):
        (folder / os.fsdecode(name)).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("led", [">&- 2>&-", "| true", ">/dev/full", ">said"])
def test_a_run_is_done_whoever_reads_of_it(led, pictures, tmp_path):
    run = f"train --model dcgan --channels 1 --side 16 --width 2 --steps 1 --batch-size 4 --out run --data '{pictures}'"
    command = f"{sys.executable} -m minigan {run} {led}"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "run" / "generator.safetensors").exists()
    assert (tmp_path / "run" / "report.html").exists()
    if led == ">said":
        said = (tmp_path / "said").read_text(encoding="ascii")
        assert "\r" not in said
        assert r"gr\xf6\xdfe" in said
        assert r"caf\xe9.txt (not a picture)" in said
        assert r"\x1b[31mred.txt (not a picture)" in said
        assert "Done: " in said
        assert "run/report.html shows the run" in said


def test_too_little_memory_is_a_line(run, tmp_path):
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    ended = minigan("sample", run, "--n", 10**8, cwd=tmp_path, preexec_fn=limit)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("minigan sample: out of memory (Unable to allocate")


def test_a_dry_run_says_that_all_is_well(capsys, monkeypatch):
    from minigan import data

    held = data.digits(64)
    monkeypatch.setattr(data.sources, "digits", lambda n, seed=0: held)
    assert cli.main(["train", "mlp", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Dry run: all is well. Nothing was kept;")


def test_help_of_resume_lists_what_it_takes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["resume", "--help"])
    text = capsys.readouterr().out
    assert "usage: minigan resume RUN [options]" in text
    for option in ("--epochs", "--steps", "--keep", "--allow-change", "--lr"):
        assert f"\n  {option}" in text
    assert "--out " not in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trian", "minigan: argument COMMAND: invalid choice: 'trian'; did you mean train?"),
        ("config wgan-gp", "wgan-gp: no such run, and no preset; did you mean wgan_gp"),
        ("sample x --device gpu", "minigan sample: argument --device: invalid choice: 'gpu' (choose from cpu, cuda)"),
        ("sample x --number 3", "minigan sample: there is no option --number"),
        ("resume x --optimiser sgd", "minigan resume: there is no option --optimiser; did you mean --optimizer?"),
    ],
)
def test_a_wrong_word_is_met_with_what_was_meant(line, said, capsys):
    with contextlib.suppress(SystemExit):
        assert cli.main(line.split()) == 1
    problem = capsys.readouterr().err
    assert said in problem
    assert problem.count("\n") == 1
