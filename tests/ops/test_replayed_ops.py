"""Every op of the table, with its gradients to second order, replayed: what it is when it is played."""

import warnings

import numpy as np
import pytest
from op_table import ROWS, TABLE

import minigan as mg
from minigan.capture import WARM_UP
from minigan.grad import depends_on
from minigan.tensor import Tensor

# an array of indices that the row makes anew at each call is what no replay can know
OF_NEW_INDICES = {("getitem", 1), ("getitem", 2), ("getitem_adjoint", 0)}
OF_FLOAT64 = {"max_pool_grad", "max_pool_take", "astype"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "k"), [row for row in ROWS if row not in OF_NEW_INDICES])
def test_an_op_and_its_gradients_are_replayed_to_the_bit(name, k, dtype, rng):
    if dtype == "float32" and name in OF_FLOAT64:
        return
    row = TABLE[name][k]

    def step(*xs):
        results = [row.fn(*xs)]
        for _ in range(2 if row.differentiable else 0):
            y = sum(mg.sum(r * r) for r in results)
            if depends_on(y, list(xs)):
                results += mg.grad(y, list(xs), create_graph=True)
        return results

    captured = mg.capture(step)
    for _ in range(WARM_UP + 4):
        inputs = [Tensor(a.astype(dtype)) for a in row.make(rng)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, expected = captured(*inputs), step(*inputs)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert captured.graph is not None
