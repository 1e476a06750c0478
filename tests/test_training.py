"""A run and its folder: what it writes, that it resumes exactly, what it refuses, how it stops."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fakecupy
import numpy as np
import pytest
from fakecuda import counts
from PIL import Image

import minigan as mg
from minigan import atomic, checkpoint, data, training
from minigan.gan import ScoreGame, losses, uniform_latent

ROOT = Path(__file__).parent.parent


def build(settings):
    """A game small enough to train in milliseconds."""
    mg.random.seed(settings.seed)
    G = mg.nn.Sequential(mg.nn.Linear(4, 784), mg.nn.BatchNorm1d(784), mg.nn.Tanh(), mg.nn.Unflatten(1, (1, 28, 28)))
    D = mg.nn.Sequential(mg.nn.Flatten(), mg.nn.Linear(784, 8), mg.nn.Dropout(0.2), mg.nn.Linear(8, 1))
    G.to(settings.device)
    D.to(settings.device)
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=uniform_latent(4),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
        seed=settings.seed,
        ema=mg.optim.EMA(G, 0.9),
    )


@pytest.fixture
def few_digits(monkeypatch):
    """Data sets of 96 digits: six batches of 16."""
    pictures = data.digits(96)[0]
    monkeypatch.setattr(
        training, "load_images", lambda source, limit=None, shape=None: data.Samples(pictures, None, "digits")
    )


def settings(out, **options):
    return training.Settings(**{"name": "tiny", "out": str(out), "epochs": 3, "batch_size": 16, **options})


def rows(folder):
    with (folder / "log.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_a_run_writes_its_folder(tmp_path, few_digits, capsys):
    assert training.run(build, settings(tmp_path / "run")) == 0
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} == {
        *["config.json", "log.csv", "losses.png", "samples.gif", "samples", "checkpoints"]
    }
    log = rows(folder)
    assert list(log[0]) == ["step", "d_loss", "g_loss", "d_real", "d_fake", "images_per_s"]
    assert [int(row["step"]) for row in log] == list(range(1, 19))
    assert all(np.isfinite(float(v)) for row in log for v in row.values())
    names = sorted(p.name for p in (folder / "samples").iterdir())
    assert {"step_00000000.png", "step_00000006.png", "step_00000012.png", "step_00000018.png"} <= set(names)
    with Image.open(folder / "samples" / names[-1]) as picture:
        assert picture.size == (484, 484)
    with Image.open(folder / "samples.gif") as animation:
        assert animation.n_frames == len(names)
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["data"] == "digits"
    assert config["total_steps"] == 18
    assert config["versions"]["numpy"] == np.__version__
    assert [p.stem for p in checkpoint.find(folder / "checkpoints")] == [f"step_{n:08d}" for n in (6, 12, 18)]
    assert "Done" in capsys.readouterr().out


def newest(folder):
    return checkpoint.load(checkpoint.find(folder / "checkpoints")[-1])[0]


def without_clock(folder):
    return [{k: v for k, v in row.items() if k != "images_per_s"} for row in rows(folder)]


@pytest.mark.parametrize("stop", [6, 10])
def test_a_resumed_run_is_the_uninterrupted_run_bit_by_bit(tmp_path, few_digits, stop):
    training.run(build, settings(tmp_path / "whole"))
    training.run(build, settings(tmp_path / "parts", steps=stop))
    training.run(build, settings(tmp_path / "parts", resume=True))
    whole, parts = newest(tmp_path / "whole"), newest(tmp_path / "parts")
    assert set(whole) == set(parts)
    assert [k for k in whole if not np.array_equal(whole[k], parts[k])] == []
    assert without_clock(tmp_path / "whole") == without_clock(tmp_path / "parts")
    last = "samples/step_00000018.png"
    assert (tmp_path / "whole" / last).read_bytes() == (tmp_path / "parts" / last).read_bytes()


def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path, few_digits):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        training.run(build, settings(tmp_path / name, steps=4, seed=seed))
    assert without_clock(tmp_path / "a") == without_clock(tmp_path / "b")
    assert without_clock(tmp_path / "a") != without_clock(tmp_path / "c")


def test_a_folder_that_holds_a_run_is_refused_without_resume(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=2))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(mg.errors.CheckpointError, match="continue it with --resume, or give another folder"):
        training.run(build, settings(tmp_path, steps=2))
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def test_resuming_a_finished_run_does_nothing_and_is_no_error(tmp_path, few_digits, capsys):
    training.run(build, settings(tmp_path, steps=2))
    assert training.run(build, settings(tmp_path, steps=2, resume=True)) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_resume_refuses_other_settings_and_names_them(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=2))
    with pytest.raises(mg.errors.CheckpointError, match="batch_size was 16, is 8, seed was 0, is 5"):
        training.run(build, settings(tmp_path, steps=4, resume=True, batch_size=8, seed=5))
    with pytest.raises(mg.errors.CheckpointError, match="no checkpoint to resume from"):
        training.run(build, settings(tmp_path / "elsewhere", resume=True))


def test_resume_refuses_other_images(tmp_path, few_digits, monkeypatch):
    training.run(build, settings(tmp_path, steps=2))
    others = data.Samples(data.digits(97)[0], None, "digits")
    monkeypatch.setattr(training, "load_images", lambda source, limit=None, shape=None: others)
    with pytest.raises(mg.errors.CheckpointError, match="count was 96, is 97, sha256 was"):
        training.run(build, settings(tmp_path, steps=4, resume=True))


def test_a_broken_config_is_named(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=2))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(
        mg.errors.CheckpointError, match=r"config\.json: cannot be read .* so the run cannot be resumed"
    ):
        training.run(build, settings(tmp_path, steps=4, resume=True))


def test_an_emptied_log_and_lost_pictures_are_made_again(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=2))
    (tmp_path / "log.csv").write_text("")
    (tmp_path / "losses.png").unlink()
    training.run(build, settings(tmp_path, steps=4, resume=True))
    assert [int(row["step"]) for row in rows(tmp_path)] == [3, 4]
    (tmp_path / "losses.png").unlink()
    assert training.run(build, settings(tmp_path, steps=4, resume=True)) == 0
    assert (tmp_path / "losses.png").exists()


def test_files_are_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    atomic.write(tmp_path / "whole", b"x")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, few_digits, capsys):
    training.run(build, settings(tmp_path, checkpoint_every=2, steps=4))
    paths = checkpoint.find(tmp_path / "checkpoints")
    content = bytearray(paths[-1].read_bytes())
    content[-1] ^= 255
    paths[-1].write_bytes(content)
    training.run(build, settings(tmp_path, steps=6, resume=True))
    assert "checksum" in capsys.readouterr().out
    assert [int(row["step"]) for row in rows(tmp_path)] == [1, 2, 3, 4, 5, 6]
    for path in checkpoint.find(tmp_path / "checkpoints"):
        path.write_bytes(b"")
    with pytest.raises(mg.errors.CheckpointError, match="no checkpoint can be read"):
        training.run(build, settings(tmp_path, steps=8, resume=True))


def test_only_the_newest_checkpoints_are_kept(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=12, checkpoint_every=1))
    assert [p.stem for p in checkpoint.find(tmp_path / "checkpoints")] == [f"step_{n:08d}" for n in (10, 11, 12)]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2 * checkpoint.KEEP


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, few_digits):
    def poisoned(settings):
        game = build(settings)
        turn = game.generator_turn

        def spoiled(state, batch):
            results = turn(state, batch)
            return results if batch.turn < 2 * 8 else {"g_loss": mg.tensor(float("nan"))}

        game.generator_turn = spoiled
        return game

    with pytest.raises(mg.errors.NonFiniteLoss, match=r"step 9: g_loss of the generator is nan.*last good checkpoint"):
        training.run(poisoned, settings(tmp_path))
    assert [p.stem for p in checkpoint.find(tmp_path / "checkpoints")] == ["step_00000006"]
    assert all(np.isfinite(a).all() for a in newest(tmp_path).values())


# --- folders that cannot take a run ---------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_named(tmp_path, few_digits):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(mg.errors.CheckpointError, match=r"file/run: cannot write there"):
        training.run(build, settings(tmp_path / "file" / "run"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_folder_is_named_and_nothing_is_lost(tmp_path, monkeypatch, few_digits, code):
    training.run(build, settings(tmp_path, steps=2))
    before = newest(tmp_path)

    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic.os, "fsync", refuse)
    with pytest.raises(mg.errors.CheckpointError, match=rf"cannot be written \({os.strerror(code)}\)"):
        training.run(build, settings(tmp_path, steps=4, resume=True))
    after = newest(tmp_path)
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert not [p for p in tmp_path.rglob(".*")]


def test_checkpoints_keep_the_values_of_strided_arrays(tmp_path):
    t = mg.tensor(np.arange(24.0).reshape(2, 3, 4)).transpose((2, 0, 1))
    path = checkpoint.save(tmp_path, {"t": t, "n": mg.tensor(7)}, {"note": "x"}, 3)
    arrays, meta = checkpoint.load(path)
    assert np.array_equal(arrays["t"], t.numpy())
    assert arrays["n"] == 7
    assert (meta["step"], meta["note"]) == (3, "x")
    with pytest.raises(mg.errors.CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path / "absent.safetensors")


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
        (["--resume"], "no checkpoint to resume from"),
        (["--device", "tpu"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_no_traceback(tmp_path, options, message):
    result = example("--out", str(tmp_path / "run"), *options)
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, picture in enumerate(data.digits(64)[0]):
        Image.fromarray(picture[0]).save(folder / f"{k:02d}.png")
    command = [sys.executable, "-u", str(ROOT / "examples/dcgan_mnist.py"), "--batch-size", "8"]
    command += ["--data", str(folder), "--out", str(tmp_path / "run"), "--steps", "100000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "log.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == training.INTERRUPTED, output
    assert "everything is saved" in output
    assert "--resume" in output
    step = int(newest(tmp_path / "run")["step"])
    assert int(rows(tmp_path / "run")[-1]["step"]) == step
    more = ["--data", str(folder), "--out", str(tmp_path / "run"), "--batch-size", "8"]
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


def test_a_run_on_a_gpu_is_the_same_captured_played_and_resumed(tmp_path, few_digits, monkeypatch, capsys):
    fakecupy.install(monkeypatch)

    def outcome(name, **options):
        folder = tmp_path / name
        for step in options.pop("stops", ()):
            assert training.run(build, settings(folder, device="cuda", steps=step, **options)) == 0
            options["resume"] = True
        assert training.run(build, settings(folder, device="cuda", **options)) == 0
        log = [{k: v for k, v in row.items() if k != "images_per_s"} for row in rows(folder)]
        return log, checkpoint.load(checkpoint.find(folder / "checkpoints")[-1])[0]

    log, weights = outcome("captured")
    assert counts.graphs > 20
    for name, options in {"played": {"graph": False}, "resumed": {"stops": (5, 7)}}.items():
        other_log, others = outcome(name, **options)
        assert other_log == log
        for key, value in weights.items():
            assert np.array_equal(others[key], value), (name, key)


def test_precision_is_a_setting_that_a_resumed_run_keeps(tmp_path, few_digits, monkeypatch, capsys):
    fakecupy.install(monkeypatch)
    run = settings(tmp_path, device="cuda", steps=2, precision="tf32", checkpoint_every=1)
    try:
        assert training.run(build, run) == 0
        assert mg.get_precision() == "tf32"
    finally:
        mg.set_precision("fp32")
    with pytest.raises(mg.errors.CheckpointError, match="precision was 'tf32', is 'fp32'"):
        training.run(build, settings(tmp_path, device="cuda", steps=4, resume=True, checkpoint_every=1))
    with pytest.raises(mg.errors.DeviceError, match="expected one of fp32, tf32, got 'bf16'"):
        mg.set_precision("bf16")


def test_numbers_at_the_end_go_to_the_terminal_and_into_a_file_that_any_program_reads(tmp_path, few_digits, capsys):
    measure = lambda game, samples, settings: {"count": len(samples.values), "bound": float("inf")}
    assert training.run(build, settings(tmp_path, steps=2), measure=measure) == 0
    assert "count: 96\nbound: inf" in capsys.readouterr().out

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {"count": 96, "bound": None}


def test_a_run_from_before_a_setting_existed_resumes(tmp_path, few_digits, capsys):
    assert training.run(build, settings(tmp_path, epochs=1)) == 0
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["settings"]["precision"], config["settings"]["graph"]
    path.write_text(json.dumps(config))
    assert training.run(build, settings(tmp_path, epochs=2, resume=True)) == 0
    assert len(rows(tmp_path)) == 12
