"""--log tensorboard, read by TensorBoard's own reader."""

import io
import subprocess
import sys

import numpy as np
import pytest
from quick_run import QuickYardstick, quick_curves
from tiny_run import build, newest, rows, settings

from minigan import training, viz
from minigan.errors import MissingExtra
from minigan.training import checkpoint, loop


@pytest.fixture(autouse=True)
def quick(monkeypatch, few_digits):
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(viz, "loss_curves", quick_curves)


def run(out, **options):
    return training.run(build, settings(out, **{"log": ["tensorboard"], **options}))


def read(out):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install -e '.[tensorboard]'"
    )
    everything = dict.fromkeys(reader.DEFAULT_SIZE_GUIDANCE, 0)
    return reader.EventAccumulator(str(out / "tensorboard"), everything).Reload()


def curve(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def logged(out, column):
    return [(int(row["step"]), float(np.float32(row[column]))) for row in rows(out)]


def check_curves(out, events):
    for column in rows(out)[0].keys() - {"step"}:
        assert curve(events, f"log/{column}") == logged(out, column)
    run = training.record.read(out)
    for name in ("distance", "generator_grad"):
        steps, values = run.health[name]
        assert curve(events, f"health/{name}") == list(zip(steps, values.astype(np.float32), strict=True))


@pytest.fixture
def installed():
    pytest.importorskip("tensorboard", reason="pip install -e '.[tensorboard]'")


def test_its_reader_finds_the_numbers_of_the_run(tmp_path, installed):
    training.run(build, settings(tmp_path, log=["tensorboard"]), measure=lambda *about: {"score": 0.5})
    events = read(tmp_path)
    check_curves(tmp_path, events)
    assert curve(events, "evaluation/score") == [(18, 0.5)]


def test_neither_tensorflow_nor_pytorch_is_loaded(installed):
    code = "import sys; from minigan.training.trackers import trackers; trackers(['tensorboard'])\n"
    code += "print(sorted({'torch', 'tensorflow', 'tensorboard'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "['tensorboard']\n"


def test_samples_and_weights(tmp_path, installed):
    from PIL import Image

    run(tmp_path)
    events = read(tmp_path)
    for image in events.Images("samples"):
        path = tmp_path / "samples" / f"step_{image.step:08d}.png"
        assert image.encoded_image_string == path.read_bytes()
        assert (image.width, image.height) == Image.open(io.BytesIO(image.encoded_image_string)).size
    assert len(events.Images("samples")) == len(list((tmp_path / "samples").iterdir()))
    weights = newest(tmp_path)
    names = {name for name in weights if name.split(".")[0] in ("generator", "discriminator")}
    floats = {name for name in names if weights[name].dtype.kind == "f"}
    tags = set(events.Tags()["histograms"])
    assert {tag for tag in tags if not tag.startswith("gradients/")} == {f"weights/{name}" for name in floats}
    assert "gradients/generator.0.weight" in tags
    held, array = events.Histograms("weights/generator.0.weight")[-1], weights["generator.0.weight"]
    assert held.step == 18
    found = held.histogram_value
    assert (found.min, found.max, found.num) == (array.min(), array.max(), array.size)
    assert sum(found.bucket) == array.size
    assert found.sum == pytest.approx(array.astype(float).sum())


def test_gradients_have_the_length_that_health_tells(tmp_path, installed):
    run(tmp_path)
    events = read(tmp_path)
    names = [tag for tag in events.Tags()["histograms"] if tag.startswith("gradients/generator.")]
    each = [{held.step: held.histogram_value for held in events.Histograms(name)} for name in names]
    lengths = dict(curve(events, "health/generator_grad"))
    assert set(each[0]) == set(lengths)
    for step, length in lengths.items():
        assert np.sqrt(sum(held[step].sum_squares for held in each)) == pytest.approx(length, rel=1e-4)


def test_a_run_that_goes_on_shows_each_step_once(tmp_path, installed):
    run(tmp_path, epochs=2, checkpoint_every=4)
    for path in checkpoint.find(tmp_path / "checkpoints")[-1:]:  # as if it had been killed after step 8
        path.unlink()
    run(tmp_path, resume=True)
    events = read(tmp_path)
    assert [step for step, _ in curve(events, "log/d_loss")] == list(range(1, 19))
    check_curves(tmp_path, events)
    steps = [image.step for image in events.Images("samples")]
    assert steps == sorted(int(path.stem[5:]) for path in (tmp_path / "samples").iterdir())
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


def test_it_may_be_asked_for_when_a_run_is_resumed(tmp_path, installed):
    run(tmp_path, epochs=1, log=[])
    run(tmp_path, resume=True, epochs=2)
    assert [step for step, _ in curve(read(tmp_path), "log/d_loss")] == list(range(7, 13))


def test_a_run_that_begins_anew_leaves_nothing_of_before(tmp_path, installed):
    run(tmp_path, epochs=1)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    for name in ("generator.safetensors", "timings.json"):
        (tmp_path / name).unlink()
    run(tmp_path, resume=True, epochs=1)
    check_curves(tmp_path, read(tmp_path))


def test_weights_that_are_not_finite_have_a_histogram_of_the_rest(installed):
    from minigan.training.tensorboard import TensorBoard

    held = TensorBoard()._histogram("w", np.array([1.0, np.nan, 2.0, np.inf], np.float32)).histo
    assert (held.num, held.min, held.max, sum(held.bucket)) == (2, 1, 2, 2)
    assert TensorBoard()._histogram("w", np.array([np.nan])).histo.num == 0


def test_where_it_is_not_installed_the_run_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'minigan\[tensorboard\]'"):
        run(tmp_path / "run")
    assert not (tmp_path / "run").exists()
