"""What a replay calls instead of a kernel: the same numbers, to the bit, and no C function whose arrays may differ."""

import numpy as np
import pytest

import minigan as mg
from minigan.kernels import cpu, kernels, library
from minigan.kernels.prebound import prebound, traced

EDGES = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan, 88.0, -88.0, 1e-40, 1e30, -3.25], "float32")


def bits(x):
    return np.ascontiguousarray(x).view(f"u{x.itemsize}")


def arrays(shape, count, seed=0):
    rng = np.random.default_rng(seed)
    made = [rng.standard_normal(shape).astype("float32") for _ in range(count)]
    for x in made:
        flat = x.reshape(-1)
        flat[: len(EDGES)] = rng.permutation(EDGES)[: len(flat)]
    return made


CALLS = {
    **{
        f"arithmetic {name}": ("arithmetic", lambda a, b, name=name: (name, a, b))
        for name in ("add", "multiply", "divide")
    },
    "arithmetic with a number": ("arithmetic", lambda a, b: ("subtract", 0.5, a)),
    **{f"function {n}": ("function", lambda a, b, n=n: (n, a)) for n in ("exp", "tanh", "negative")},
    "sum": ("sum", lambda a, b: (a, tuple(range(a.ndim)), False)),
    "leaky_relu": ("leaky_relu", lambda a, b: (a, 0.2)),
    "relu": ("leaky_relu", lambda a, b: (a, 0.0)),
    "steep leaky_relu": ("leaky_relu", lambda a, b: (a, 1.5)),
    "leaky_relu_grad": ("leaky_relu_grad", lambda a, b: (a, b, 0.2)),
    "relu_grad": ("leaky_relu_grad", lambda a, b: (a, b, 0.0)),
    "softplus": ("softplus", lambda a, b: (a,)),
    "sigmoid": ("sigmoid", lambda a, b: (a,)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shape", [(), (3,), (7, 5), (33, 65), (2, 3, 4, 5)])
@pytest.mark.parametrize(("name", "arguments"), CALLS.values(), ids=CALLS)
def test_what_is_bound_gives_what_the_kernel_gives_for_new_values_too(name, arguments, shape):
    a, b = arrays(shape, 2)
    function = getattr(kernels(a), name)
    args = arguments(a, b)
    target = np.empty_like(np.asarray(function(*args)))
    run = prebound(function, args, target)
    assert run is not None
    for seed in (0, 1):
        a[...], b[...] = arrays(shape, 2, seed)
        run()
        assert np.array_equal(bits(target), bits(np.asarray(function(*args))))


@pytest.mark.parametrize("bias", [False, True])
def test_small_products_are_bound_and_large_ones_are_not(bias):
    x, w, b = (np.random.default_rng(0).standard_normal(s).astype("float32") for s in ((16, 8), (5, 8), (5,)))
    args = (x, w, b) if bias else (x, w)
    target = np.empty((16, 5), "float32")
    prebound(cpu.linear, args, target)()
    assert np.array_equal(target, cpu.linear(*args))
    large = np.zeros((512, 512), "float32")
    assert prebound(cpu.linear, (large, large), np.empty((512, 512), "float32")) is None


def test_functions_that_are_no_kernels_are_called_as_they_are():
    def arithmetic(name, a, b):
        return a

    x = np.ones(3, "float32")
    assert prebound(arithmetic, ("add", x, x), np.empty(3, "float32")) is None


@pytest.mark.skipif(library.find() is None, reason="needs compiled kernels")
def test_a_kernel_that_is_one_call_of_c_becomes_that_call_unless_it_made_a_copy():
    from minigan.kernels import compiled, portable

    def update_of(g):
        p, lr = np.ones((40, 50), "float32"), np.array(0.5)
        options = {"lr": lr, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}

        def run():
            compiled.update(portable.sgd, [(p, g)], **options)

        return p, traced("update", run, [p, g, lr]), run

    g = np.ones((40, 50), "float32")
    p, again, run = update_of(g)
    assert again is not run
    g[...] = 3
    again()
    assert (p == 1 - 0.5 - 1.5).all()
    for other in (g.T.copy().T, np.broadcast_to(np.float32(1), (40, 50))):  # C is given a copy of it
        p, again, run = update_of(other)
        assert again is run
    assert mg.get_num_threads() >= 1
