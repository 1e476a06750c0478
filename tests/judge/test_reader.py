"""The judge: a classifier trained by minigan that reads what generators draw."""

import numpy as np
import pytest

import minigan as mg
from minigan import data, judge

SET = data.Samples(*data.digits(1200), "digits")


@pytest.fixture(scope="module")
def reader():
    return judge.fit_classifier(SET.values, SET.labels, epochs=4)


def test_a_judge_learns_to_read(reader):
    images, labels = data.digits(300, seed=1)
    assert reader.accuracy(images, labels) > 0.8
    read = reader.predict(images)
    assert (read.shape, read.dtype) == ((300,), np.int64)
    assert reader.accuracy(images, read) == 1
    assert reader.accuracy(images, (read + 1) % 10) == 0


def test_probabilities_and_features_are_of_the_same_network(reader):
    images = data.digits(50, seed=1)[0]
    p, features = reader.probabilities(images), reader.features(images)
    assert (p.shape, p.dtype, features.shape) == ((50, 10), np.float32, (50, 128))
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert np.array_equal(p.argmax(1), reader.predict(images))
    assert (features >= 0).all()
    logits = reader.classifier.head(mg.tensor(features)).numpy()
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), p, atol=1e-6)


def test_it_reads_bytes_and_what_generators_make(reader, monkeypatch):
    images = data.digits(50, seed=2)[0]
    whole = reader.features(images)
    np.testing.assert_allclose(reader.features(images.astype("float64") / 127.5 - 1), whole, atol=1e-4)
    monkeypatch.setattr("minigan.nn.calling.CHUNK", 7)
    np.testing.assert_allclose(reader.features(images), whole, atol=1e-4)


def test_the_same_seed_gives_the_same_judge_and_disturbs_nobody():
    mg.random.seed(5)
    expected = mg.random.default().uniform(3)
    mg.random.seed(5)
    images = data.digits(64, seed=1)[0]
    a, b, c = (judge.fit_classifier(SET.values[:128], SET.labels[:128], seed=s).features(images) for s in (0, 0, 1))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert np.array_equal(mg.random.default().uniform(3), expected)


def test_a_judge_of_a_few_samples_knows_how_good_it_is():
    quick = judge.judge_of(SET, few=True)
    assert quick.test_accuracy == quick.accuracy(*judge.held_out(SET, few=True))
    assert len(judge.held_out(SET, few=True)[0]) == 200


def test_what_it_cannot_judge_is_named(reader):
    with pytest.raises(mg.errors.DataError, match=r"at least one, got \(0, 1, 28, 28\)"):
        reader.predict(np.zeros((0, 1, 28, 28), np.uint8))
    with pytest.raises(mg.errors.DataError, match="with a NaN or an infinity cannot be read"):
        reader.predict(np.full((2, 1, 28, 28), np.nan, "float32"))
    with pytest.raises(mg.errors.DataError, match=r"a label for each image, got \(2, 1, 28, 28\) and \(2, 1\)"):
        reader.accuracy(np.zeros((2, 1, 28, 28), "uint8"), np.zeros((2, 1), "int64"))
    with pytest.raises(mg.errors.DataError, match=r"28, 28\), at least one, got \(4, 3, 32, 32\)"):
        judge.fit_classifier(np.zeros((4, 3, 32, 32), np.uint8), np.zeros(4, np.int64))
    with pytest.raises(mg.errors.DataError, match="faces: these samples have no labels"):
        judge.judge_of(data.Samples(SET.values, None, "faces"))
    with pytest.raises(mg.errors.DataError, match="no held-out images are known for faces"):
        judge.held_out(data.Samples(SET.values, SET.labels, "faces"))


def test_the_classifier_has_lenets_form():
    body, head = mg.models.classifier28()
    assert body.num_parameters() + head.num_parameters() == 80_202
    body, head = mg.models.classifier28(3, 12)
    assert head(body(mg.zeros((2, 3, 28, 28)))).shape == (2, 12)


@pytest.mark.slow
def test_one_epoch_reads_mnist(mnist_folder):
    samples = data.Samples(*data.mnist("train"), "mnist")
    assert judge.judge_of(samples).test_accuracy > 0.985


def test_chunks_of_any_network_are_what_it_makes_of_all(monkeypatch):
    images = data.digits(10, seed=1)[0]
    monkeypatch.setattr("minigan.nn.calling.CHUNK", 3)
    seen = []

    def network(x):
        seen.append(len(x))
        return mg.sum(x, (1, 2, 3))

    found = judge.in_chunks(network, images)
    assert seen == [3, 3, 3, 1]
    np.testing.assert_allclose(found, (images / 127.5 - 1).sum((1, 2, 3)), rtol=1e-4)
    with pytest.raises(mg.errors.DataError, match=r"got \(0, 1, 28, 28\)"):
        judge.in_chunks(network, images[:0])
