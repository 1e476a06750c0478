"""Translators whose pictures are read while they are trained: the runs of those in memory, resumed to the bit."""

import numpy as np
import pytest
from example_scripts import example
from translator_programs import pictures

import minigan as mg
from minigan.errors import CheckpointError, DataError
from minigan.training import Settings, sides


def newest(out):
    found = mg.training.checkpoint.load(mg.training.checkpoint.find(out / "checkpoints")[-1])[0]
    return {name: array for name, array in found.items() if not name.startswith("time")}


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    return [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("kind", ["target", "halves", "made"])
def test_a_streamed_run_is_that_in_memory_and_resumes(kind, tmp_path):
    module = example("pix2pix")
    folder = pictures(tmp_path / "a", 24, size=(16, 32) if kind == "halves" else (20, 18))
    words = {"target": f"--target {tmp_path / 'b'}", "halves": "--halves left", "made": "--made edges"}[kind]
    if kind == "target":
        pictures(tmp_path / "b", 24, start=1)
    line = f"--data {folder} {words} --side 16 --width 4 --batch-size 4 --flip --crop 2 --steps".split()
    assert module.main([*line, "8", "--out", str(tmp_path / "memory")]) == 0
    out = ["--stream", "--out", str(tmp_path / "stream")]
    assert module.main([*line, "2", *out]) == 0  # whose learning rates are those of the first two of eight
    assert module.main([*line, "8", *out, "--resume"]) == 0
    assert same(newest(tmp_path / "stream"), newest(tmp_path / "memory"))
    metrics = [(tmp_path / name / "metrics.json").read_text() for name in ("stream", "memory")]
    assert metrics[0] == metrics[1]
    (folder / "000.png").unlink()
    settings = Settings.parsed(module.options(), [*line, "9", *out, "--resume"], "pix2pix")
    with pytest.raises(CheckpointError, match="count was 22, is"):
        mg.training.run(module.build, settings, sides.target_shape, load=sides.load_pairs)


def test_a_damaged_picture_that_is_held_out_stops_no_run(tmp_path, capsys):
    folder = pictures(tmp_path / "a", 12)
    settings = Settings.parsed(example("pix2pix").options(), ["--data", str(folder), "--side", "16"], "pix2pix")
    (held,) = sides._pictures(settings).chosen(sides._split(12, settings)[1]).pictures
    held.write_bytes(held.read_bytes()[:-6])
    assert len(sides.load_pairs(settings, None).values) == 11
    assert "skipped" not in capsys.readouterr().out
    assert sides.load_held_out(settings).values.shape == (0, 3, 16, 16)
    assert f"skipped 1 of 1 files: {held.name}" in capsys.readouterr().out


def test_a_streamed_run_is_shown_with_some_and_learns_from_all(tmp_path):
    folder = pictures(tmp_path / "a", 40)
    settings = Settings.parsed(
        example("super_resolution").options(), ["--data", str(folder), "--side", "16", "--stream"], "super_resolution"
    )
    samples = sides.load_pairs(settings, 10)
    assert len(samples.values) == 10
    assert len(samples.on_disk.pictures) == 36
    assert sides.load_held_out(settings).values.shape == (4, 3, 16, 16)


def test_what_is_no_folder_cannot_be_streamed(tmp_path):
    module = example("pix2pix")
    line = f"--data digits --width 4 --stream --batch-size 4 --steps 1 --out {tmp_path / 'run'}".split()
    settings = Settings.parsed(module.options(), line, "pix2pix")
    with pytest.raises(DataError, match="--stream reads a folder of pictures, and digits is none"):
        mg.training.run(module.build, settings, sides.target_shape, load=lambda *_: sides.load_pairs(settings, 60))


@pytest.mark.parametrize("of", ["pictures", "digits"])
def test_two_domains_stream_as_they_would_be_in_memory_and_resume(of, tmp_path):
    module, target = example("cyclegan"), pictures(tmp_path / "b", 19, start=1)
    source = pictures(tmp_path / "a", 26) if of == "pictures" else of
    size = "--side 16" if of == "pictures" else "--channels 1"
    line = f"--data {source} --target {target} {size} --width 2 --blocks 1 --flip --crop 2 --batch-size 4".split()
    line += ["--steps", "12", "--checkpoint-every", "5", "--keep", "10"]  # three epochs of the smaller domain
    assert module.main([*line, "--out", str(tmp_path / "memory")]) == 0
    out = ["--stream", "--out", str(tmp_path / "stream")]
    assert module.main([*line, *out]) == 0
    assert same(newest(tmp_path / "stream"), newest(tmp_path / "memory"))
    for path in (tmp_path / "stream" / "checkpoints").iterdir():
        if path.stem > "step_00000005":
            path.unlink()
    assert module.main([*line, *out, "--resume"]) == 0
    assert same(newest(tmp_path / "stream"), newest(tmp_path / "memory"))
    (target / "000.png").unlink()
    settings = Settings.parsed(module.options(), [*line, *out, "--resume"], "cyclegan")
    with pytest.raises(CheckpointError, match="cannot resume with other settings: count was 19, is 18"):
        mg.training.run(module.build, settings, sides.target_shape, load=sides.load_domains)


def test_domains_of_which_no_folder_is_one_cannot_be_streamed(tmp_path, capsys):
    line = f"--data digits --target mnist --stream --out {tmp_path / 'run'}".split()
    assert example("cyclegan").main(line) == 1
    assert "--stream reads folders of pictures, and neither of digits and mnist is one" in capsys.readouterr().err


def test_each_folder_that_streams_is_read_in_part_and_learnt_from_whole(tmp_path):
    a, b = pictures(tmp_path / "a", 40), pictures(tmp_path / "b", 30, start=1)
    line = f"--data {a} --target {b} --side 16 --stream".split()
    samples = sides.load_domains(Settings.parsed(example("cyclegan").options(), line, "cyclegan"), 10)
    assert [len(part) for part in samples.values] == [10, 10]
    assert samples.counts(streamed=True) == {"target domain": 30, "source domain": 40}
    line = f"--data digits --target {b} --side 28 --channels 1 --stream".split()
    samples = sides.load_domains(Settings.parsed(example("cyclegan").options(), line, "cyclegan"), 10)
    assert [len(part) for part in samples.values] == [10, 60_000]
