"""A run's folder: what it holds, that it resumes exactly, what it refuses, what is left when something fails."""

import errno
import json
import os

import numpy as np
import pytest
from PIL import Image
from tiny_run import build, newest, rows, settings, without_clock

import minigan as mg
from minigan import data, training
from minigan.system import disk
from minigan.training import checkpoint, loop, record


def test_a_run_writes_its_folder(tmp_path, few_digits, capsys):
    assert training.run(build, settings(tmp_path / "run")) == 0
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} == {
        *["config.json", "log.csv", "health.jsonl", "timings.json", "losses.png", "samples.gif", "samples"],
        *["checkpoints", "generator.safetensors", "report.html", ".lock"],
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
    monkeypatch.setattr("minigan.training.program.load_images", lambda *args, **options: others)
    with pytest.raises(mg.errors.CheckpointError, match="count was 96, is 97, sha256 was"):
        training.run(build, settings(tmp_path, steps=4, resume=True))


def test_a_checkpoint_knows_its_settings_without_config_json(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=2))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(mg.errors.CheckpointError, match="seed was 0, is 5"):
        training.run(build, settings(tmp_path, steps=4, resume=True, seed=5))
    assert training.run(build, settings(tmp_path, steps=4, resume=True)) == 0
    assert json.loads((tmp_path / "config.json").read_text())["total_steps"] == 4


def test_a_refused_resume_changes_nothing(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=6, checkpoint_every=2))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(mg.errors.CheckpointError, match="seed was 0, is 5"):
        training.run(build, settings(tmp_path, steps=8, keep=1, seed=5, resume=True))
    assert training.run(build, settings(tmp_path, steps=4, keep=1, resume=True)) == 0  # finished long ago
    unchanged = {path for path, content in before.items() if path.exists() and path.read_bytes() == content}
    assert {path.name for path in before.keys() - unchanged} <= {"report.html"} | {
        f"step_0000000{n}.{end}"
        for n in (2, 4)
        for end in ("json", "safetensors")  # keep=1
    }


def with_rate(settings):
    game = build(settings)
    game.optimizers["generator"].lr = settings.extra["lr"]
    return game


def test_a_rate_that_may_change_stays_changed_when_the_run_is_killed_before_it_is_saved(tmp_path, few_digits):
    first = {"extra": {"lr": 1e-3}, "checkpoint_every": 2}
    other = {"extra": {"lr": 1e-5}, "checkpoint_every": 2, "allow_change": ["lr"], "resume": True}
    for folder in ("killed", "whole"):
        training.run(with_rate, settings(tmp_path / folder, steps=4, **first))

    def dies(settings):
        game = with_rate(settings)
        game.play = lambda source: (_ for _ in ()).throw(RuntimeError("killed"))
        return game

    with pytest.raises(RuntimeError, match="killed"):
        training.run(dies, settings(tmp_path / "killed", steps=8, **other))
    for folder in ("killed", "whole"):
        training.run(with_rate, settings(tmp_path / folder, steps=8, **other))
    killed, whole = newest(tmp_path / "killed"), newest(tmp_path / "whole")
    assert killed["generator_optimizer.lr"] == 1e-5
    assert all(np.array_equal(whole[k], killed[k]) for k in whole)


def test_what_came_after_the_checkpoint_is_said_anew(tmp_path, few_digits, capsys):
    training.run(build, settings(tmp_path, steps=8, checkpoint_every=2, sample_every=2))
    newest_one = checkpoint.find(tmp_path / "checkpoints")[-1]
    newest_one.write_bytes(b"damaged")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop.Loop, "keep_state", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            training.run(build, settings(tmp_path, steps=8, keep=1, sample_every=2, resume=True))
    assert "step_00000008.safetensors: its checksum is not" in capsys.readouterr().out
    assert [p.name for p in checkpoint.find(tmp_path / "checkpoints")][-1] == "step_00000006.safetensors"
    assert newest_one.with_suffix(".damaged").exists()
    assert sorted(p.name for p in (tmp_path / "samples").iterdir())[-1] == "step_00000006.png"
    assert [int(row["step"]) for row in rows(tmp_path)][-1] == 6
    assert not (tmp_path / "samples.gif").exists()


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
    disk.write(tmp_path / "whole", b"x")
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
    training.run(build, settings(tmp_path, steps=12, checkpoint_every=1, sample_every=5, keep=2))
    held = checkpoint.find(tmp_path / "checkpoints")
    best = checkpoint.find_best(tmp_path / "checkpoints")
    looks = {look.step: look.numbers["distance"] for look in record.read_looks(tmp_path, [])}
    assert list(looks) == [0, 5, 10, 12]
    assert min(looks[step] for step in (5, 10, 12)) == looks[int(best.stem.removeprefix("step_"))]
    assert {p.stem for p in held} == {"step_00000011", "step_00000012", best.stem}
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2 * len(held) + 1


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, few_digits):
    def poisoned(settings):
        game = build(settings)
        turn = game.generator_turn

        def spoiled(batch):
            results = turn(batch)
            return results if batch.turn < 2 * 8 else {"g_loss": mg.tensor(float("nan"))}

        game.generator_turn = spoiled
        return game

    with pytest.raises(mg.errors.NonFiniteLoss, match=r"step 9: g_loss of the generator is nan.*last good checkpoint"):
        training.run(poisoned, settings(tmp_path, graph=False))
    assert [p.stem for p in checkpoint.find(tmp_path / "checkpoints")] == ["step_00000006"]
    assert all(np.isfinite(a).all() for a in newest(tmp_path).values())


def test_a_run_from_before_a_setting_existed_resumes(tmp_path, few_digits, capsys):
    assert training.run(build, settings(tmp_path, epochs=1)) == 0
    arrays, meta = checkpoint.load(checkpoint.find(tmp_path / "checkpoints")[-1])
    del meta["settings"]["precision"], meta["settings"]["graph"]
    state = {name: mg.tensor(array) for name, array in arrays.items()}
    checkpoint.save(tmp_path / "checkpoints", state, {k: meta[k] for k in ("settings", "images", "blas")}, meta["step"])
    assert training.run(build, settings(tmp_path, epochs=2, resume=True)) == 0
    assert len(rows(tmp_path)) == 12


# --- folders that cannot take a run ---------------------------------------------------------------------------


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path, few_digits, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(loop.Loop, "after_step", lambda self, **how: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            training.run(build, settings(tmp_path / "a"))
    assert checkpoint.find(tmp_path / "a" / "checkpoints") == []
    assert training.run(build, settings(tmp_path / "a", resume=True)) == 0
    assert "stopped before its first checkpoint; it begins anew" in capsys.readouterr().out
    training.run(build, settings(tmp_path / "b"))
    assert without_clock(tmp_path / "a") == without_clock(tmp_path / "b")


def test_debug_nan_plays_the_step_again_and_names_the_op(tmp_path, few_digits):
    def poisoned(settings):
        game = build(settings)
        forward = game.discriminator.forward
        game.discriminator.forward = lambda x: forward(x) * (mg.log(mg.zeros(()) - 1) if game.rounds == 8 else 1)
        return game

    with (
        np.errstate(invalid="ignore"),
        pytest.raises(mg.errors.NonFiniteLoss, match=r"step 9: d_loss of .* is nan.*to find the op: the same command"),
    ):
        training.run(poisoned, settings(tmp_path, graph=False))
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(
            mg.errors.NonFiniteLoss, match=r"step 9: d_loss .* is nan.*; step 9: log in discriminator, forward pass"
        ),
    ):
        training.run(poisoned, settings(tmp_path, resume=True, debug_nan=True))
    assert [p.stem for p in checkpoint.find(tmp_path / "checkpoints")] == ["step_00000006"]


def test_weights_that_are_not_finite_are_never_saved(tmp_path, few_digits):
    def poisoned(settings):
        game = build(settings)
        turn = game.generator_turn

        def spoiled(batch):
            results = turn(batch)
            if game.rounds == 5:
                game.state["generator.0.weight"].data[0] = np.inf
            return results

        game.generator_turn = spoiled
        return game

    cases = (False, "to find the op"), (True, r"step 6: generator\.0\.weight is not finite after its step")
    for debug, words in cases:
        folder = tmp_path / str(debug)
        with pytest.raises(mg.errors.NonFiniteLoss, match=rf"step 6: generator\.0\.weight is not finite.*{words}"):
            training.run(poisoned, settings(folder, sample_every=100, debug_nan=debug, graph=False))
        assert checkpoint.find(folder / "checkpoints") == []
        assert [int(row["step"]) for row in rows(folder)] == [1, 2, 3, 4, 5, 6]
        assert (folder / "report.html").exists()


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

    monkeypatch.setattr(disk.os, "fsync", refuse)
    with pytest.raises(mg.errors.CheckpointError, match=rf"cannot be written \({os.strerror(code)}\)"):
        training.run(build, settings(tmp_path, steps=4, resume=True))
    after = newest(tmp_path)
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert [p.name for p in tmp_path.rglob(".*")] == [".lock"]
