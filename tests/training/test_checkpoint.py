"""Checkpoints as files: what comes back, which of them stay, and what is put aside."""

import errno
import json
import math
import os

import numpy as np
import pytest

import minigan as mg
from minigan.system import disk
from minigan.training import checkpoint


def save(folder, step, **measured):
    return checkpoint.save(folder, {"t": mg.tensor(float(step))}, {}, step, **{"keep": 3, **measured})


def steps(folder):
    return [int(path.stem.removeprefix("step_")) for path in checkpoint.find(folder)]


def test_the_best_checkpoint_stays(tmp_path):
    checkpoint.save(tmp_path, {"t": mg.tensor(0.0)}, {}, 0, keep=1, distance=float("nan"))
    assert checkpoint.find_best(tmp_path) is None
    for step, distance in enumerate([3.0, 1.0, 2.0, 4.0, None, 0.5], 100_000_000 - 3):
        checkpoint.save(tmp_path, {"t": mg.tensor(float(step))}, {}, step, keep=1, distance=distance)
        best = 100_000_000 - 2 if 100_000_000 - 2 <= step < 100_000_002 else step
        assert checkpoint.find_best(tmp_path).stem == f"step_{best:08d}"
        assert [p.stem for p in checkpoint.find(tmp_path)] == [f"step_{n:08d}" for n in sorted({best, step})]
    (tmp_path / "best.json").write_text('{"checkpoint": "../../elsewhere", "distance": 0}')
    assert checkpoint.find_best(tmp_path) is None


def test_the_newest_stay_and_no_file_of_others(tmp_path):
    for step in range(7):
        save(tmp_path, step, keep=2)
    assert steps(tmp_path) == [5, 6]
    assert len(list(tmp_path.iterdir())) == 4


def test_no_checkpoint_is_the_best_when_none_was_judged_any_more(tmp_path):
    save(tmp_path, 1, distance=0.5)
    path = save(tmp_path, 2)
    assert checkpoint.find_best(tmp_path).stem == "step_00000001"
    (tmp_path / "step_00000001.safetensors").unlink()
    checkpoint.settle(tmp_path)
    assert checkpoint.find_best(tmp_path) is None
    assert not (tmp_path / checkpoint.BEST).exists()
    assert checkpoint.find(tmp_path) == [path]


def test_a_reader_of_images_is_believed_before_the_yardstick(tmp_path):
    measured = [(0.1, None), (0.9, 30.0), (0.5, 20.0), (0.2, math.nan), (0.3, 25.0), (0.05, None)]
    best = []
    for step, (distance, frechet) in enumerate(measured, 1):
        save(tmp_path, step, keep=1, distance=distance, frechet=frechet)
        best.append(int(checkpoint.find_best(tmp_path).stem[-1]))
    assert best == [1, 2, 3, 3, 3, 3]


def test_a_checkpoint_with_a_damaged_distance_takes_no_others_place(tmp_path):
    save(tmp_path, 1, distance=0.5, keep=1)
    other = save(tmp_path, 2, distance=0.6, keep=1)
    text = other.with_suffix(".json").read_text()
    other.with_suffix(".json").write_text(text.replace("0.6", "0.4"))
    checkpoint.settle(tmp_path, keep=1)
    assert checkpoint.find_best(tmp_path).stem == "step_00000001"


@pytest.mark.parametrize("unreadable", ["step_00000001.json", "step_00000001.safetensors"])
def test_what_cannot_be_read_for_once_is_not_deleted(tmp_path, monkeypatch, unreadable):
    save(tmp_path, 1, distance=0.5, keep=1)
    save(tmp_path, 2, distance=0.6, keep=1)
    (tmp_path / checkpoint.BEST).unlink()
    before = sorted(tmp_path.iterdir())
    read = disk.read

    def fails(path):
        if path.name == unreadable:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path)

    with monkeypatch.context() as patched:
        patched.setattr(disk, "read", fails)
        with pytest.raises(mg.errors.CheckpointError, match=r"cannot be read \(Input/output error\)"):
            checkpoint.settle(tmp_path, keep=1)
    assert sorted(tmp_path.iterdir()) == before
    checkpoint.settle(tmp_path, keep=1)
    assert checkpoint.find_best(tmp_path).stem == "step_00000001"


def test_what_is_newer_is_put_aside_and_nothing_of_it_is_lost(tmp_path):
    first, second = save(tmp_path, 1), save(tmp_path, 2)
    for names in (("step_00000002.damaged", "step_00000002.json.damaged"), ("step_00000002.damaged.2",)):
        content = second.read_bytes()
        checkpoint.continue_from(tmp_path, first)
        assert steps(tmp_path) == [1]
        assert (tmp_path / names[0]).read_bytes() == content
        assert all((tmp_path / name).exists() for name in names)
        save(tmp_path, 2)
    assert json.loads((tmp_path / "step_00000002.json.damaged.2").read_text())["step"] == 2


def test_a_resume_keeps_as_many_as_it_says(tmp_path):
    for step in range(3):
        save(tmp_path, step)
    checkpoint.continue_from(tmp_path, checkpoint.find(tmp_path)[-1], keep=1)
    assert steps(tmp_path) == [2]


def test_the_newest_whole_one_is_found_and_what_is_wrong_with_others_is_said(tmp_path):
    for step in range(3):
        save(tmp_path, step)
    deep, cut = (tmp_path / name for name in ("step_00000002.json", "step_00000001.safetensors"))
    deep.write_text("[" * 100_000)
    cut.write_bytes(cut.read_bytes()[:-1])
    problems = []
    path, arrays, about = checkpoint.newest(tmp_path, problems)
    assert (path.stem, arrays["t"], about["step"]) == ("step_00000000", 0, 0)
    assert [problem.split(": ")[1] for problem in problems] == [
        "cannot be read (nested too deeply)",
        "its checksum is not the one in step_00000001.json",
    ]
    path.write_bytes(b"")
    assert checkpoint.newest(tmp_path, problems) is None
    assert len(problems) == 5


def test_checkpoints_keep_the_values_of_strided_arrays(tmp_path):
    t = mg.tensor(np.arange(24.0).reshape(2, 3, 4)).transpose((2, 0, 1))
    path = checkpoint.save(tmp_path, {"t": t, "n": mg.tensor(7)}, {"note": "x"}, 3)
    arrays, meta = checkpoint.load(path)
    assert np.array_equal(arrays["t"], t.numpy())
    assert arrays["n"] == 7
    assert (meta["step"], meta["note"]) == (3, "x")
    with pytest.raises(mg.errors.CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path / "absent.safetensors")
