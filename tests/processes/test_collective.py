"""Ops over processes: values and derivatives to third order, on ranks that are threads."""

import numpy as np
import pytest
from op_table import over

from minigan import ops, processes
from minigan.errors import MiniganError, ProcessError, ShapeError
from minigan.grad import grad
from minigan.processes import ALONE, Part, Threads
from minigan.tensor import Tensor

ROWS = [(name, k) for name, rows in over(ALONE).items() for k, row in enumerate(rows) if row.differentiable]


def test_values(rng):
    x = rng.standard_normal((3, 4, 2))

    def of_rank(group):
        with processes.using(group):
            mine = Tensor(x[group.rank])
            return [f(mine).numpy() for f in (ops.all_sum, ops.all_mean, ops.all_gather, lambda t: ops.broadcast(t, 1))]

    for total, mean, rows, second in Threads(3).run(of_rank):
        np.testing.assert_allclose(total, x.sum(0), rtol=1e-15)
        np.testing.assert_allclose(mean, x.mean(0), rtol=1e-15)
        assert np.array_equal(rows, x.swapaxes(0, 1).reshape(12, 2)), "dealt out in turn"
        assert np.array_equal(second, x[1])


def test_who_is_alone_gets_his_argument_back(rng):
    x = Tensor(rng.standard_normal((3, 4)))
    assert all(f(x) is x for f in (ops.all_sum, ops.all_mean, ops.all_gather, ops.broadcast))
    (same,) = ops.averaged([x])
    assert same is x


def test_statistics_of_a_batch(rng):
    x = rng.standard_normal((12, 3)) * 4

    def of_rank(group):
        with processes.using(group):
            mine = Tensor(processes.part().take(x))
            return [f(mine).numpy() for f in (ops.batch_mean, ops.batch_var, ops.batch_logsumexp)]

    for found in Threads(4).run(of_rank):
        np.testing.assert_allclose(found, [x.mean(), x.var(), np.log(np.exp(x).sum())], rtol=1e-14)


def test_averaged_gradients_in_one_message_of_each_type(rng):
    values = {"float64": rng.standard_normal((2, 3, 2)), "float32": rng.standard_normal((2, 5)).astype("float32")}

    def of_rank(group):
        sums = []
        with processes.using(group):
            plain, group.sum = group.sum, lambda array: sums.append(array.dtype) or plain(array)
            a, b = (Tensor(v[group.rank]) for v in values.values())
            found = ops.averaged([a, b, a * 2])
        return [t.numpy() for t in found], sums

    for (a, b, twice), sums in Threads(2).run(of_rank):
        np.testing.assert_allclose(a, values["float64"].mean(0))
        np.testing.assert_allclose(b, values["float32"].mean(0), rtol=1e-6)
        np.testing.assert_allclose(twice, 2 * a)
        assert (b.dtype, sums) == (np.float32, [np.float64, np.float32])


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize(("name", "k"), ROWS)
def test_derivatives_to_third_order(name, k, ranks, rng):
    """d / dv of the mean over ranks of what each computes, three times; each against a finite difference."""
    arrays = [over(ALONE)[name][k].make(np.random.default_rng(r)) for r in range(ranks)]
    ways = [[rng.standard_normal(a.shape) for a in of_rank] for of_rank in arrays]
    weights = [None] * ranks

    def derivatives(moved, order):
        """[value, first derivative, ...] of the mean over ranks at arrays + moved ways."""

        def of_rank(group):
            r = group.rank
            with processes.using(group):
                xs = [Tensor(a + moved * way) for a, way in zip(arrays[r], ways[r], strict=True)]
                y = over(group)[name][k].fn(*xs)
                if weights[r] is None:
                    weights[r] = np.random.default_rng(9 + r).standard_normal(y.shape)
                value = ops.sum(ops.sin(y) * Tensor(weights[r]))
                found = [ops.all_mean(value.detach()).item()]
                for _ in range(order):
                    slopes = grad(value, xs, create_graph=True)
                    value = ops.sum(
                        ops.stack([ops.sum(g * Tensor(way)) for g, way in zip(slopes, ways[r], strict=True)])
                    )
                    found.append(ops.all_mean(value.detach()).item())
                return found

        results = Threads(ranks).run(of_rank)
        assert all(found == results[0] for found in results)
        return results[0]

    exact, step = derivatives(0.0, 3), 1e-5
    ahead, behind = derivatives(step, 2), derivatives(-step, 2)
    slopes = [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
    scale = max(abs(v) for v in exact)
    np.testing.assert_allclose(exact[1:], slopes, atol=1e-6 * scale, rtol=1e-6)


def test_synchronised_batch_norm_is_that_of_the_whole_batch(rng):
    x, w, b, cotangent = (rng.standard_normal(s) for s in ((12, 5, 3, 2), (5,), (5,), (12, 5, 3, 2)))
    whole = [Tensor(a) for a in (x, w, b)]
    y, mean, r = ops.batch_norm(*whole, 1e-3)
    expected = grad(ops.sum(y * Tensor(cotangent)), whole)

    def of_rank(group):
        with processes.using(group):
            part = processes.part()
            mine = [Tensor(part.take(x)), *whole[1:]]
            y, mean, r = ops.sync_batch_norm(*mine, 1e-3)
            slopes = grad(ops.sum(y * Tensor(part.take(cotangent))), mine)
            return part, y, mean, r, slopes[0], ops.averaged(slopes[1:])

    for part, mine, its_mean, its_r, of_x, of_weights in Threads(4).run(of_rank):
        for found, wanted in (mine, part.take(y)), (its_mean, mean), (its_r, r), (of_x, part.take(expected[0])):
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-13)
        for found, wanted in zip(of_weights, expected[1:], strict=True):
            np.testing.assert_allclose(4 * found.numpy(), wanted.numpy(), atol=1e-13)


def test_statistics_in_float32_are_as_exact_as_on_one_process(rng):
    x = (1000 + rng.standard_normal((64, 3))).astype("float32")
    exact = 1 / np.sqrt(x.astype("float64").var(0) + 1e-5)

    def of_rank(group):
        with processes.using(group):
            return ops.sync_channel_norm(Tensor(processes.part().take(x)), 1e-5)[2].numpy()

    for r in Threads(4).run(of_rank):
        np.testing.assert_allclose(r.reshape(-1), exact, rtol=1e-4)


def test_ranks_that_meet_in_different_calls_are_told():
    def of_rank(group):
        with processes.using(group):
            x = Tensor(np.ones((2, 2 + group.rank)))
            return ops.all_sum(x)

    with pytest.raises(ProcessError, match=r"different calls: sum of float64 \(2, 2\), sum of float64 \(2, 3\)"):
        Threads(2).run(of_rank)


def test_an_error_of_one_rank_ends_the_others():
    def of_rank(group):
        if group.rank == 1:
            raise KeyError("mine")
        return group.same(1)

    with pytest.raises(KeyError, match="mine"):
        Threads(3).run(of_rank)


def test_parts():
    rows = np.arange(12)
    assert np.array_equal(Part(1, 4).take(rows), [1, 5, 9])
    assert np.array_equal(Part(1, 2).split(1, 3).take(rows), [3, 9])
    assert Part().take(rows) is rows
    with pytest.raises(ShapeError, match="a batch of 10 does not split into 4 equal parts: take 8 or 12"):
        Part(0, 4).take(np.arange(10))
    with pytest.raises(ShapeError, match=r"3 equal parts: take 3$"):
        Part(0, 3).take(np.arange(2))


@pytest.mark.parametrize(
    "call", [lambda: Threads(0), lambda: ops.broadcast(Tensor(np.ones(2)), 1), lambda: ops.all_gather(1.0)]
)
def test_what_is_refused(call):
    with pytest.raises(MiniganError, match="expected"):
        call()
