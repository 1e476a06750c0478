"""Random programs by minigan and by PyTorch: values, first and second gradients, infinities and NaN in their places."""

import numpy as np
import pytest
from parity import one_thread, torch  # noqa: F401  a fixture
from program_parity import differences
from programs import Program, Uncomputable, program, shrunken

import minigan as mg

array, nan, inf = np.array, np.nan, np.inf  # as a program prints its inputs

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore:.*:UserWarning:torch")]


def disagreements(seeds, dtype="float64", edges=False):
    """What to print about the programs of these seeds on which the two disagree, each cut down."""
    shown = []
    for seed in seeds:
        try:
            p = program(seed, dtype, edges)
        except Uncomputable as refused:
            shown.append(str(refused))
            continue
        if p.inputs and differences(p):
            p = shrunken(p, differences)
            shown.append("\n".join([f"seed {seed}: {p}", *differences(p)]))
    return shown


def agree(seeds, dtype="float64", edges=False):
    shown = disagreements(seeds, dtype, edges)
    assert not shown, "\n\n".join(shown)


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_random_programs(first):
    agree(range(first, first + 100))


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_random_programs_at_zeros_ties_infinities_and_nan(first):
    agree(range(first, first + 100), edges=True)


def test_random_programs_in_single_precision():
    agree(range(100), "float32")


TIERS = {"slow": range(10_000, 13_000, 1000), "long": range(13_000, 20_000, 1000)}


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("first", [pytest.param(n, marks=getattr(pytest.mark, t)) for t in TIERS for n in TIERS[t]])
def test_many_random_programs(first, edges):
    dtype = "float32" if first == 19_000 and not edges else "float64"
    agree(range(first, first + 1000), dtype, edges)


def test_a_difference_is_found_and_cut_down(monkeypatch):
    rule = mg.op.OPS["tanh"].rules[0]
    monkeypatch.setattr(mg.op.OPS["tanh"], "rules", (lambda g, y, x: rule(g, y, x) * 1.00001,))
    shown = disagreements(range(60))
    assert shown
    assert all(text.count("mg.") == 1 and "mg.tanh(" in text and "first gradient of" in text for text in shown)
    monkeypatch.undo()
    p = Program({"x0": array([2.0])}, {"v0": ("mg.tanh(x0)", "torch.tanh(x0)")}, ["v0"])
    assert differences(p) == []


# --- where the two differ on purpose: each convention once ----------------------------------------------------

CONVENTIONS = {  # minigan, PyTorch, the input, the gradients of both
    "relu is flat at NaN": ("mg.relu(x)", "torch.relu(x)", [nan, 1.0], [0, 1], [1, 1]),
    "what lost to the largest gets 0, whatever the gradient": (
        "mg.sqrt(mg.max(x, 0))",
        "torch.sqrt(torch.amax(x, 0))",
        [0.0, -1.0],
        [inf, 0],
        [inf, nan],
    ),
    "a slope of 0 is no multiplication": (
        "mg.sqrt(mg.leaky_relu(x, 0.0))",
        "torch.sqrt(F.leaky_relu(x, 0.0))",
        [-1.0, 4.0],
        [0, 0.25],
        [nan, 0.25],
    ),
    "the power 0 hands nothing on": (
        "mg.rsqrt(x) ** 0",
        "torch.rsqrt(x) ** 0",
        [0.0],
        [0],
        [nan],
    ),
    "an exponent's gradient at the base 0 is 0, whatever the gradient": (
        "mg.sqrt(mg.power(mg.tensor(np.zeros(1)), x))",
        "torch.sqrt(torch.pow(torch.zeros(1, dtype=torch.float64), x))",
        [2.0],
        [0],
        [nan],
    ),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_conventions(name):
    ours, theirs, values, wanted, pytorchs = CONVENTIONS[name]
    x, t = mg.tensor(np.array(values)), torch.tensor(values, dtype=torch.float64, requires_grad=True)
    with np.errstate(all="ignore"):
        found = mg.grad(mg.sum(eval(ours)), x).numpy()
    reference = torch.autograd.grad(eval(theirs, {"torch": torch, "F": torch.nn.functional, "x": t}).sum(), t)[0]
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(reference.numpy(), pytorchs)


def test_the_second_derivative_of_elu_at_0():
    """alpha, from the left as its first derivative is; PyTorch's is 0 there."""
    x = mg.tensor(np.zeros(1))
    first = mg.grad(mg.elu(x, 0.5), x, create_graph=True)
    assert mg.grad(first, x).item() == 0.5
