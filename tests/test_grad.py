"""The engine: what it visits, what it refuses, what it frees, and orders beyond the first."""

import gc
import weakref

import numpy as np
import pytest

import minigan as mg
from minigan.tensor import Tensor


def executed(fn):
    """The names of the ops that fn() executes."""
    names = []
    with mg.observe(lambda op, args, out, order: names.append(op.name)):
        fn()
    return names


def test_a_tensor_for_a_tensor_a_list_for_a_list():
    x, y = mg.tensor([2.0]), mg.tensor([3.0])
    assert mg.grad(mg.sum(x * y), x).item() == 3
    assert [g.item() for g in mg.grad(mg.sum(x * y), [x, y])] == [3, 2]
    assert [g.item() for g in mg.grad(mg.sum(x * y), (x, x))] == [3, 3]
    assert mg.grad(mg.sum(x), [x])[0].item() == 1


def test_any_order_of_a_polynomial():
    x = mg.tensor(np.array(2.0))
    y = x**5
    expected = [80.0, 160.0, 240.0, 240.0, 120.0, 0.0]
    for value in expected:
        y = mg.grad(y, x, create_graph=True)
        assert y.item() == value


def test_gradient_of_an_intermediate_result():
    x = mg.tensor([1.0, 2.0])
    h = x * 3
    y = mg.sum(h * h)
    assert mg.grad(y, h).numpy().tolist() == [6, 12]
    assert [g.numpy().tolist() for g in mg.grad(y, [h, x])] == [[6, 12], [18, 36]]
    assert mg.grad(y, y).item() == 1


def test_only_the_path_to_the_inputs_is_visited(rng):
    z, g, d = (Tensor(rng.standard_normal(s)) for s in ((5, 3), (3, 4), (4, 1)))
    score = mg.sum(mg.tanh(z @ g) @ d)
    assert executed(lambda: mg.grad(score, d)).count("matmul") == 1  # no gradient for G or z
    assert executed(lambda: mg.grad(score, g)).count("matmul") == 2  # none for d or z


def test_an_unreached_input_gets_zeros_and_none_reached_is_an_error():
    x, other = mg.tensor([1.0, 2.0]), mg.ones((3, 2))
    y = mg.sum(x * x)
    gx, go = mg.grad(y, [x, other])
    assert gx.numpy().tolist() == [2, 4]
    assert go.shape == (3, 2)
    assert not go.numpy().any()
    for inputs in ([other], []):
        with pytest.raises(mg.errors.GraphError, match="depends on none of the"):
            mg.grad(y, inputs)


@pytest.mark.parametrize(
    "penalty",
    [
        lambda g: mg.sum(g * g),
        lambda g: mg.mean((mg.sqrt(mg.sum(mg.square(g))) - 1) ** 2),
        lambda g: mg.sum(g) * 2.0,  # of which no rule reads the gradient
        lambda g: mg.sum(g[1:]),
    ],
)
def test_a_gradient_that_was_not_recorded_is_told_from_any_other_constant(penalty):
    x = mg.tensor([1.0, 2.0])
    y = mg.sum(x**3)
    with pytest.raises(mg.errors.GraphError, match=r"y is computed from a gradient .* without create_graph=True"):
        mg.grad(penalty(mg.grad(y, x)), x)
    assert mg.grad(penalty(mg.grad(y, x, create_graph=True)), x).shape == (2,)
    first = mg.grad(y, x)
    assert mg.grad(penalty(first), first).shape == (2,)  # of the gradient itself it can be taken
    for constant in (mg.grad(y, x, create_graph=True).detach(), mg.tensor([3.0, 12.0])):
        with pytest.raises(mg.errors.GraphError, match="cut off by detach"):
            mg.grad(penalty(constant), x)
    first.copy_([0.0, 0.0])  # it is an array like any other, to be clipped in place, say


def test_integers_have_no_gradient():
    whole = mg.tensor([1, 2])
    for y, x in ((mg.sum(whole), whole), (mg.sum(mg.ones(2)), whole), (mg.sum(whole), mg.ones(2))):
        with pytest.raises(mg.errors.GraphError, match="only floats have gradients, and among these is int64"):
            mg.grad(y, x)


def test_the_last_bias_of_a_critic_under_a_penalty():
    w, b, x = mg.tensor([[1.0], [2.0]]), mg.tensor([0.5]), mg.tensor([[3.0, 4.0]])
    slope = mg.grad(mg.sum(x @ w + b), x, create_graph=True)
    gw, gb = mg.grad(mg.sum(slope * slope), [w, b])
    assert gw.numpy().ravel().tolist() == [2, 4]
    assert gb.item() == 0


def test_a_vector_needs_a_cotangent():
    x = mg.tensor([1.0, 2.0])
    with pytest.raises(mg.errors.ShapeError, match=r"y has shape \(2,\); give grad_output"):
        mg.grad(x * x, x)
    with pytest.raises(mg.errors.ShapeError, match=r"grad_output \(3,\)"):
        mg.grad(x * x, x, mg.ones(3))
    assert mg.grad(x * x, x, mg.tensor([1.0, 10.0])).numpy().tolist() == [2, 40]


def test_no_grad_and_detach_cut_the_graph():
    x = mg.tensor([2.0])
    with mg.no_grad():
        y = x * x
    assert y.node is None
    for cut in (y, (x * x).detach()):
        with pytest.raises(mg.errors.GraphError):
            mg.grad(mg.sum(cut), x)

    @mg.no_grad()
    def square(x):
        return x * x

    @mg.no_grad
    def cube(x):
        """x^3"""
        return x * x * x

    assert square(x).node is None
    assert cube(x).node is None
    assert cube.__doc__ == "x^3"
    assert (x * x).node is not None
    assert mg.grad(mg.sum(x * x.detach()), x).item() == 2


def test_no_grad_ends_with_an_exception():
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert (mg.ones(1) * 2).node is not None


def test_a_gradient_is_recorded_only_when_asked():
    x = mg.tensor([2.0])
    y = mg.sum(x**3)
    assert mg.grad(y, x).node is None
    assert mg.grad(y, x, create_graph=True).node is not None
    with mg.no_grad():
        assert mg.grad(y, x, create_graph=True).item() == 12


def test_gradients_are_summed_over_every_use_and_never_into_shared_buffers():
    x = mg.tensor([1.0, 2.0])
    y = x + x + x + x * 1.0
    seed = mg.tensor([1.0, 1.0])
    assert mg.grad(y, x, seed).numpy().tolist() == [4, 4]
    assert seed.numpy().tolist() == [1, 1]
    g1 = mg.grad(mg.sum(y), x)
    g2 = mg.grad(mg.sum(y), x)
    assert g1.numpy().tolist() == g2.numpy().tolist() == [4, 4]


def test_a_deep_graph_needs_no_recursion():
    x = mg.tensor([1.0])
    y = x
    for _ in range(20_000):
        y = y + 1e-5
    assert mg.grad(mg.sum(y), x).item() == 1
    del y


def test_orders_are_told_to_the_observer(rng):
    x = Tensor(rng.standard_normal(3))
    seen = []
    with mg.observe(lambda op, args, out, order: seen.append((op.name, order))):
        first = mg.grad(mg.sum(mg.exp(x)), x, create_graph=True)
        mg.grad(mg.sum(first), x)
    assert {order for _, order in seen} == {0, 1, 2}
    assert ("exp", 0) in seen
    assert ("multiply", 1) in seen
    assert ("multiply", 2) in seen
    count = len(seen)
    mg.exp(x)
    assert len(seen) == count


# --- memory -------------------------------------------------------------------------------------------------


def test_a_graph_dies_with_its_last_tensor():
    gc.disable()
    try:
        x = mg.ones(1000)
        y = mg.tanh(mg.exp(x) * 2)
        z = mg.sum(mg.grad(mg.sum(y * y), x, create_graph=True))
        refs = [weakref.ref(a) for a in (y.node.output, z.data)]
        del y, z
        assert [r() for r in refs] == [None, None]  # by reference count alone: there is no cycle
    finally:
        gc.enable()


def test_what_no_rule_reads_is_not_kept():
    x = mg.ones(1000)
    h = x * 2  # add keeps neither operand
    ref = weakref.ref(h.data)
    y = h + 1
    del h
    assert ref() is None
    assert mg.grad(mg.sum(y), x).numpy().sum() == 2000


def test_detach_frees_the_generators_graph():
    z = mg.ones(10)
    hidden = mg.exp(z)
    ref = weakref.ref(hidden.data)
    fake = mg.tanh(hidden).detach()
    del hidden
    assert ref() is None
    assert fake.shape == (10,)


# --- arrays written in place ----------------------------------------------------------------------------------


def named(value, name):
    t = mg.tensor(value)
    t.version.name = name
    return t


def test_a_gradient_through_a_moved_parameter_raises_and_names_it():
    x, w = mg.tensor([[1.0, 2.0]]), named([[1.0], [1.0]], "critic.0.weight")
    y = mg.sum(x @ w)
    w.copy_(mg.zeros((2, 1)), by="Adam.step")
    with pytest.raises(mg.errors.GraphError, match=r"matmul: critic\.0\.weight was changed in place by Adam\.step"):
        mg.grad(y, x)
    assert mg.grad(y, w).numpy().ravel().tolist() == [1, 2]  # reads x only: still exact


@pytest.mark.parametrize(
    "view", [lambda w: w.T, lambda w: w.reshape(4), lambda w: w[0], lambda w: w.detach(), lambda w: w.T[1:]]
)
def test_views_of_a_parameter_are_changed_with_it(view):
    w = named([[1.0, 2.0], [3.0, 4.0]], "w")
    x = mg.tensor(2.0)
    y = mg.sum(view(w) * x)
    w.copy_(mg.zeros((2, 2)), by="load_state_dict")
    with pytest.raises(mg.errors.GraphError, match="w was changed in place by load_state_dict"):
        mg.grad(y, x)


def test_results_cannot_be_written():
    y = mg.ones(2) * 2
    with pytest.raises(mg.errors.GraphError, match="result of multiply"):
        y.copy_(mg.zeros(2))
    with pytest.raises(mg.errors.ShapeError, match=r"cannot copy shape \(3,\)"):
        mg.ones(2).copy_(mg.zeros(3))


def test_the_detached_twin_of_a_result_cannot_be_written_either():
    x = mg.tensor([1.0, 2.0])
    y = x * 3
    z = mg.sum(y * y)
    for target in (y, y.detach(), y.detach().detach()):
        with pytest.raises(mg.errors.GraphError, match="cannot write in place into the result of multiply"):
            target.copy_(mg.zeros(2))
    assert mg.grad(z, x).numpy().tolist() == [18, 36]  # nothing was written before the refusal
    with pytest.raises(mg.errors.GraphError, match="result of multiply"):
        mg.optim.SGD([y])
    parameter = mg.nn.Parameter(y)
    parameter.copy_(mg.zeros(2))
    assert mg.grad(z, x).numpy().tolist() == [18, 36]


def test_a_leaf_is_its_own_gradient_whatever_happened_before():
    x = mg.tensor([2.0])
    assert mg.grad(x, x).item() == 1
    assert mg.jvp(lambda x: x, mg.tensor([3.0]), mg.tensor([5.0]))[1].item() == 5


# --- products -----------------------------------------------------------------------------------------------


def test_vjp_jvp_hvp_against_explicit_matrices(rng):
    a = rng.standard_normal((4, 3))
    x, t, c = rng.standard_normal(3), rng.standard_normal(3), rng.standard_normal(4)

    def f(x):
        return mg.tanh(Tensor(a) @ x)

    jacobian = (1 - np.tanh(a @ x) ** 2)[:, None] * a
    y, pullback = mg.vjp(f, Tensor(x))
    np.testing.assert_allclose(pullback(Tensor(c)).numpy(), c @ jacobian)
    y2, pushed = mg.jvp(f, Tensor(x), Tensor(t))
    np.testing.assert_allclose(pushed.numpy(), jacobian @ t)
    assert np.array_equal(y.numpy(), y2.numpy())

    def g(x, y):
        return mg.sum(mg.sin(x) * x) + mg.sum(x * y) + mg.sum(y) * 2

    value, (hx, hy) = mg.hvp(g, [Tensor(x), Tensor(x)], [Tensor(t), Tensor(c[:3])])
    np.testing.assert_allclose(hx.numpy(), (2 * np.cos(x) - x * np.sin(x)) * t + c[:3])
    np.testing.assert_allclose(hy.numpy(), t)
    assert value.shape == ()


def test_products_of_constant_and_linear_functions():
    x = mg.tensor([1.0, 2.0])
    assert mg.hvp(lambda x: mg.sum(x) * 3, x, mg.ones(2))[1].numpy().tolist() == [0, 0]
    assert mg.jvp(lambda x: mg.sign(x), x, mg.ones(2))[1].numpy().tolist() == [0, 0]
    assert mg.jvp(lambda x, y: x * y, [x, mg.ones(2)], [mg.ones(2), x])[1].numpy().tolist() == [2, 5]
    with pytest.raises(mg.errors.ShapeError, match="jvp: inputs have shapes"):
        mg.jvp(lambda x: x, x, mg.ones(3))


def test_a_product_with_the_hessian_can_be_differentiated_again():
    x = mg.tensor(np.array([1.0, -2.0]))
    v = mg.tensor(np.array([3.0, 5.0]))
    _, product = mg.hvp(lambda x: mg.sum(x**4), x, v)
    np.testing.assert_allclose(product.numpy(), 12 * x.numpy() ** 2 * v.numpy())
    np.testing.assert_allclose(mg.grad(mg.sum(product), x).numpy(), 24 * x.numpy() * v.numpy())
    np.testing.assert_allclose(mg.grad(mg.sum(product), v).numpy(), 12 * x.numpy() ** 2)


def test_gradcheck_refuses_float32():
    with pytest.raises(mg.errors.DTypeError, match="input 0 is float32"):
        mg.testing.gradcheck(mg.exp, mg.ones(3))


def test_check_adjoint_notices():
    with pytest.raises(mg.errors.GradcheckError, match="double"):
        mg.testing.check_adjoint("double", lambda x: x * 2, lambda y: y, mg.ones(3), mg.ones(3))


# --- an independent oracle: closed forms ----------------------------------------------------------------------


def test_a_linear_critics_penalty_in_closed_form(rng):
    """For C(x) = w.x the penalty is (|w| - 1)^2 and its gradient 2 (|w| - 1) w / |w|, wherever x is."""
    w = Tensor(rng.standard_normal((5, 1)))
    x = Tensor(rng.standard_normal((7, 5)))
    slope = mg.grad(mg.sum(x @ w), x, create_graph=True)
    penalty = mg.mean((mg.sqrt(mg.sum(slope * slope, 1)) - 1) ** 2)
    norm = np.linalg.norm(w.numpy())
    np.testing.assert_allclose(penalty.item(), (norm - 1) ** 2, rtol=1e-12)
    np.testing.assert_allclose(mg.grad(penalty, w).numpy(), 2 * (norm - 1) * w.numpy() / norm, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y, net: mg.grad(3.0, x), "grad: expected y, a Tensor computed from the inputs, got 3.0"),
        (lambda x, y, net: mg.grad([y, y], x), "grad: expected y, .* got a list"),
        (lambda x, y, net: mg.grad(lambda: y, x), "grad: expected y, .* got a function"),
        (lambda x, y, net: mg.grad(y, net), r"grad: expected a list of Tensors as inputs, got a Linear; .*parameters"),
        (lambda x, y, net: mg.grad(y, [net]), r"got a Linear as item 0; give its .parameters\(\)"),
        (lambda x, y, net: mg.grad(y, net.parameters), r"got a method; call it, with \(\)"),
        (lambda x, y, net: mg.grad(y, net.state_dict()), r"grad: .* got a dict; give its \.values\(\)"),
        (lambda x, y, net: mg.grad(y, 1.0), "grad: .* as inputs, got 1.0"),
        (lambda x, y, net: mg.grad(y, "x"), "grad: .* as inputs, got 'x'"),
        (lambda x, y, net: mg.grad(y, x.numpy()), "grad: .* as inputs, got a numpy.ndarray"),
        (lambda x, y, net: mg.grad(y, [x, 1.0]), "grad: .* as inputs, got 1.0 as item 1"),
        (lambda x, y, net: mg.grad(y, net.named_parameters()), "grad: .* got a tuple as item 0"),
        (lambda x, y, net: mg.grad(y, x, "seed"), "grad: grad_output: expected a Tensor"),
        (lambda x, y, net: mg.vjp(mg.sum, [[1.0]]), "vjp: .* as inputs, got a list as item 0"),
        (lambda x, y, net: mg.vjp(x, mg.sum), "vjp: .* as inputs, got a function"),
        (lambda x, y, net: mg.jvp(mg.sum, x, [1.0, 2.0]), "jvp: .* as vectors, got 1.0 as item 0"),
        (lambda x, y, net: mg.jvp(lambda x: 2.0, x, x), "grad: expected y, .* got 2.0"),
        (lambda x, y, net: mg.hvp(mg.sum, net, x), r"hvp: .* got a Linear; give its \.parameters"),
        (lambda x, y, net: mg.testing.gradcheck(mg.exp, np.ones(2)), "gradcheck: .* as inputs, got a numpy.ndarray"),
        (
            lambda x, y, net: mg.testing.gradcheck(lambda x: 1.0, mg.zeros(2, float)),
            "gradcheck of .*as its result, got 1.0",
        ),
    ],
)
def test_what_are_no_tensors_is_named(call, message):
    x = mg.tensor([1.0, 2.0])
    with pytest.raises(mg.errors.DTypeError, match=message):
        call(x, mg.sum(x * x), mg.nn.Linear(2, 1))


def test_cotangents_and_vectors_may_be_arrays_and_inputs_any_iterable():
    x = mg.tensor([1.0, 2.0])
    assert mg.grad(x * x, x, np.ones(2, "float32")).numpy().tolist() == [2, 4]
    assert mg.grad(mg.sum(x * x), x, 3.0).numpy().tolist() == [6, 12]
    assert [g.numpy().tolist() for g in mg.grad(mg.sum(x * x), (t for t in (x, x)))] == [[2, 4], [2, 4]]
    assert mg.hvp(lambda x: mg.sum(x**3), x, np.ones(2, "float32"))[1].numpy().tolist() == [6, 12]
    _, pullback = mg.vjp(lambda x, y: x * y, (t for t in (x, mg.tensor([3.0, 4.0]))))
    assert [g.numpy().tolist() for g in pullback(mg.ones(2))] == [[3, 4], [1, 2]]
