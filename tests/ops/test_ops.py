"""Every op: its gradients to second order, its values against NumPy, on shapes that hypothesis draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_table import BINARY, ROWS, TABLE, UNARY, draw

import minigan as mg
from minigan.op import OPS, Op, op
from minigan.tensor import Tensor


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_gradients_to_second_order(name, k, rng):
    row = TABLE[name][k]
    inputs = [Tensor(a) for a in row.make(rng)]
    if row.differentiable:
        mg.testing.gradcheck(row.fn, inputs, order=2, eps=1e-6, rtol=1e-6)
    else:
        assert row.fn(*inputs).dtype.kind in "biu"
        with pytest.raises(mg.errors.GraphError, match="depends on none"):
            mg.grad(mg.sum(row.fn(*inputs)), inputs)


def test_every_op_has_a_row():
    assert set(TABLE) == set(OPS)


def test_a_missing_row_is_noticed():
    @op(lambda g, _y, _x: g, name="an op nobody listed")
    def fresh(x):
        return x + 0

    try:
        with pytest.raises(AssertionError):
            test_every_op_has_a_row()
    finally:
        del OPS["an op nobody listed"]


def sine(x):
    return np.sin(x)


def exponential(x):
    return np.exp(x)


def test_a_wrong_rule_is_noticed(rng):
    bad = Op(
        sine,
        [lambda g, _y, x: g * mg.sin(x)],
        name="bad_sin",
        formula="sin x",
        flops=lambda y, x: y.size,
        domain=(-1, 1),
        kinks=(),
        variadic=False,
    )
    with pytest.raises(mg.errors.GradcheckError, match=r"bad_sin.*argument 0.*rule gives .*finite difference"):
        mg.testing.gradcheck(bad, Tensor(rng.standard_normal(3)))


def test_a_rule_right_only_to_first_order_is_noticed(rng):
    detached = Op(
        exponential,
        [lambda g, y, _x: g * y.detach()],
        name="detached_exp",
        formula="e^x",
        flops=lambda y, x: y.size,
        domain=(-1, 1),
        kinks=(),
        variadic=False,
    )
    x = Tensor(rng.standard_normal(3))
    mg.testing.gradcheck(detached, x, order=1)
    with pytest.raises(mg.errors.GradcheckError, match="order 2"):
        mg.testing.gradcheck(detached, x, order=2)


def test_what_rules_share_is_computed_once_for_each_cotangent(rng):
    calls = []

    def together(g, _y, a, _b):
        calls.append(g)
        return g * a

    product = Op(
        lambda a, b: a * a * b,
        [
            lambda _g, _y, _a, b, *, once: 2 * once * b,
            lambda _g, _y, a, _b, *, once: once * a,
        ],
        name="a_product",
        formula="a a b",
        flops=lambda y, a, b: y.size,
        domain=(-1, 1),
        kinks=(),
        variadic=False,
        shared={"once": together},
    )
    a, b = (Tensor(rng.standard_normal(3)) for _ in range(2))
    y = product(a, b)
    for wanted, expected in (([a, b], 1), ([b], 1), ([a, b], 1)):
        calls.clear()
        mg.grad(y, wanted, mg.ones_like(y))
        assert len(calls) == expected
    assert product.reads == ((True, True, False), (True, False, False))  # what is read of (a, b, y), shared or not
    mg.testing.gradcheck(product, [a, b], order=3)


def test_every_record_has_a_formula_and_counts_operations(rng):
    assert [name for name, record in OPS.items() if not record.formula] == []
    counted = {}

    def count(op, args, out, order):
        counted[op.name] = op.flops(out.data, *(a.data if isinstance(a, Tensor) else a for a in args))

    with mg.observe(count):
        for rows in TABLE.values():
            rows[0].fn(*(Tensor(a) for a in rows[0].make(rng)))
        x, image = mg.ones((3, 4)), mg.ones((2, 4, 9, 7))
        mg.add(x, mg.ones((5, 3, 4)))
        mg.sum(x, 0)
        mg.matmul(x, mg.ones((4, 2)))
        mg.linear(x, mg.ones((6, 4)))
        mg.einsum("ij,jk,k->i", x, mg.ones((4, 5)), mg.ones(5))
        mg.conv2d(image, mg.ones((6, 2, 3, 2)), stride=(2, 1), groups=2)
        mg.max_pool2d(image, 3, 2)
    assert {op.name for op in OPS.values() if op.rules} <= set(counted)
    by_hand = {
        "reshape": 0,
        "add": 5 * 3 * 4,
        "sum": 3 * 4,
        "matmul": 2 * 3 * 4 * 2,
        "linear": 2 * 3 * 4 * 6,
        "einsum": 2 * 3 * 4 * 5,
        "conv": 2 * (2 * 6 * 4 * 6) * (2 * 3 * 2),  # each of y's pixels, each of its kernel's taps
        "max_pool": (2 * 4 * 4 * 3) * 9,
    }
    assert {name: counted[name] for name in by_hand} == by_hand
    moving = {
        "reshape",
        "transpose",
        "broadcast_to",
        "to",
        "concatenate",
        "pad",
        "pad_with_its_own",
        "flip",
        "getitem",
        "take_along_axis",
        "sign",
        "astype",
    }
    assert {name for name, flops in counted.items() if not flops > 0} - moving == set()


# --- shapes drawn by hypothesis -----------------------------------------------------------------------------

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def broadcastable(draw_from):
    """Two shapes, of one to four axes, that broadcast together."""
    full = draw_from(st.lists(st.integers(1, 4), max_size=4))

    def thinned():
        kept = [draw_from(st.sampled_from([n, 1])) for n in full]
        return tuple(kept[draw_from(st.integers(0, len(kept))) :])

    return thinned(), thinned()


@given(st.sampled_from(UNARY), shapes, seeds)
def test_unary_on_any_shape(name, shape, seed):
    x = Tensor(draw(OPS[name], np.random.default_rng(seed), shape))
    y = OPS[name](x)
    assert y.shape == shape
    assert y.dtype == np.float64
    mg.testing.gradcheck(OPS[name], x)


@given(st.sampled_from(BINARY), broadcastable(), seeds)
def test_binary_on_any_broadcast(name, pair, seed):
    rng = np.random.default_rng(seed)
    a, b = (Tensor(draw(OPS[name], rng, s)) for s in pair)
    y = OPS[name](a, b)
    assert np.array_equal(y.numpy(), getattr(np, name)(a.numpy(), b.numpy()))
    mg.testing.gradcheck(OPS[name], [a, b])


@given(broadcastable(), seeds)
def test_maximum_minimum_where_on_any_broadcast(pair, seed):
    rng = np.random.default_rng(seed)
    a, b = (Tensor(np.asarray(rng.standard_normal(s))) for s in pair)
    mask = a.numpy() + b.numpy() > 0
    for fn in (mg.maximum, mg.minimum, lambda a, b: mg.where(mg.tensor(mask), a, b)):
        mg.testing.gradcheck(fn, [a, b])


@st.composite
def reductions(draw_from):
    shape = draw_from(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
    axes = draw_from(st.none() | st.sets(st.integers(-len(shape), len(shape) - 1), min_size=1).map(tuple))
    if axes is not None and len({a % len(shape) for a in axes}) < len(axes):
        axes = (axes[0],)
    return shape, axes, draw_from(st.booleans())


@given(st.sampled_from(["sum", "mean", "max", "min", "var"]), reductions(), seeds)
def test_reductions_over_any_axes(name, reduction, seed):
    shape, axes, keepdims = reduction
    rng = np.random.default_rng(seed)
    x = Tensor(rng.permutation(np.arange(float(np.prod(shape)))).reshape(shape) * 0.7)

    def fn(x):
        return getattr(mg, name)(x, axes, keepdims=keepdims)

    expected = getattr(np, name)(x.numpy(), axes, keepdims=keepdims)
    np.testing.assert_allclose(fn(x).numpy(), expected, rtol=1e-14)
    assert fn(x).shape == expected.shape
    mg.testing.gradcheck(fn, x, rtol=3e-6)


@pytest.mark.parametrize("axis", [0, 1, (0, 2, 3), (2, 3), None])
def test_sums_of_channels_last_images(axis, rng):
    x = Tensor(rng.standard_normal((3, 5, 4, 2)).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(mg.sum(x, axis).numpy(), x.numpy().sum(axis), rtol=1e-13)
    large = Tensor(rng.standard_normal((64, 40, 40, 8)).astype("float32").transpose(0, 3, 1, 2))
    expected = large.numpy().astype("float64").sum(axis)
    np.testing.assert_allclose(mg.sum(large, axis).numpy(), expected, rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "softplus", "square", "exp"])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (-1, 1), (0.5, -0.25)])
def test_the_mean_of_a_function_is_one_op_of_some(name, scale, shift, rng):
    function = getattr(mg, name)
    x = Tensor(rng.standard_normal((4, 3)))
    called = []
    with mg.observe(lambda op, args, out, order: called.append(op.name)):
        y = mg.ops.mean_of(x, function, scale, shift)
    assert (called == ["mean"]) == (name != "exp")
    np.testing.assert_allclose(y.item(), function(Tensor(scale * x.numpy() + shift)).numpy().mean(), rtol=1e-14)
    mg.testing.gradcheck(lambda x: mg.ops.mean_of(x, function, scale, shift), x)


def test_the_mean_of_a_function_of_whole_numbers_of_none_and_scaled_by_a_tensor():
    whole, scale = mg.tensor([1, -2, 3]), mg.tensor(2.0, "float64")
    assert mg.ops.mean_of(whole, mg.relu, 2, 1).item() == pytest.approx(10 / 3)
    assert np.isnan(mg.ops.mean_of(mg.zeros((0, 2)), mg.square).item())
    assert mg.grad(mg.ops.mean_of(mg.tensor([1.0, 3.0], "float64"), mg.square, scale), scale).item() == 20


def test_lengths_of_what_is_no_batch_of_floats_or_not_smooth():
    for x, eps in ((mg.tensor(1.0), 1.0), (mg.tensor([1, 2]), 1.0), (mg.ones((2, 3)), 0.0)):
        with pytest.raises(mg.errors.ShapeError, match="lengths: expected floats"):
            mg.ops.lengths(x, eps)


@given(reductions(), seeds)
def test_soft_maximum_over_any_axes(reduction, seed):
    shape, axes, keepdims = reduction
    x = Tensor(np.random.default_rng(seed).standard_normal(shape))
    np.testing.assert_allclose(
        mg.logsumexp(x, axes, keepdims=keepdims).numpy(),
        np.log(np.exp(x.numpy()).sum(axes, keepdims=keepdims)),
        rtol=1e-12,
        atol=1e-13,
    )
    np.testing.assert_allclose(mg.softmax(x, axes).sum(axes).numpy(), 1, rtol=1e-12)
    mg.testing.gradcheck(lambda x: mg.softmax(x, axes), x)


indices = st.tuples(
    st.integers(-3, 2) | st.slices(3) | st.lists(st.integers(-3, 2), min_size=1, max_size=4),
    st.integers(-4, 3) | st.slices(4) | st.just(Ellipsis) | st.just(None),
)


@given(indices, seeds)
def test_getitem_is_numpys(index, seed):
    x = Tensor(np.random.default_rng(seed).standard_normal((3, 4)))
    if isinstance(index[1], int) and isinstance(index[0], list):
        index = (index[0], slice(None))
    assert np.array_equal(x[index].numpy(), x.numpy()[index])
    mg.testing.gradcheck(lambda x: x[index], x)


def test_repeated_indices_add_up():
    x = mg.tensor([1.0, 2.0, 3.0])
    assert mg.grad(mg.sum(x[[0, 2, 0, 0]]), x).numpy().tolist() == [3, 0, 1]
    mask = mg.tensor([True, False, True])
    assert mg.grad(mg.sum(x[mask] * 5), x).numpy().tolist() == [5, 0, 5]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data(), seeds)
def test_shape_ops_are_numpys(shape, data, seed):
    x = Tensor(np.random.default_rng(seed).standard_normal(shape))
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    axis = data.draw(st.integers(0, len(shape) - 1))
    widths = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=x.ndim, max_size=x.ndim))
    for ours, numpys in [
        (lambda a, n: n.transpose(a, axes), None),
        (lambda a, n: n.flip(a, axis), None),
        (lambda a, n: n.pad(a, widths), None),
        (lambda a, n: n.expand_dims(a, axis), None),
        (lambda a, n: n.concatenate([a, a], axis), None),
        (lambda a, n: n.stack([a, a], axis), None),
        (lambda a, n: n.split(a, shape[axis], axis)[-1], None),
        (lambda a, n: n.reshape(a, (-1,)), None),
        (lambda a, n: n.squeeze(n.expand_dims(a, axis), axis), numpys_squeeze),
    ]:
        expected = ours(x.numpy(), np) if numpys is None else numpys(x.numpy(), axis)
        assert np.array_equal(ours(x, mg).numpy(), expected)
        mg.testing.gradcheck(lambda x, fn=ours: fn(x, mg), x)


def numpys_squeeze(x, axis):
    return np.squeeze(np.expand_dims(x, axis), axis)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), broadcastable(), seeds)
def test_matmul_on_any_batch(m, k, n, batch, seed):
    rng = np.random.default_rng(seed)
    a = Tensor(rng.standard_normal((*batch[0], m, k)))
    b = Tensor(rng.standard_normal((*batch[1], k, n)))
    np.testing.assert_allclose(mg.matmul(a, b).numpy(), a.numpy() @ b.numpy(), rtol=1e-13, atol=1e-13)
    mg.testing.gradcheck(mg.matmul, [a, b])


# --- values that formulas get wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logistic_functions_are_finite_and_exact_on_both_tails(dtype):
    x = mg.tensor(np.array([-1e4, -30.0, 0.0, 30.0, 1e4], dtype))
    assert mg.softplus(x).numpy().tolist()[0] == 0
    assert mg.softplus(x).numpy()[-1] == 1e4
    np.testing.assert_allclose(mg.softplus(x).numpy()[1], np.exp(-30.0), rtol=1e-6)
    np.testing.assert_allclose(mg.sigmoid(x).numpy()[1], np.exp(-30.0), rtol=1e-6)
    np.testing.assert_allclose(mg.grad(mg.sum(mg.softplus(x)), x).numpy(), mg.sigmoid(x).numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_on_logits_stay_finite(dtype):
    x = mg.tensor(np.array([[-1e4, 1e4], [1e4, -1e4]], dtype))
    loss = mg.binary_cross_entropy_with_logits(x, 1.0)
    assert loss.item() == 5e3
    assert np.isfinite(mg.grad(loss, x).numpy()).all()
    loss = mg.cross_entropy(x, mg.tensor([0, 0]))
    assert loss.item() == 1e4
    assert np.isfinite(mg.grad(loss, x).numpy()).all()
    assert np.isfinite(mg.log_softmax(x).numpy()).all()


def test_known_cross_entropies():
    x = mg.tensor(np.log([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]))
    np.testing.assert_allclose(mg.cross_entropy(x, mg.tensor([2, 1])).item(), -np.log(0.5 * 0.1) / 2)
    logit = mg.tensor(np.array([np.log(3.0)]))  # sigmoid = 3/4
    np.testing.assert_allclose(mg.binary_cross_entropy_with_logits(logit, 0.0).item(), np.log(4))
    np.testing.assert_allclose(mg.binary_cross_entropy_with_logits(logit, 1.0).item(), np.log(4 / 3))
    sure = mg.tensor(np.array([40.0]))  # what is left of the loss is less than a unit of the logit
    np.testing.assert_allclose(mg.binary_cross_entropy_with_logits(sure, 1.0).item(), np.exp(-40), rtol=1e-12)


def test_ties_as_documented():
    x = mg.tensor([2.0, 2.0, 1.0])
    assert mg.grad(mg.max(x), x).numpy().tolist() == [0.5, 0.5, 0]
    a, b = mg.tensor([1.0]), mg.tensor([1.0])
    assert [g.item() for g in mg.grad(mg.sum(mg.maximum(a, b)), [a, b])] == [0.5, 0.5]
    image = mg.ones((1, 1, 2, 2))
    assert mg.grad(mg.sum(mg.max_pool2d(image, 2)), image).numpy().ravel().tolist() == [1, 0, 0, 0]
    limits = mg.tensor([-1.0, 0.0, 1.0])
    assert mg.grad(mg.sum(mg.clip(limits, -1, 0)), limits).numpy().tolist() == [1, 1, 0]


def test_power_at_zero():
    x = mg.tensor(np.array([0.0, 2.0]))
    assert mg.grad(mg.sum(x**2), x).numpy().tolist() == [0, 4]
    assert mg.grad(mg.sum(x**1), x).numpy().tolist() == [1, 1]
    first = mg.grad(mg.sum(x**1), x, create_graph=True)
    assert mg.grad(mg.sum(first), x).numpy().tolist() == [0, 0]
    base = mg.tensor(np.array([0.0, 1.0]))
    exponent = mg.tensor(np.array([2.0, 3.0]))
    assert np.isfinite(mg.grad(mg.sum(base**exponent), exponent).numpy()).all()


def test_power_with_an_exponent_tensor_of_zero():
    a, b = mg.tensor(np.array([0.0, 2.0])), mg.tensor(np.array([0.0, 1.0]))
    assert mg.grad(mg.sum(a**b), a).numpy().tolist() == [0, 1]


def test_elu_at_zero_and_far_from_it():
    zero = mg.tensor(np.zeros(1))
    assert mg.grad(mg.elu(zero, 0.5), zero).item() == 0.5
    assert mg.elu(mg.tensor(np.array([1000.0, -1000.0])), 2.0).numpy().tolist() == [1000, -2]  # and nothing overflows


def test_a_soft_maximum_of_nothing_but_minus_infinity():
    x = mg.tensor(np.array([[-np.inf, -np.inf], [-np.inf, 2.0]]))
    assert mg.logsumexp(x, 1).numpy().tolist() == [-np.inf, 2]


def test_cross_entropy_of_no_sample_is_a_mean_of_nothing():
    assert np.isnan(mg.cross_entropy(mg.ones((0, 3)), mg.tensor(np.zeros(0, "int64"))).item())


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_named(label):
    with pytest.raises(mg.errors.ShapeError, match=rf"cross_entropy: labels must lie in 0\.\.2, got .*{label}"):
        mg.cross_entropy(mg.ones((2, 3)), mg.tensor([1, label]))


def test_the_default_slope():
    assert mg.leaky_relu(mg.tensor(np.array([-1.0]))).item() == -0.01


# --- products -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["ba", "cb,ba", "ji,kj,lk", "a,b", "ab,ab", "zx,xy"])
def test_einsum_without_an_arrow_orders_its_result_by_the_alphabet(text, rng):
    sizes = dict(zip("abcijklxyz", [2, 3, 4, 2, 3, 4, 5, 2, 3, 4], strict=True))
    arrays = [rng.standard_normal([sizes[i] for i in name]) for name in text.split(",")]
    found = mg.einsum(text, *map(Tensor, arrays))
    np.testing.assert_allclose(found.numpy(), np.einsum(text, *arrays), rtol=1e-12)
    assert found.shape == np.einsum(text, *arrays).shape


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,))])
def test_a_product_with_one_axis_is_a_row_or_a_column(shapes, rng):
    a, b = (rng.standard_normal(s) for s in shapes)
    found = mg.matmul(Tensor(a), Tensor(b))
    assert found.shape == (a @ b).shape
    np.testing.assert_allclose(found.numpy(), a @ b, rtol=1e-12)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (0,)])
def test_linear_with_a_bias_on_any_leading_axes(leading, rng):
    x, w, b = (Tensor(rng.standard_normal(s)) for s in ((*leading, 4), (2, 4), (2,)))
    np.testing.assert_allclose(mg.linear(x, w, b).numpy(), x.numpy() @ w.numpy().T + b.numpy(), rtol=1e-12)
    mg.testing.gradcheck(mg.linear, [x, w, b])


@pytest.mark.parametrize("axis", [-1, 1])
def test_split_along_an_axis_counted_from_the_end(axis, rng):
    x = rng.standard_normal((2, 6))
    for ours, numpys in zip(mg.split(Tensor(x), 3, axis), np.split(x, 3, axis), strict=True):
        np.testing.assert_array_equal(ours.numpy(), numpys)


# --- pooling and friends ------------------------------------------------------------------------------------


def test_average_pool_upsample_and_shuffle_against_plain_indexing(rng):
    x = Tensor(rng.standard_normal((2, 4, 6, 4)))
    a = x.numpy()
    np.testing.assert_allclose(mg.avg_pool2d(x, 2).numpy(), a.reshape(2, 4, 3, 2, 2, 2).mean((3, 5)), rtol=1e-13)
    assert np.array_equal(mg.upsample_nearest(x, (2, 3)).numpy(), a.repeat(2, 2).repeat(3, 3))
    shuffled = mg.pixel_shuffle(x, 2).numpy()
    assert shuffled.shape == (2, 1, 12, 8)
    for i in range(2):
        for j in range(2):
            assert np.array_equal(shuffled[:, 0, i::2, j::2], a[:, 2 * i + j])
    for fn in (lambda x: mg.avg_pool2d(x, 3, 1), lambda x: mg.upsample_nearest(x, 2), lambda x: mg.pixel_shuffle(x, 2)):
        mg.testing.gradcheck(fn, x)
