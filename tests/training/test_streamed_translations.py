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


def run_both_ways(script, line, out, steps=6):
    """Newest checkpoints of a run in memory, and of one that streams and is stopped and resumed on the way."""
    module = example(script)
    line = [*map(str, line), "--flip", "--crop", "1", "--batch-size", "4", "--steps"]
    assert module.main([*line, str(steps), "--out", str(out / "memory")]) == 0
    streamed = ["--stream", "--out", str(out / "stream")]
    assert module.main([*line, "2", *streamed]) == 0
    assert module.main([*line, str(steps), *streamed, "--resume"]) == 0
    return newest(out / "memory"), newest(out / "stream")


def classes(folder, *counts):
    """The folder, with one of pictures for each class."""
    for k, count in enumerate(counts):
        pictures(folder / f"class{k}", count, start=k)
    return folder


def test_pictures_of_classes_stream_with_their_labels(tmp_path):
    folder = classes(tmp_path / "a", 9, 5, 7)
    line = ["--data", folder, "--labels-from", "folders", "--side", 16, "--width", 2, "--blocks", 1, "--d-steps", 2]
    assert same(*run_both_ways("stargan", line, tmp_path))


def test_a_streamed_picture_that_is_damaged_leaves_its_place_to_the_next_with_its_label(tmp_path):
    folder = classes(tmp_path / "a", 3, 3)
    damaged = folder / "class0" / "002.png"
    damaged.write_bytes(damaged.read_bytes()[:-6])
    with mg.data.streamed_batches(mg.data.pictures_in(folder, 8, 3, labels="folders"), 6) as batches:
        images, labels = batches.at(0)
    assert labels.dtype == np.int64
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 1, 1]
    whole, told = mg.data.image_folder(folder, 8, 3, labels="folders")
    for image, label in zip(images, labels, strict=True):
        (which,) = np.flatnonzero((np.abs(mg.data.scaled(whole) - image) < 1e-6).all((1, 2, 3)))
        assert told[which] == label


@pytest.mark.parametrize("words", [("--made", "edges"), ("--target",)])
def test_two_domains_that_are_drawn_stream(words, tmp_path):
    line = ["--data", pictures(tmp_path / "a", 22), "--side", 16, "--width", 2, *words]
    line += [pictures(tmp_path / "b", 15, 1)] if words == ("--target",) else []
    assert same(*run_both_ways("cogan", line, tmp_path))


@pytest.mark.parametrize("of", ["pictures", "digits"])
def test_a_labelled_domain_streams_beside_another(of, tmp_path):
    target = pictures(tmp_path / "b", 15, start=1)
    source = classes(tmp_path / "a", 9, 5, 7) if of == "pictures" else of
    line = ["--data", source, "--target", target, "--channels", 3 if of == "pictures" else 1]
    line += ["--system", "adda", "--warm-up", 1]
    line += ["--labels-from", "folders", "--side", 16] if of == "pictures" else []
    assert same(*run_both_ways("domain_adaptation", line, tmp_path))


def test_pictures_stream_with_their_captions(tmp_path):
    folder, captions = pictures(tmp_path / "a", 14), tmp_path / "captions.csv"
    words = ["a red bird", "a bird", "blue", "two birds"]
    lines = [f"{k:03d}.png,{words[(k + more) % 4]}" for k in range(14) for more in range(1 + k % 2)]
    captions.write_text("\n".join(lines))
    line = ["--data", folder, "--captions", captions, "--side", 16, "--width", 4]
    assert same(*run_both_ways("text_to_image", line, tmp_path))
    captions.write_text("\n".join(lines).replace("a red bird", "a bird red"))
    again = [*map(str, line), "--flip", "--crop", "1", "--batch-size", "4", "--stream", "--resume", "--steps", "7"]
    module = example("text_to_image")
    settings = Settings.parsed(module.options(), [*again, "--out", str(tmp_path / "stream")], "text_to_image")
    with pytest.raises(CheckpointError, match="cannot resume with other settings: sha256"):
        mg.training.run(module.build, settings, sides.target_shape, load=module.load, picture=module.picture)


def test_texts_of_digits_are_not_streamed(capsys):
    with pytest.raises(SystemExit):
        example("text_to_image").main(["--stream"])
    assert "--stream changes nothing without --captions" in capsys.readouterr().err
