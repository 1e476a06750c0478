"""The table of an evaluation: rows move as they must when samples are spoilt, beside what real images reach."""

import math

import numpy as np
import pytest

from minigan import data, errors, judge, metrics
from minigan.judge import Gauge, Seen, evaluation, of_images, of_points, seen, sides
from minigan.judge.evaluation import MEASURES
from minigan.judge.yardstick import RandomFeatures

N = 300


@pytest.fixture(scope="module")
def held():
    """1 200 digits to learn from, and N held-out ones."""
    train, labels = data.digits(3 * N)
    return judge.Sides(data.digits(N, seed=1)[0], train[::3], train, True), labels


@pytest.fixture(scope="module")
def reader():
    return judge.load("digits")


@pytest.fixture(scope="module")
def read(held, reader):
    """The real images, and the others, as the reader has them."""
    return seen(reader, held[0].real), seen(reader, held[0].other)


def table(images, held, reader, read, floors=None):
    rows = of_images(images, held[0], seen(reader, images), read[0], None if floors else read[1], floors or {})
    return {row.name: row for row in rows}


@pytest.fixture(scope="module")
def real(held, reader, read):
    """The table of real images that nobody learnt from."""
    return table(data.digits(N, seed=2)[0], held, reader, read)


def test_real_images_are_as_good_as_real_images(real):
    assert list(real) == [name for name in MEASURES if name in real]  # the order in which rows are read
    assert len(real) == 11
    for row in real.values():
        assert row.low <= row.value <= row.high, row
        assert row.floor is not None
    for name in ("precision", "recall", "coverage"):
        assert real[name].value == pytest.approx(real[name].floor, abs=0.06)
    assert real["frechet"].value == pytest.approx(real["frechet"].floor, rel=0.6)
    assert real["memorised"].low < 0.5 < real["memorised"].high


def test_intervals_are_of_95_percent(real, read, reader):
    fresh = data.digits(N, seed=2)[0]
    for name in ("precision", "recall", "coverage", "smallest_class"):  # Wilson's ends are what the share is 1.96 from
        row = real[name]
        for end in (row.low, row.high):
            assert abs(row.value - end) == pytest.approx(1.96 * (end * (1 - end) / N) ** 0.5, abs=1e-9), name
    found = metrics.kernel_distance(reader.features(fresh), read[0].features, subsets=50)
    assert (real["kernel"].high - real["kernel"].low) / 2 == pytest.approx(1.96 * found.error)
    density = lambda *clouds: metrics.density_coverage(*clouds).density
    ends = metrics.bootstrap(density, read[0].features, reader.features(fresh), rounds=12, share=0.25)
    assert (real["density"].low, real["density"].high) == pytest.approx(tuple(ends))
    score = metrics.inception_score(reader.probabilities(fresh))
    assert (real["score"].high - real["score"].value) == pytest.approx(1.96 * score.error)
    rng = np.random.default_rng(0)  # shares of pairs that a sample is the nearer one of, if nothing tells the two apart
    shares = [(rng.random(N)[:, None] < rng.random(N)).mean() for _ in range(300)]
    assert real["memorised"].high - real["memorised"].value == pytest.approx(1.96 * np.std(shares), rel=0.15)


def test_decibels_are_counted_above_the_noise_of_bytes_and_without_the_mean():
    noise = 1 / 12  # the variance of what rounding to whole numbers leaves
    a, b = np.array([[5, 1 - noise, 10 - noise]]), np.array([[900, 10 - noise, 10 - noise]])  # 0 and 10 dB; 10 and 10
    assert evaluation._decibels_apart(a, b) == pytest.approx((10**2 / 2) ** 0.5)


def test_rows_move_as_they_must(held, reader, read, real):
    floors = {name: row.floor for name, row in real.items()}
    fresh, labels = data.digits(N, seed=2)
    wide = fresh.astype(float)
    blurred = ((wide + np.roll(wide, 1, 2) + np.roll(wide, 1, 3) + np.roll(wide, (1, 1), (2, 3))) / 4).astype(np.uint8)
    noisy = np.clip(wide + np.random.default_rng(0).normal(0, 50, wide.shape), 0, 255).astype(np.uint8)
    few = np.resize(fresh[labels < 5], fresh.shape)
    one = np.repeat(fresh[:1], N, 0)
    copies = held[0].train[-N:]
    tables = {
        name: table(images, held, reader, read, floors)
        for name, images in {"blurred": blurred, "noisy": noisy, "few": few, "one": one, "copies": copies}.items()
    }
    value = {name: {k: row.value for k, row in rows.items()} for name, rows in tables.items()}
    for spoilt in ("blurred", "noisy", "few", "one"):
        assert value[spoilt]["frechet"] > 2 * real["frechet"].high, spoilt
        assert tables[spoilt]["kernel"].low > 0, spoilt
        assert value[spoilt]["coverage"] < real["coverage"].low, spoilt
    assert value["blurred"]["spectrum"] > 5 * floors["spectrum"]
    assert value["noisy"]["spectrum"] > 5 * floors["spectrum"]
    assert value["few"]["smallest_class"] < 0.02 < real["smallest_class"].low
    assert value["few"]["class_kl"] > 0.5 > real["class_kl"].high
    assert value["few"]["recall"] < value["few"]["precision"]
    assert value["one"]["score"] < 1.01 < real["score"].low
    assert value["one"]["recall"] == 0
    assert tables["copies"]["memorised"].low > 0.9  # each is nearer to what it is a copy of
    assert value["copies"]["frechet"] < 2 * floors["frechet"]  # which this alone would not tell


def test_a_reader_without_classes_has_no_rows_of_them(held):
    reader = RandomFeatures(held[0].train)
    views = [seen(reader, images) for images in (held[0].other, held[0].real)]
    names = [row.name for row in of_images(held[0].other, held[0], *views, None, {})]
    assert not {"score", "smallest_class", "class_kl"} & set(names)
    assert "frechet" in names


def test_without_held_out_images_nothing_is_said_of_copies(held, read):
    rows = of_images(held[0].other, held[0]._replace(held_out=False), read[1], read[0], None, {})
    assert "memorised" not in [row.name for row in rows]
    assert all(row.floor is None for row in rows)


def test_too_few_are_refused(held, read):
    few = Seen(read[0].features[:39])
    with pytest.raises(errors.DataError, match="at least 40 samples and as many real ones, got 39"):
        of_images(held[0].other, held[0], few, read[0], None, {})
    points = data.gaussians_ring(39)[0]
    with pytest.raises(errors.DataError, match="got 39"):
        of_points(points, points, points, None, 0.0)


def test_what_samples_are_compared_with(monkeypatch):
    monkeypatch.setattr("minigan.data.sources.digits", lambda n, seed=0: data.digits(min(n, 60), seed))
    images, labels = data.digits(100)
    named = sides(data.Samples(images, labels, "digits"), 50)
    assert (named.held_out, len(named.real), len(named.other), len(named.train)) == (True, 50, 50, 100)
    numbered = np.arange(100, dtype=np.uint8).repeat(64).reshape(100, 1, 8, 8)
    mine = sides(data.Samples(numbered, None, "mine"), 1000)
    assert not mine.held_out
    assert sorted([*mine.real[:, 0, 0, 0], *mine.other[:, 0, 0, 0]]) == list(range(100))
    again = sides(data.Samples(numbered, None, "mine"), 1000, seed=1)
    assert not np.array_equal(again.real, mine.real)
    for wrong in (numbered[:3], np.zeros((50, 2), np.float32)):
        with pytest.raises(errors.DataError, match="mine: expected at least 4 images"):
            sides(data.Samples(wrong, None, "mine"), 10)


# --- random features ----------------------------------------------------------------------------------------------


def test_random_features_are_in_units_of_the_data(held):
    images = held[0].train
    reader = RandomFeatures(images)
    features = reader.features(images)
    assert features.shape == (len(images), 64)
    assert features.dtype == np.float32
    assert 60 < features.var(0).sum() <= 100.5  # of 100, what the leading directions have
    assert reader.probabilities(images) is None
    np.testing.assert_allclose(reader.features(data.scaled(images[:5])), features[:5], rtol=1e-3, atol=1e-4)
    with pytest.raises(errors.DataError, match="expected images that differ"):
        RandomFeatures(np.repeat(images[:1], 30, 0))


def test_few_images_have_few_directions():
    reader = RandomFeatures(data.digits(5)[0])
    assert reader.about == {"features": 4}
    assert reader.features(data.digits(7)[0]).shape == (7, 4)


# --- a gauge --------------------------------------------------------------------------------------------------------


def test_a_gauge_measures_always_alike(held):
    gauge = Gauge(data.Samples(held[0].train, None, "mine"), 200, None)
    assert gauge.count == 200
    assert gauge.described == "200 samples against 200 images of the data, by random features"
    fresh = data.digits(200, seed=3)[0]
    assert gauge.measure(fresh) == gauge.measure(fresh) < 2 * gauge.floor
    assert gauge.measure(255 - fresh) > 10 * gauge.floor
    spoilt = data.scaled(fresh)
    spoilt[0, 0, 0, 0] = np.nan
    assert math.isnan(gauge.measure(spoilt))


# --- points ---------------------------------------------------------------------------------------------------------


def test_points_that_miss_modes():
    (real, _), (other, _), (points, mode) = (data.gaussians_ring(600, seed=k) for k in range(3))
    whole = {row.name: row for row in of_points(points, real, other, data.ring_centres(), 0.02)}
    few = np.resize(points[mode < 4], points.shape)
    half = {row.name: row for row in of_points(few, real, other, data.ring_centres(), 0.02)}
    assert whole["modes"].value == whole["modes"].floor == 8
    assert half["modes"].value == 4
    assert whole["wasserstein"].value < 0.5 < half["wasserstein"].low
    assert half["reverse_kl"].value == pytest.approx(math.log(2), abs=0.05)
    assert [row.name for row in of_points(points, real, other, None, 0.0)] == ["sliced_wasserstein", "wasserstein"]
