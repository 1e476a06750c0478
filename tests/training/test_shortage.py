"""Memory that does not suffice: said before anything is written, with a batch that fits, which then does."""

import gc
import re

import fakecupy
import fakepools
import numpy as np
import pytest
from tiny_run import build, newest, settings

import minigan as mg
from minigan import training
from minigan.data import Samples
from minigan.gan import Game, MemoryNeed, memory_needed
from minigan.kernels import cublas, headroom
from minigan.training import checkpoint, shortage

IMAGES = Samples(np.random.default_rng(0).integers(0, 256, (256, 1, 28, 28)).astype("uint8"), None, "images")


def run(out, **options):
    return training.run(build, settings(out, **options), load=lambda settings, limit: IMAGES)


def limited(monkeypatch, free):
    monkeypatch.setattr(headroom, "free", lambda device: free)


def test_too_large_a_batch_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    limited(monkeypatch, 2 * headroom.SCRATCH)
    with pytest.raises(mg.errors.NotEnoughMemory, match=r"a batch of 200000 needs .* GB on this device, .* are free"):
        training.run(build, settings(tmp_path / "run", steps=2), load=lambda *_: IMAGES, batch=200_000)
    assert not (tmp_path / "run").exists()


def test_a_batch_that_fits_if_nothing_is_lost_between_arrays_is_named_as_one_that_may():
    need = MemoryNeed("cpu", 0, 0, 1e9, 1e6, replayed=False)
    lost = headroom.lost("cpu", 1e9)
    for free, told in (
        (need.least(64) + lost, r"; \d+ would fit \(--batch-size \d+\)$"),
        (need.least(64), r"; \d+ may fit \(--batch-size \d+\)$"),
        (need.least(0) / 2, r"; and no other would fit$"),
    ):
        assert re.search(told, shortage._too_much(need, 1000, free / shortage.SPARE, 1, resumed=False)), free


def test_of_a_batch_in_parts_the_whole_is_named_as_the_command_line_has_it():
    need = MemoryNeed("cpu", 0, 0, 1e9, 1e6, replayed=False)
    free = (need.least(64) + headroom.lost("cpu", 1e9)) / shortage.SPARE
    alone, in_parts = (shortage._too_much(need, 1000, free, parts, resumed=False) for parts in (1, 4))
    fits = int(re.search(r"; (\d+) would fit", alone)[1])
    assert in_parts.startswith("a batch of 4000 (1000 at once) needs ")
    assert in_parts.endswith(f"; {4 * fits} would fit (--batch-size {4 * fits})")


def test_a_run_that_is_continued_with_too_large_a_batch_stays_as_it_was(tmp_path, monkeypatch):
    run(tmp_path, steps=2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    limited(monkeypatch, 1000)
    with pytest.raises(mg.errors.NotEnoughMemory, match="no other would fit"):
        run(tmp_path, steps=4, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    monkeypatch.undo()
    assert run(tmp_path, steps=4, resume=True) == 0


def test_what_is_named_on_a_gpu_fits_it(tmp_path, monkeypatch):
    """On a device with room for some 100 images, 192 are refused, and as many as are named train within it."""
    cupy = fakecupy.install(monkeypatch)
    monkeypatch.setattr(headroom, "SCRATCH", cublas.WORKSPACE)  # that of graphs, and nothing to spare
    options = {"device": "cuda", "steps": 6}
    need = memory_needed(build(settings("", device="cuda")), mg.data.Batches(IMAGES.values, 192, device="cuda"))
    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    monkeypatch.setattr(fakepools.Memory, "size", fakepools.Memory.taken + int(need.total(100)))
    with pytest.raises(mg.errors.NotEnoughMemory) as refused:
        run(tmp_path, batch_size=192, **options)
    fits = int(re.search(r"; (\d+) would fit", str(refused.value))[1])
    assert 48 <= fits <= 100
    assert run(tmp_path, batch_size=fits, **options) == 0
    monkeypatch.setattr(shortage, "check", lambda *_: None)
    with pytest.raises(mg.errors.NotEnoughMemory, match=r"after step 0 memory ran out \(Out of memory allocating"):
        run(tmp_path / "other", batch_size=192, **options)


def test_a_dry_run_says_what_the_batch_that_was_asked_for_needs(tmp_path, capsys):
    options = training.parser("tiny", "A tiny run.", epochs=1, batch_size=128)
    arguments = ["--dry-run", "--batch-size", "192"]
    assert training.main(build, options, load=lambda *_: IMAGES, arguments=arguments) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("memory: "))
    found = re.match(r"memory: (\d+) MB at batch 192, beside the data \(weights and .*, training (\d+) MB\)", line)
    game = build(settings(""))
    need = memory_needed(game, mg.data.Batches(IMAGES.values, 192))
    assert float(found[2]) == pytest.approx(need.training(192) / 1e6, rel=0.05)
    assert float(found[1]) == pytest.approx((need.state + need.training(192)) / 1e6, rel=0.05)


def test_memory_that_runs_out_ends_the_run_with_what_is_kept(tmp_path, monkeypatch):
    original = Game.play

    def play(game, batches):
        if game.rounds >= 20 and isinstance(batches, mg.data.Batches):
            raise MemoryError("Unable to allocate 3.00 GiB")
        return original(game, batches)

    monkeypatch.setattr(Game, "play", play)
    with pytest.raises(mg.errors.NotEnoughMemory) as error:
        run(tmp_path, steps=30, checkpoint_every=10, sample_every=1000)
    told = str(error.value)
    assert told.startswith("after step 20 memory ran out (Unable to allocate 3.00 GiB); training stopped and the last")
    options = "--resume --allow-change batch_size --batch-size 8"
    assert re.search(rf"a batch of 16 needs \d+ MB on this device, .* are free; 8 would fit \({options}\)", told)
    assert checkpoint.find(tmp_path / "checkpoints")[-1].name == "step_00000020.safetensors"
    monkeypatch.undo()
    assert run(tmp_path, steps=30, resume=True, batch_size=8, allow_change=["batch_size"]) == 0
    assert int(newest(tmp_path)["step"]) == 30


def test_another_error_is_left_as_it_is(tmp_path, monkeypatch):
    def play(game, batches):
        raise RuntimeError("something else")

    monkeypatch.setattr(Game, "play", play)
    with pytest.raises(RuntimeError, match=r"^something else$"):
        run(tmp_path, steps=2)
