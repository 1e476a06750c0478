"""Features of every stage of a network, whitened: what they are, what they see, and how a file has them."""

import json

import numpy as np
import pytest

import minigan as mg
from minigan import data, judge
from minigan.judge import reader
from minigan.system import disk, stored


def pictures(n, seed=0, side=16):
    """Colour pictures (n, 3, side, side) of some light and some noise."""
    rng = np.random.default_rng(seed)
    light = rng.integers(60, 200, (n, 3, 1, 1)) + np.linspace(-50, 50, side)[:, None] * rng.standard_normal(
        (n, 1, 1, 1)
    )
    return (light + 9 * rng.standard_normal((n, 3, side, side))).clip(0, 255).astype(np.uint8)


LEARNT = pictures(120)


@pytest.fixture(scope="module")
def taught():
    return judge.fit_turned(LEARNT, epochs=1)


def test_each_block_of_what_was_learnt_from_has_mean_0_and_unit_covariance(taught):
    features = taught.features(LEARNT)
    assert (features.shape, features.dtype) == ((120, taught.width), np.float32)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-3)
    kept = [each.directions.shape for each in taught.whitening]
    assert [wide for wide, _ in kept] == [32, 64, 64]  # two stages and the last layer
    for block, (_, narrow) in zip(np.split(features, np.cumsum([n for _, n in kept])[:-1], 1), kept, strict=True):
        np.testing.assert_allclose(np.cov(block.T), np.eye(narrow), atol=5e-3)


def test_the_blocks_are_means_of_maps_and_the_last_layer(taught):
    body = taught.classifier.body
    with mg.nn.evaluating(body), mg.no_grad():
        x = mg.tensor(data.scaled(LEARNT[:5]))
        first, second, last = (body[:end](x).numpy() for end in (4, 8, len(body)))
    expected = [first.mean((2, 3)), second.mean((2, 3)), last]
    white = [(x - each.mean) @ each.directions for x, each in zip(expected, taught.whitening, strict=True)]
    np.testing.assert_allclose(taught.features(LEARNT[:5]), np.concatenate(white, 1), atol=1e-3)


def test_whitening_changes_nothing_that_the_network_decides(taught):
    plain = judge.Judge(taught.classifier, taught.form)
    assert np.array_equal(plain.logits(LEARNT[:9]), taught.logits(LEARNT[:9]))
    assert np.array_equal(plain.logits(LEARNT[:9]).argmax(1), plain.predict(LEARNT[:9]))
    assert plain.width == plain.features(LEARNT[:9]).shape[1] == 64


def test_directions_of_noise_and_of_rounding_are_left_out(rng):
    block = rng.standard_normal((500, 4)) * [10, 1, 0.1, 0] + 3
    white = judge.Whitening.of(block.astype("f4"))
    assert white.directions.shape == (4, 2)  # 0.01 is less than a thousandth of 100
    np.testing.assert_allclose(np.cov(white(block).T), np.eye(2), atol=1e-4)
    assert judge.Whitening.of(block[:, :1]).directions.shape == (1, 1)
    with pytest.raises(mg.errors.DataError, match="images that differ, 60 are all the same"):
        judge.Whitening.of(np.full((60, 3), 0.1, "f4") + rng.choice([0, 1e-8], (60, 3)).astype("f4"))


def test_what_cannot_be_whitened_by_is_named():
    with pytest.raises(mg.errors.DataError, match=r"fit_turned: expected 50 pictures or more, got 49"):
        judge.fit_turned(LEARNT[:49])
    with pytest.raises(mg.errors.DataError, match="expected 50 images or more, of finite features, got 3"):
        judge.Judge((form := judge.form_of((3, 16, 16), 4)).build(), form).whiten(LEARNT[:3])
    with pytest.raises(mg.errors.DataError, match="of finite features, got 60"):
        judge.Whitening.of(np.full((60, 3), np.nan, "f4"))
    with pytest.raises(mg.errors.DataError, match="expected images that differ, 60 are all the same"):
        judge.fit_turned(np.full((60, 3, 16, 16), 99, np.uint8), epochs=1)


def test_a_file_has_it_to_the_bit(taught, tmp_path):
    for half in (False, True):
        path = taught.save(tmp_path / "judge.safetensors", half=half)
        again = judge.load(path)
        for kept, found in zip(taught.whitening, again.whitening, strict=True):
            assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(kept, found, strict=True))
        assert again.save(tmp_path / "again.safetensors", half=half).read_bytes() == path.read_bytes()
        if not half:
            assert np.array_equal(again.features(LEARNT), taught.features(LEARNT))
    plain = judge.load(judge.Judge(taught.classifier, taught.form).save(tmp_path / "plain.safetensors"))
    assert (plain.whitening, plain.width) == ([], 64)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("whitening.1.mean", None, r"whitening\.1\.mean missing"),
        ("whitening.1.mean", np.zeros(63, "f4"), r"float32 \(64,\) and \(64, up to 64\), got float32 \(63,\)"),
        ("whitening.0.directions", np.zeros((32, 0), "f4"), r"got float32 \(32,\) and float32 \(32, 0\)"),
        ("whitening.0.directions", np.zeros((32, 33), "f4"), r"whitening\.0: .* float32 \(32, 33\)"),
        ("whitening.0.directions", np.zeros((32, 5), "f2"), r"float16 \(32, 5\)"),
        ("whitening.2.directions", np.full((64, 5), np.nan, "f4"), r"whitening\.2: .* not finite"),
        ("whitening.3.mean", np.zeros(64, "f4"), r"whitening\.3\.mean is unknown"),
        ("format", 1, r"whitening\.0\.mean is unknown"),
    ],
)
def test_a_file_that_somebody_made_up_is_refused(taught, name, array, message, tmp_path):
    """Its checksum is right: it was written so."""
    held, metadata, _ = stored.read(taught.save(tmp_path / "judge.safetensors"))
    about = {**json.loads(metadata[reader.KEY]), "sha256": disk.BLANK.decode()}
    if name == "format":
        about["format"] = array
    elif array is None:
        del held[name]
    else:
        held[name] = array
    path = tmp_path / "made_up.safetensors"
    path.write_bytes(disk.sealed(stored.content(held, {reader.KEY: json.dumps(about)})))
    with pytest.raises(mg.errors.CheckpointError, match=rf"made_up\.safetensors: .*{message}"):
        judge.load(path)


def test_a_damaged_file_is_refused(taught, tmp_path):
    path = taught.save(tmp_path / "judge.safetensors")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(mg.errors.CheckpointError, match=r"judge\.safetensors: "):
            judge.load(path)
