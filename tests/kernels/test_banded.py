"""Banded maps: what blocks hold of a matrix, what a device is given of it once, and products by them."""

import fakecupy
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.kernels import cpu
from minigan.kernels.banded import Banded


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 60), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_blocks_and_products_are_those_of_the_dense_matrix(out, size, count, height, seed):
    rng = np.random.default_rng(seed)
    rows, columns, weights = rng.integers(0, out, count), rng.integers(0, size, count), rng.standard_normal(count)
    dense = np.zeros((out, size))
    np.add.at(dense, (rows, columns), weights)
    m = Banded((out, size), rows, columns, weights)
    put_together = np.zeros_like(dense)
    for of_rows, of_columns, w in m.blocks(dense, height):
        put_together[of_rows, of_columns] = w
    np.testing.assert_allclose(put_together, dense, atol=1e-12)
    x = rng.standard_normal((2, size, 3))
    np.testing.assert_allclose(cpu.banded(m, x), dense @ x, atol=1e-12)
    np.testing.assert_allclose(cpu.banded(m.transposed, dense @ x), dense.T @ (dense @ x), atol=1e-11)


def test_what_is_given_to_a_device_or_in_a_type_is_kept():
    m = Banded((2, 3), np.array([0, 1]), np.array([0, 2]), np.array([1.0, 2.0]))
    narrow = np.zeros((1, 3, 1), "float32")
    assert m.blocks(narrow, 16) is m.blocks(narrow, 16)
    assert m.blocks(narrow, 16)[0][2].dtype == np.float32
    assert m.blocks(narrow.astype("float64"), 16)[0][2].dtype == np.float64


def test_a_captured_step_on_the_stand_in_resizes_and_filters(monkeypatch, rng):
    fakecupy.install(monkeypatch)
    layer = mg.nn.Sequential(mg.nn.Upsample((70, 9), mode="bilinear"), mg.nn.Blur(down=2), mg.nn.ReflectionPad2d(1))

    def step(x):
        return mg.grad(mg.sum(mg.sin(layer(x))), x)

    captured = mg.capture(step)
    for _ in range(6):
        x = mg.tensor(rng.standard_normal((2, 3, 8, 8)))
        found = captured(x.to("cuda"))
        assert found.device == "cuda"
        np.testing.assert_allclose(found.numpy(), step(x).numpy(), rtol=1e-10, atol=1e-12)
    assert captured.graph is not None
