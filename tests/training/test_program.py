"""Training as a program: its command line, how it stops, its memory, and the same run on another device."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fakecupy
import numpy as np
import pytest
from fakecuda import counts
from PIL import Image
from tiny_run import build, newest, rows, settings

import minigan as mg
from minigan import data, training
from minigan.command import cli
from minigan.training import checkpoint, loop

ROOT = Path(__file__).parents[2]


# --- the command line -----------------------------------------------------------------------------------------


def test_auto_falls_back_to_digits_and_says_so(tmp_path, monkeypatch, capsys):
    def unavailable(split):
        raise mg.errors.DataError("no network")

    monkeypatch.setattr(data.sources, "mnist", unavailable)
    monkeypatch.setattr(data.sources, "digits", lambda n: (np.zeros((n, 1, 28, 28), np.uint8), None))
    assert data.load_images("auto").name == "digits"
    assert "MNIST cannot be had (no network): training on digits drawn from fonts" in capsys.readouterr().out
    with pytest.raises(mg.errors.DataError):
        data.load_images("mnist")
    with pytest.raises(mg.errors.DataError, match="no such folder"):
        data.load_images(str(tmp_path / "absent"))


def example(*options, cwd=ROOT, **kwargs):
    command = [sys.executable, str(ROOT / "examples/dcgan_mnist.py"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, **kwargs)


def test_the_example_from_any_folder(tmp_path):
    result = example("--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []
    help_text = example("--help").stdout
    for option in ("--device", "--data", "--epochs", "--steps", "--batch-size", "--seed", "--out", "--resume"):
        assert option in help_text
    assert len((ROOT / "examples/dcgan_mnist.py").read_text().splitlines()) <= 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "absent-folder"], "no such folder"),
        (["--batch-size", "0"], "expected a positive number, got 0"),
        (["--patience", "-1"], "expected a number of seconds from 0, got -1"),
        (["--patience", "nan"], "expected a number of seconds from 0, got nan"),
        (["--virtual-ranks", "6"], "expected a power of two, got 6"),
        (["--resume"], "no checkpoint to resume from"),
        (["--device", "tpu"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_no_traceback(tmp_path, options, message):
    result = example("--out", str(tmp_path / "run"), *options)
    assert not (tmp_path / "run").exists()
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_without_a_folder_does_not_take_the_working_directory(tmp_path, few_digits, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mg.errors.CheckpointError, match=r"expected settings.out to be a folder, got an empty path"):
        training.run(build, settings(""))
    assert list(tmp_path.iterdir()) == []


def test_labels_that_a_game_does_not_learn_from_are_refused(tmp_path, few_digits):
    with pytest.raises(mg.errors.DataError, match="--labels-from folders: ScoreGame does not learn from labels"):
        training.run(build, settings(tmp_path / "run", labels_from="folders"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGHUP))]
)
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, picture in enumerate(data.digits(64)[0]):
        Image.fromarray(picture[0]).save(folder / f"{k:02d}.png")
    command = [sys.executable, "-u", str(ROOT / "examples/dcgan_mnist.py"), "--batch-size", "8"]
    command += ["--data", str(folder), "--out", str(tmp_path / "run"), "--steps", "100000", "--clusters", "4"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "log.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == loop.INTERRUPTED, output
    assert "everything is saved" in output
    assert "--resume" in output
    step = int(newest(tmp_path / "run")["step"])
    assert int(rows(tmp_path / "run")[-1]["step"]) == step
    more = ["--data", str(folder), "--out", str(tmp_path / "run"), "--batch-size", "8", "--clusters", "4"]
    result = example(*more, "--steps", str(step + 2), "--resume")
    assert result.returncode == 0, result.stderr
    assert int(rows(tmp_path / "run")[-1]["step"]) == step + 2


# --- memory ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_thousand_steps_keep_memory_flat():
    """The peak resident size of the last 500 steps is within 2 % of that of the first 500."""
    code = """
import resource
import numpy as np
import minigan as mg
from minigan.tensor import Tensor

G, D = mg.models.dcgan28()
game = mg.gan.ScoreGame(
    G, D, loss=mg.gan.losses.nonsaturating, latent=mg.gan.uniform_latent(96),
    generator_optimizer=mg.optim.Adam(G.parameters()), discriminator_optimizer=mg.optim.Adam(D.parameters()),
)
batches = mg.data.Batches(np.random.default_rng(0).integers(0, 256, (256, 1, 28, 28)).astype("uint8"), 32)
peaks = []
for half in range(2):
    for _ in range(500):
        game.play(lambda k: Tensor(batches.at(k)))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(*peaks)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    first, second = map(int, result.stdout.split())
    assert second <= 1.02 * first


# --- other devices, and numbers at the end ---------------------------------------------------------------------


def test_a_run_on_a_gpu_is_the_same_captured_played_and_resumed(tmp_path, few_digits, monkeypatch, capsys):
    fakecupy.install(monkeypatch)

    def outcome(name, **options):
        folder = tmp_path / name
        for step in options.pop("stops", ()):
            assert training.run(build, settings(folder, device="cuda", steps=step, **options)) == 0
            options["resume"] = True
        assert training.run(build, settings(folder, device="cuda", steps=10, **options)) == 0
        log = [{k: v for k, v in row.items() if k != "images_per_s"} for row in rows(folder)]
        return log, checkpoint.load(checkpoint.find(folder / "checkpoints")[-1])[0]

    log, weights = outcome("captured")
    assert counts.graphs > 10
    for name, options in {"played": {"graph": False}, "resumed": {"stops": (5, 7)}}.items():
        other_log, others = outcome(name, **options)
        assert other_log == log
        for key, value in weights.items():
            assert np.array_equal(others[key], value), (name, key)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_precision_is_a_setting_that_a_resumed_run_keeps(precision, tmp_path, few_digits, monkeypatch, capsys):
    fakecupy.install(monkeypatch)
    run = settings(tmp_path, device="cuda", steps=2, precision=precision, checkpoint_every=1)
    try:
        assert training.run(build, run) == 0
        assert mg.get_precision() == precision
    finally:
        mg.set_precision("fp32")
    with pytest.raises(mg.errors.CheckpointError, match=f"precision was '{precision}', is 'fp32'"):
        training.run(build, settings(tmp_path, device="cuda", steps=4, resume=True, checkpoint_every=1))
    with pytest.raises(mg.errors.DeviceError, match="expected one of fp32, tf32, bf16, got 'fp16'"):
        mg.set_precision("fp16")


def test_numbers_at_the_end_go_to_the_terminal_and_into_a_file_that_any_program_reads(tmp_path, few_digits, capsys):
    measure = lambda game, samples, settings: {"count": len(samples.values), "bound": float("inf")}
    assert training.run(build, settings(tmp_path, steps=2), measure=measure) == 0
    assert "count: 96\nbound: inf" in capsys.readouterr().out

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {"count": 96, "bound": None}


# --- data of a run --------------------------------------------------------------------------------------------


def pictures_in(folder, n=40):
    folder.mkdir()
    for k, picture in enumerate(data.digits(n)[0]):
        Image.fromarray(picture[0]).save(folder / f"{k:03d}.png")
    return folder


def test_a_streamed_folder_is_the_folder_in_memory(tmp_path):
    pictures = pictures_in(tmp_path / "pictures")
    options = {"data": str(pictures), "batch_size": 8, "epochs": 2, "flip": True, "crop": 2}
    for name, more in (("memory", {}), ("stream", {"stream": True})):
        assert training.run(build, settings(tmp_path / name, **options, **more)) == 0
        assert not [t for t in threading.enumerate() if t.name.startswith("minigan-pictures")]
    memory, stream = newest(tmp_path / "memory"), newest(tmp_path / "stream")
    assert all(np.array_equal(memory[k], stream[k]) for k in memory)
    training.run(build, settings(tmp_path / "stream", **{**options, "epochs": 3}, stream=True, resume=True))
    training.run(build, settings(tmp_path / "memory", **{**options, "epochs": 3}, resume=True))
    memory, stream = newest(tmp_path / "memory"), newest(tmp_path / "stream")
    assert all(np.array_equal(memory[k], stream[k]) for k in memory)
    (pictures / "000.png").unlink()
    with pytest.raises(mg.errors.CheckpointError, match="count was 40, is 39"):
        training.run(build, settings(tmp_path / "stream", **{**options, "epochs": 4}, stream=True, resume=True))


def test_what_cannot_be_streamed_is_said(tmp_path):
    with pytest.raises(mg.errors.DataError, match="--stream reads a folder of pictures, and digits is none"):
        training.run(build, settings(tmp_path / "run", data="digits", stream=True))


def test_a_run_on_some_images_learns_from_and_is_evaluated_by_them_alone(tmp_path, capsys):
    np.save(tmp_path / "all.npy", data.digits(200)[0])
    options = {"data": str(tmp_path / "all.npy"), "images": 90}
    assert training.run(build, settings(tmp_path / "run", **options, epochs=2)) == 0
    assert len(rows(tmp_path / "run")) == 2 * 5  # batches of 16, of 90 images
    capsys.readouterr()
    assert cli.main(["evaluate", str(tmp_path / "run")]) == 0
    assert "45 samples beside 45 real ones" in capsys.readouterr().out
    with pytest.raises(mg.errors.CheckpointError, match="images was 90, is 91"):
        training.run(build, settings(tmp_path / "run", **{**options, "images": 91}, epochs=3, resume=True))
    with pytest.raises(mg.errors.DataError, match="expected from 1 to all 200 of its samples, got 201"):
        training.run(build, settings(tmp_path / "other", **{**options, "images": 201}))
    with pytest.raises(mg.errors.DataError, match="--images 90: --stream reads all of a folder"):
        training.run(build, settings(tmp_path / "other", **options, stream=True))
    assert training.run(build, settings(tmp_path / "dry", **options, dry_run=True, steps=2)) == 0


def test_flips_and_crops_change_a_run_and_are_refused_on_another_resume(tmp_path, few_digits):
    training.run(build, settings(tmp_path / "plain", steps=3))
    training.run(build, settings(tmp_path / "shifted", steps=3, crop=2))
    assert rows(tmp_path / "plain") != rows(tmp_path / "shifted")
    with pytest.raises(mg.errors.CheckpointError, match="crop was 2, is 0"):
        training.run(build, settings(tmp_path / "shifted", steps=6, resume=True))
