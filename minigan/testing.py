"""Proof that gradients are right: finite differences to any order, and the adjoint identity of linear maps."""

from collections.abc import Callable, Sequence

import numpy as np

from . import backend
from .errors import DTypeError, GradcheckError
from .grad import all_tensors, depends_on, grad, inner
from .op import Op
from .ops import sum
from .recording import observe
from .tensor import Tensor, zeros_like


def gradcheck(
    fn: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    order: int = 2,
    eps: float = 1e-6,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> None:
    """Compare the gradients of fn(*inputs), up to `order`, with central differences; returns None if they agree.

    For each float64 input the derivative of <c, fn> along a random direction, c a random cotangent, is computed
    both ways: one number against one number. Order 2 applies the same check to the gradient as a function of
    the inputs and of c. Tolerances default to rtol 1e-6, atol 1e-8 at order 1 and ten times that per further
    order. Raises GradcheckError with the op, the argument and both numbers; DTypeError for inputs that are not
    float64, in which a difference of 1e-6 means nothing.
    """
    points = all_tensors(inputs, "gradcheck")
    for k, point in enumerate(points):
        if point.dtype.kind == "f" and point.dtype != np.float64:
            raise DTypeError(f"gradcheck: input {k} is {point.dtype}; finite differences need float64")
    _check(fn, points, 1, order, eps, rtol, atol, np.random.default_rng(seed))


def _check(
    fn: Callable,
    points: list[Tensor],
    level: int,
    order: int,
    eps: float,
    rtol: float | None,
    atol: float | None,
    rng: np.random.Generator,
) -> None:
    ops: list[Op] = []
    with observe(lambda op, args, out, order: ops.append(op)):
        outputs = _results(fn, points)
    where = f"{_name(fn)} ({', '.join(dict.fromkeys(op.name for op in ops if op.rules))})"
    cotangents = [_random(rng, y.shape, y) for y in outputs]
    checked = [k for k, p in enumerate(points) if p.dtype.kind == "f"]
    scale = 10.0 ** (level - 1)
    relative, absolute = (1e-6 if rtol is None else rtol) * scale, (1e-8 if atol is None else atol) * scale

    def projected(*args: Tensor) -> Tensor:
        return inner(_results(fn, args), cotangents)

    value, wanted = projected(*points), [points[k] for k in checked]
    # The gradient of a step function is a constant that no op connects to anything: its derivative is zero.
    constant = level > 1 and not depends_on(value, wanted)
    analytic = [zeros_like(p) for p in wanted] if constant else grad(value, wanted)
    for k, g in zip(checked, analytic, strict=True):
        direction = _random(rng, points[k].shape, points[k])
        expected = _central_difference(projected, points, k, direction, eps)
        found = sum(g * direction).item()
        if not abs(found - expected) <= absolute + relative * max(abs(found), abs(expected)):
            raise GradcheckError(
                f"gradcheck of {where}: derivative of order {level} with respect to argument {k} of shape "
                f"{points[k].shape}: rule gives {found:.12g}, finite difference {expected:.12g}"
            )
    if level < order:

        def first_gradient(*args: Tensor) -> Sequence[Tensor]:
            xs, cs = args[: len(points)], args[len(points) :]
            return grad(inner(_results(fn, xs), cs), [xs[k] for k in checked], create_graph=True)

        first_gradient.__name__ = f"gradient of {_name(fn)}"
        _check(first_gradient, [*points, *cotangents], level + 1, order, eps, rtol, atol, rng)


def _central_difference(
    projected: Callable[..., Tensor], points: list[Tensor], k: int, direction: Tensor, eps: float
) -> float:
    lib = backend.xp(points[k].data)
    values = []
    for sign in (1, -1):
        moved = Tensor(lib.array(points[k].data + sign * eps * direction.data))
        values.append(projected(*points[:k], moved, *points[k + 1 :]).item())
    return (values[0] - values[1]) / (2 * eps)


def check_adjoint(
    name: str, forward: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor], x: Tensor, y: Tensor
) -> None:
    """Check <forward(x), y> = <x, adjoint(y)> to 1e-12 relative; GradcheckError with both numbers otherwise."""
    left, right = sum(forward(x) * y).item(), sum(x * adjoint(y)).item()
    if not abs(left - right) <= 1e-12 * max(abs(left), abs(right), 1e-3):
        raise GradcheckError(f"{name}: <A x, y> = {left:.15g} but <x, A* y> = {right:.15g}")


def _results(fn: Callable, args: Sequence[Tensor]) -> list[Tensor]:
    return all_tensors(fn(*args), f"gradcheck of {_name(fn)}", "its result")


def _random(rng: np.random.Generator, shape: tuple[int, ...], like: Tensor) -> Tensor:
    return Tensor(backend.to_device(np.asarray(rng.standard_normal(shape)), like.device))


def _name(fn: Callable) -> str:
    return getattr(fn, "__name__", type(fn).__name__)
