"""Optimizers: kernels against their own rule as Tensors, gradients through a step, state, averages."""

import numpy as np
import pytest

import minigan as mg
from minigan.tensor import Tensor

OPTIMIZERS = [
    (mg.optim.SGD, {"lr": 0.1}),
    (mg.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
    (mg.optim.RMSProp, {"lr": 0.1, "weight_decay": 0.1}),
    (mg.optim.RMSProp, {"lr": 0.1, "momentum": 0.9, "centered": True}),
    (mg.optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    (mg.optim.AdamW, {"lr": 0.1}),
]


def params(rng):
    last = np.ascontiguousarray(rng.standard_normal((4, 2, 2, 3))).transpose(0, 3, 1, 2)  # channels-last memory
    arrays = (rng.standard_normal((5, 3)), last, rng.standard_normal(7), rng.standard_normal((300, 1000)))
    return [Tensor(a.copy(order="K")) for a in arrays]


@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_kernel_is_the_rule(make, options, rng):
    moved = params(rng)
    followed = [Tensor(p.data.copy()) for p in moved]
    optimizer, twin = make(moved, **options), make(followed, **options)
    slots = None
    for t in range(1, 6):
        grads = [Tensor(rng.standard_normal(p.shape)) for p in moved]
        optimizer.step(grads)
        if slots is None:
            slots = twin.slots
        followed, slots = twin.functional_step(followed, grads, slots, t)
    for a, b in zip(moved, followed, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(optimizer.slots, slots, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_gradients_flow_through_a_step(make, options, rng):
    p, g = Tensor(rng.standard_normal(4)), Tensor(rng.standard_normal(4) + 3)
    optimizer = make([p], **options)
    optimizer.step([Tensor(rng.standard_normal(4))])

    def after(p, g):
        return optimizer.functional_step([p], [g])[0][0]

    mg.testing.gradcheck(after, [p, g], rtol=1e-5)


@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_gradients_flow_through_a_step_past_elements_without_gradient(make, options):
    p = Tensor(np.array([1.0, 2.0]))
    optimizer = make([p], **options)
    g = p * Tensor(np.array([0.0, 3.0]))  # the first element never had a gradient
    (moved,), _ = optimizer.functional_step([p], [g])
    assert np.isfinite(mg.grad(mg.sum(moved), p).numpy()).all()


@pytest.mark.parametrize("functional", [False, True])
def test_centred_rmsprop_survives_gradients_that_hardly_vary(functional, rng):
    """E g^2 - (E g)^2 is then all rounding, of either sign: no step is longer than half a unit of it allows."""
    constant = np.array([0.1, 0.7, 3.0] * 2, "float32")
    noise = np.array([0, 0, 0, 1e-5, 1e-5, 1e-5], "float32") * constant
    p = mg.zeros(6)
    optimizer = mg.optim.RMSProp([p], 1e-3, centered=True)
    slots = optimizer.slots
    for t in range(1, 1701):
        before = p.numpy()
        g = Tensor(constant + noise * rng.standard_normal(6).astype("float32"))
        if functional:
            (p,), slots = optimizer.functional_step([p], [g], slots, t)
        else:
            optimizer.step([g])
        assert (abs(p.numpy() - before) < 1.1e-3 * 2**12).all()


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(("size", "dtype"), [(3, "float32"), (3, "float64"), (300_000, "float32")])
@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_a_gradient_too_large_to_square_leaves_no_nan(make, options, dtype, size):
    largest = float(np.finfo(dtype).max)
    for first in (np.inf, -np.inf, largest, largest**0.6):
        p = mg.ones(size, dtype=dtype)
        optimizer, twin = make([p], **options), make([mg.ones(size, dtype=dtype)], **options)
        q, slots = mg.ones(size, dtype=dtype), twin.slots
        sums = make is mg.optim.SGD  # which squares and divides nothing: a second such gradient makes its sum infinite
        for t, value in enumerate((first,) if sums else (first, 1.0, -first, 1.0), 1):
            g = mg.full((size,), value, dtype)
            optimizer.step([g])
            (q,), slots = twin.functional_step([q], [g], slots, t)
            assert not np.isnan(p.numpy()).any()
            np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-5)
        assert sums or abs(p.numpy()).max() < 2  # steps as long as for any gradient, or none


def test_a_gradient_that_is_nan_is_not_hidden():
    for make, options in OPTIMIZERS:
        p = mg.ones(3)
        make([p], **options).step([mg.tensor([1.0, np.nan, 1.0])])
        assert np.isnan(p.numpy()).tolist() == [False, True, False]


def test_large_parameters_are_updated_in_blocks_as_small_ones_are(rng):
    big = rng.standard_normal((1100, 1000))
    grad = rng.standard_normal((1000, 1100)).T  # another memory order than the parameter's
    p, q = Tensor(big.copy()), Tensor(big[:2].copy())
    mg.optim.Adam([p]).step([Tensor(grad)])
    mg.optim.Adam([q]).step([Tensor(grad[:2].copy())])
    np.testing.assert_allclose(p.numpy()[:2], q.numpy(), rtol=1e-13)


def test_minimize_finds_the_minimum():
    x = mg.tensor([5.0, -3.0])
    optimizer = mg.optim.Adam([x], lr=0.1)
    for _ in range(500):
        optimizer.minimize(mg.sum(mg.square(x - mg.tensor([1.0, 2.0]))))
    np.testing.assert_allclose(x.numpy(), [1, 2], atol=1e-3)
    assert optimizer.t.item() == 500


def test_the_step_bumps_versions_and_names_itself():
    net = mg.nn.Linear(2, 1)
    x = mg.ones((3, 2))
    hidden = net(x)
    loss = mg.mean(hidden)
    mg.optim.Adam(net.parameters()).minimize(loss)
    with pytest.raises(mg.errors.GraphError, match=r"linear: weight was changed in place by Adam\.step"):
        mg.grad(loss, x)


@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_one_that_is_restarted_steps_as_a_new_one(make, options, rng):
    moved = params(rng)
    optimizer = make(moved, **options)
    for _ in range(3):
        optimizer.step([Tensor(rng.standard_normal(p.shape)) for p in moved])
    optimizer.restart()
    followed = [Tensor(p.data.copy(order="K")) for p in moved]
    new = make(followed, **options)
    for _ in range(2):
        grads = [Tensor(rng.standard_normal(p.shape)) for p in moved]
        for each in (optimizer, new):
            each.step(grads)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(moved, followed, strict=True))
    assert optimizer.t.item() == new.t.item() == 2


def test_state_dict_round_trip(rng):
    a, b = params(rng), params(rng)
    first, second = mg.optim.Adam(a, lr=0.3), mg.optim.Adam(b)
    first.step([mg.ones_like(p) for p in a])
    second.load_state_dict({k: v.numpy() for k, v in first.state_dict().items()})
    assert second.lr == 0.3
    assert second.t.item() == 1
    assert list(first.state_dict())[:4] == ["lr", "t", "exp_avg.0", "exp_avg_sq.0"]
    for k, v in first.state_dict().items():
        assert np.array_equal(v.numpy(), second.state_dict()[k].numpy())
    with pytest.raises(mg.errors.CheckpointError, match=r"load_state_dict of Adam: exp_avg\.0 has shape"):
        second.load_state_dict({k: v.numpy()[..., :1] if v.ndim else v for k, v in first.state_dict().items()})
    with pytest.raises(mg.errors.CheckpointError, match="momentum"):
        second.load_state_dict({"momentum": np.zeros(1), **first.state_dict()})
    before = {k: v.numpy() for k, v in second.state_dict().items()}
    bad = {**{k: v + 1 for k, v in before.items()}, "exp_avg_sq.3": np.full((300, 1000), 1j)}
    with pytest.raises(mg.errors.CheckpointError, match=r"exp_avg_sq\.3 is of complex128, expected float64"):
        second.load_state_dict(bad)
    assert all(np.array_equal(before[k], v.numpy()) for k, v in second.state_dict().items())


def test_schedules_are_functions_of_the_step():
    optimizer = mg.optim.SGD([mg.ones(1)], lr=2.0)
    schedule = mg.optim.Schedule(optimizer, mg.optim.linear(1.0, 0.0, 10))
    for step, expected in [(0, 2.0), (5, 1.0), (10, 0.0), (99, 0.0), (5, 1.0)]:
        schedule.set(step)
        assert optimizer.lr == pytest.approx(expected)
    assert mg.optim.constant()(7) == 1
    for step in (10, 15, 20):
        assert mg.optim.cosine(10, floor=0.2)(step) == pytest.approx(0.2)


def test_ema():
    net = mg.nn.BatchNorm1d(2)
    assert mg.optim.EMA(net).decay == 0.999
    ema = mg.optim.EMA(net, 0.75)
    net.weight.copy_(mg.tensor([5.0, 9.0]))
    net.running_mean.copy_(mg.tensor([1.0, 1.0]))
    ema.update()
    assert ema.parameters()["weight"].numpy().tolist() == [2, 3]
    assert ema.state_dict()["running_mean"].numpy().tolist() == [1, 1]
    assert net.weight.numpy().tolist() == [5, 9]


def test_an_average_says_that_its_module_has_changed():
    net = mg.nn.Sequential(mg.nn.Linear(1, 1, bias=False))
    ema = mg.optim.EMA(net)
    mg.nn.spectral_norm(net[0])
    with pytest.raises(mg.errors.ShapeError, match=r"EMA\.update: 0\.weight, 0\.weight_orig, 0\.weight_u, 0"):
        ema.update()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.optim.SGD([]), "the list of parameters is empty"),
        (lambda: mg.optim.SGD([mg.ones(1)] * 2), "listed twice"),
        (lambda: mg.optim.Adam([mg.ones(1)], lr=-1), "learning rate: .* >= 0, got -1"),
        (lambda: mg.optim.Adam([mg.ones(1)], lr=float("nan")), "got nan"),
        (lambda: mg.optim.Adam([mg.ones(1)], betas=(1.0, 0.9)), "beta1: .* >= 0 and < 1, got 1.0"),
        (lambda: mg.optim.AdamW([mg.ones(1)], betas=(0.5,)), r"AdamW: expected two betas, got \(0.5,\)"),
        (lambda: mg.optim.Adam([mg.ones(1)], betas=0.5), "Adam: expected two betas, got 0.5"),
        (lambda: mg.optim.Adam([mg.ones(1)], betas=("0", "1")), "beta1: expected a finite number .*, got '0'"),
        (lambda: mg.optim.SGD([mg.ones(1)], nesterov=True), "needs a momentum"),
        (lambda: mg.optim.SGD([mg.ones(1)]).step([]), "1 parameters, 0 gradients"),
        (lambda: mg.optim.SGD([mg.ones(1)]).step([mg.ones(2)]), r"is \(1,\) float32, gradient \(2,\) float32"),
        (lambda: mg.optim.EMA(mg.nn.Linear(1, 1), 1.0), "decay: .* >= 0 and < 1"),
        (lambda: mg.optim.linear(1.0, 0.0, 0), "linear: total_steps: expected a finite number >= 1, got 0"),
        (lambda: mg.optim.cosine(0), "cosine: total_steps: expected a finite number >= 1, got 0"),
        (lambda: mg.optim.step_decay(0), "step_decay: step_size: expected a finite number >= 1, got 0"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda net, loss: mg.optim.Adam(net),
            r"Adam: expected a list of Tensors as parameters, got a Linear; give its ",
        ),
        (lambda net, loss: mg.optim.Adam(1e-3, net.parameters()), "Adam: .* as parameters, got 0.001"),
        (lambda net, loss: mg.optim.SGD(net.named_parameters()), "SGD: .* got a tuple as item 0"),
        (lambda net, loss: mg.optim.SGD([{"params": net.parameters()}]), "SGD: .* got a dict as item 0"),
        (lambda net, loss: mg.optim.RMSProp(net.state_dict()), r"RMSProp: .* got a dict; give its \.values"),
        (lambda net, loss: mg.optim.SGD(net.parameters()).step(net), "SGD.step: .* as gradients, got a Linear"),
        (lambda net, loss: mg.optim.SGD(net.parameters()).step([1.0, 2.0]), "SGD.step: .* got 1.0 as item 0"),
        (lambda net, loss: mg.optim.SGD(net.parameters()).minimize(1.0), "grad: expected y, .* got 1.0"),
        (lambda net, loss: mg.optim.EMA(net.parameters()), "EMA: expected a Module, got a list"),
    ],
)
def test_parameters_and_gradients_are_lists_of_tensors(call, message):
    net = mg.nn.Linear(2, 1)
    with pytest.raises(mg.errors.DTypeError, match=message):
        call(net, mg.sum(net(mg.ones((1, 2)))))


def test_a_loss_is_told_from_its_gradients():
    net = mg.nn.Linear(2, 1)
    with pytest.raises(mg.errors.ShapeError, match=r"2 parameters, 1 gradients; minimize\(loss\) takes a loss"):
        mg.optim.SGD(net.parameters()).step(mg.sum(net(mg.ones((1, 2)))))


def _set_lr(value):
    mg.optim.Adam([mg.ones(1)]).lr = value


NUMBERS = {  # what is given a number, and the least that is too much
    "SGD lr": (lambda v: mg.optim.SGD([mg.ones(1)], v), np.inf),
    "SGD momentum": (lambda v: mg.optim.SGD([mg.ones(1)], momentum=v), 1.0),
    "SGD weight_decay": (lambda v: mg.optim.SGD([mg.ones(1)], weight_decay=v), np.inf),
    "RMSProp alpha": (lambda v: mg.optim.RMSProp([mg.ones(1)], alpha=v), 1.0),
    "RMSProp eps": (lambda v: mg.optim.RMSProp([mg.ones(1)], eps=v), np.inf),
    "RMSProp weight_decay": (lambda v: mg.optim.RMSProp([mg.ones(1)], weight_decay=v), np.inf),
    "RMSProp momentum": (lambda v: mg.optim.RMSProp([mg.ones(1)], momentum=v), 1.0),
    "Adam beta1": (lambda v: mg.optim.Adam([mg.ones(1)], betas=(v, 0.9)), 1.0),
    "Adam beta2": (lambda v: mg.optim.Adam([mg.ones(1)], betas=(0.9, v)), 1.0),
    "Adam eps": (lambda v: mg.optim.Adam([mg.ones(1)], eps=v), np.inf),
    "Adam weight_decay": (lambda v: mg.optim.Adam([mg.ones(1)], weight_decay=v), np.inf),
    "AdamW weight_decay": (lambda v: mg.optim.AdamW([mg.ones(1)], weight_decay=v), np.inf),
    "Adam learning rate": (_set_lr, np.inf),
    "EMA decay": (lambda v: mg.optim.EMA(mg.nn.Linear(1, 1), v), 1.0),
    "step_decay gamma": (lambda v: mg.optim.step_decay(1, v), np.inf),
    "exponential_decay gamma": (lambda v: mg.optim.exponential_decay(v), np.inf),
    "linear start": (lambda v: mg.optim.linear(v, 0.0, 1), np.inf),
    "linear end": (lambda v: mg.optim.linear(0.0, v, 1), np.inf),
    "cosine floor": (lambda v: mg.optim.cosine(1, v), np.inf),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_range_is_refused_where_it_is_given(name):
    give, too_much = NUMBERS[name]
    give(0.0)
    for value in (-1e-9, too_much, np.nan):
        with pytest.raises(mg.errors.ShapeError, match=rf"{name.split()[0]}: .*expected .* got .*{value}"):
            give(value)


def test_a_schedule_cannot_set_a_rate_that_is_none():
    optimizer = mg.optim.Adam([mg.ones(1)], 0.1)
    with pytest.raises(mg.errors.ShapeError, match=r"Adam: learning rate: expected a finite number >= 0, got -0\.1"):
        mg.optim.Schedule(optimizer, lambda step: -1.0).set(3)
    assert optimizer.lr == 0.1


def test_an_average_with_a_ramp_is_at_first_as_young_as_the_run():
    """Its half-life is a share of the updates so far: after ten of a share of 0.5, five updates."""
    net = mg.nn.Linear(1, 1, bias=False).to(dtype="float64")
    ema, expected = mg.optim.EMA(net, 0.9, ramp=0.5), net.weight.numpy()
    for t in range(1, 31):
        net.weight.data[...] = t
        ema.update()
        decay = min(0.9, 0.5 ** (1 / (0.5 * t)))
        expected = decay * expected + (1 - decay) * t
        np.testing.assert_allclose(ema.shadow["weight"].numpy(), expected, rtol=1e-12)
    assert decay == 0.9  # since the 14th
    assert ema.state_dict()["updates"].item() == 30
    again = mg.optim.EMA(net, 0.9, ramp=0.5)
    again.load_state_dict(ema.state_dict())
    for one in (ema, again):
        one.update()
    np.testing.assert_array_equal(again.shadow["weight"].numpy(), ema.shadow["weight"].numpy())
    assert "updates" not in mg.optim.EMA(net, 0.9).state_dict()
    with pytest.raises(mg.errors.ShapeError, match="EMA: ramp"):
        mg.optim.EMA(net, 0.9, ramp=-1)


def test_a_course_knows_its_length_when_it_is_told_and_rises_at_first():
    optimizer = mg.optim.SGD([mg.zeros(2)], 0.5)
    course = mg.optim.Course(optimizer, lambda n: mg.optim.linear(1.0, 0.0, n), warmup=4)

    def rates(steps):
        found = []
        for step in steps:
            course.set(step)
            found.append(optimizer.lr)
        return found

    assert rates([0, 1, 3, 9]) == [0.125, 0.25, 0.5, 0.5]  # of a run without end
    course.lasts(10)
    np.testing.assert_allclose(rates([0, 3, 5, 9, 10, 99]), [0.125, 0.35, 0.25, 0.05, 0.0, 0.0])
    with pytest.raises(mg.errors.ShapeError, match="linear: end: expected a finite number >= 0, got -1"):
        mg.optim.Course(optimizer, lambda n: mg.optim.linear(1.0, -1.0, n))  # before a run's length is known
    for steps, warmup in ((0, 0), (5, -1)):
        with pytest.raises(mg.errors.ShapeError, match=r"Course: (steps|warmup): expected an integer"):
            mg.optim.Course(optimizer, mg.optim.cosine, warmup).lasts(steps)
