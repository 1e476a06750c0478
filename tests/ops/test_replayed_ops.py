"""Every row of the op table in a captured step: a replay gives what the op and its gradient give, to the bit."""

import numpy as np
import pytest
from op_table import ROWS, TABLE

import minigan as mg
from minigan.tensor import Tensor

NOT_REPLAYED = [("getitem", 1), ("getitem", 2), ("getitem_adjoint", 0)]  # their index is an array of the step's own


@pytest.mark.parametrize(("name", "k"), [row for row in ROWS if row not in NOT_REPLAYED])
def test_a_replay_is_the_op(name, k, rng):
    row = TABLE[name][k]
    arrays, others = row.make(rng), row.make(rng)

    def step(*xs):
        y = row.fn(*xs)
        return [y, *mg.grad(mg.sum(mg.sin(y)), list(xs))] if row.differentiable else [y]

    expected = [y.numpy() for y in step(*map(Tensor, others))]
    captured = mg.capture(step)
    for _ in range(7):
        captured(*(Tensor(a.copy()) for a in arrays))
    assert captured.graph is not None
    found = captured(*(Tensor(a.copy()) for a in others))  # what is left in memory is not theirs
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
