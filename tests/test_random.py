"""Random streams: what they draw, and that nothing but seed, name and step decides it."""

import threading

import numpy as np
import pytest
from interrupts import interrupted_at

import minigan as mg
from minigan.random import Stream


def test_words_are_philox_4x64_10():
    """The reference vector of Salmon et al. (Random123, kat_vectors): key and counter all zeros, block 0."""
    stream = Stream(0)
    stream._key = np.zeros(2, np.uint64)
    stream._block = 0
    raw = np.random.Philox(counter=2**256 - 1, key=0).random_raw(4)  # NumPy increments before the first block
    assert [hex(w) for w in raw] == [
        "0x16554d9eca36314c",
        "0xdb20fe9d672d0fdc",
        "0xd7e772cee186176b",
        "0x7e68b68aec7ba23b",
    ]
    assert np.array_equal(stream.words(4), np.random.Philox(counter=0, key=0).random_raw(4))


def test_a_stream_is_decided_by_seed_name_and_step():
    draws = {
        (seed, name, step): tuple(Stream(seed, name).at(step).uniform(3))
        for seed in (0, 1)
        for name in ("a", "b")
        for step in (0, 1)
    }
    assert len(set(draws.values())) == 8
    assert draws[1, "b", 1] == tuple(Stream(1, "b", 1).uniform(3))


def test_what_a_seed_means_stays():
    """Numbers that programs of earlier versions drew."""
    close = {"rtol": 1e-6}
    np.testing.assert_allclose(
        Stream(0).uniform(3), [0.3480226993560791, 0.9050950407981873, 0.4500100016593933], **close
    )
    np.testing.assert_allclose(
        Stream(0).normal(3), [-0.9328526258468628, 1.3180913925170898, 1.0737559795379639], **close
    )
    assert Stream(7, "noise", 5).integers(1000, 4).tolist() == [809, 904, 311, 969]
    assert Stream(7).permutation(6).tolist() == [3, 4, 0, 5, 2, 1]
    assert Stream(0).words(2).tolist() == [0x591804BB458116C4, 0xE7B44FCD6E4AEA8D]


def test_a_seed_and_a_name_do_not_run_into_each_other():
    assert not np.array_equal(Stream(1, "1x").words(4), Stream(11, "x").words(4))


def test_draws_within_a_step_advance():
    stream = Stream(0)
    first, second = stream.uniform(8), stream.uniform(8)
    assert not np.array_equal(first, second)
    assert np.array_equal(np.concatenate([first, second]), Stream(0).uniform(16))


@pytest.mark.parametrize(
    "draw",
    [
        lambda stream, n: stream.uniform(n, dtype="float64"),
        lambda stream, n: stream.normal(n, dtype="float64"),
        lambda stream, n: stream.integers(2**32 - 1, n),
        lambda stream, n: stream.words(n),
    ],
)
def test_draws_of_any_length_do_not_overlap(draw):
    """Also those that use up less than a block of words."""
    for sizes in ((10, 10), (3, 3), (1, 9, 2), (8, 5, 5), (17, 1)):
        stream = Stream(0)
        drawn = [draw(stream, n) for n in sizes]
        assert [len(part) for part in drawn] == list(sizes)
        assert len(set(np.concatenate(drawn).tolist())) == sum(sizes), sizes


def test_uniform_goes_from_0_to_1_by_default():
    x = Stream(3).uniform(10_000, dtype="float64")
    assert 0 <= x.min() < 0.001
    assert 0.999 < x.max() < 1
    assert Stream(3).normal(10_000).mean() == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(dtype):
    x = Stream(3).uniform((200, 500), -1, 1, dtype)
    assert x.dtype == dtype
    assert x.min() >= -1
    assert x.max() < 1
    assert abs(x.mean()) < 0.01
    assert abs(x.var() - 1 / 3) < 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(dtype):
    x = Stream(3).normal((200, 501), 2.0, 3.0, dtype)
    assert x.dtype == dtype
    z = (x - 2) / 3
    assert abs(z.mean()) < 0.01
    assert abs(z.var() - 1) < 0.02
    assert abs((z**3).mean()) < 0.05
    assert abs((z**4).mean() - 3) < 0.1
    assert np.isfinite(z).all()


def test_both_widths_draw_the_same_numbers():
    for draw in ("uniform", "normal"):
        narrow, wide = getattr(Stream(5), draw)(1000), getattr(Stream(5), draw)(1000, dtype="float64")
        np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-6)


def test_integers_and_permutations():
    x = Stream(0).integers(10, 10_000)
    assert np.bincount(x).tolist() == pytest.approx([1000] * 10, rel=0.15)
    assert sorted(Stream(0).permutation(100)) == list(range(100))
    assert not np.array_equal(Stream(0).at(0).permutation(100), Stream(0).at(1).permutation(100))
    assert Stream(0).uniform(()).shape == ()
    assert Stream(0).normal((0, 3)).shape == (0, 3)
    with pytest.raises(mg.errors.ShapeError, match="got 0"):
        Stream(0).integers(0)


def test_the_default_stream():
    mg.random.seed(4)
    first = mg.nn.Linear(3, 2).weight.numpy()
    mg.random.seed(4)
    assert np.array_equal(first, mg.nn.Linear(3, 2).weight.numpy())
    assert not np.array_equal(first, mg.nn.Linear(3, 2).weight.numpy())
    outer = mg.random.default()
    with mg.random.using(Stream(9)) as inner:
        assert mg.random.default() is inner
    assert mg.random.default() is outer


def test_another_threads_stream_is_its_own():
    seen = []
    with mg.random.using(Stream(9)):
        thread = threading.Thread(target=lambda: seen.append(mg.random.default()))
        thread.start()
        thread.join()
    assert seen[0].seed != 9


def test_a_seed_counts_within_a_block_too():
    mg.random.seed(4)
    expected = mg.random.default().uniform(3)
    with mg.random.using(Stream(9)):
        mg.random.seed(4)
        assert np.array_equal(mg.random.default().uniform(3), expected)
    with mg.random.using(Stream(9)) as outer, mg.random.using(Stream(8)):
        mg.random.seed(4)
    assert mg.random.default() is not outer


def test_after_an_interrupt_anywhere_a_seed_means_the_same():
    def draw():
        with mg.random.using(Stream(9)):
            mg.random.default().uniform(3)

    mg.random.seed(4)
    expected = mg.random.default().uniform(3)
    k = 1
    while interrupted_at(draw, k, mg.random):
        mg.random.seed(4)
        assert np.array_equal(mg.random.default().uniform(3), expected), k
        k += 1
    assert k > 50


@pytest.mark.parametrize("wrong", [-1, 1 << 63, 2.5, np.nan, np.inf, "3", None, (2, -1), (2, 2.5), [[1, 2]]])
def test_a_size_that_is_none_is_named(wrong):
    stream = Stream(0)
    draws = [stream.uniform, stream.normal, lambda shape: stream.integers(9, shape)]
    for draw in draws if isinstance(wrong, tuple | list) else [*draws, stream.words, stream.permutation]:
        with pytest.raises(mg.errors.ShapeError, match=r"expected (an integer|a shape).*, got"):
            draw(wrong)
    assert np.array_equal(stream.words(4), Stream(0).words(4))  # nothing was drawn


def test_a_seed_and_a_step_are_integers():
    for wrong in (1.5, float("nan"), None, "1"):
        with pytest.raises(mg.errors.ShapeError, match=f"Stream: seed: expected an integer, got {wrong!r}"):
            Stream(wrong)
        with pytest.raises(mg.errors.ShapeError, match="seed"):
            mg.random.seed(wrong)
    for wrong in (-1, 1.5, "1", None, 1 << 63, np.float32(1)):
        with pytest.raises(mg.errors.ShapeError, match="Stream: step: expected an integer"):
            Stream(0).at(wrong)
        with pytest.raises(mg.errors.ShapeError, match="Stream: step: expected an integer"):
            Stream(0, "x", wrong)
    expected = Stream(3, "x", 5).words(4)
    for seed, step in ((np.int64(3), np.uint8(5)), (np.array(3), mg.tensor(5)), (3, np.array(5))):
        assert np.array_equal(Stream(seed, "x").at(step).words(4), expected)
    assert len(Stream(-(1 << 70)).words(2)) == 2


def test_numbers_of_numpy_are_sizes():
    for shape in (np.int64(6), np.array(6), (np.int32(2), 3), np.array([2, 3]), [2, 3]):
        assert Stream(0).uniform(shape).reshape(-1).tolist() == Stream(0).uniform(6).tolist()
        assert Stream(0).normal(shape).size == 6
    assert np.array_equal(Stream(0).integers(np.int64(9), 4), Stream(0).integers(9, 4))
    for wrong in (2.5, float("nan"), np.float64(5), "5", 0, 1 << 32):
        with pytest.raises(mg.errors.ShapeError, match="integers: high: expected an integer"):
            Stream(0).integers(wrong)


def test_only_floats_are_drawn():
    for draw in (Stream(0).uniform, Stream(0).normal):
        for wrong in ("int32", "complex64", "object", "U3", "bool", "flot"):
            with pytest.raises(mg.errors.DTypeError, match=r"^(uniform|normal): .*floats?"):
                draw(3, dtype=wrong)
        narrow = draw(999, dtype="float16")
        assert narrow.dtype == np.float16
        assert np.isfinite(narrow).all()
    np.testing.assert_allclose(Stream(0).normal(99, dtype="float16"), Stream(0).normal(99), rtol=1e-3)
