"""Optimizers with PyTorch's update rules.

Each rule is written once as a pure function of Tensors, `update`: it can be differentiated, which unrolled GANs
need, and it is what the tests hold the in-place kernels against. `step` runs the kernel.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import iadd
from typing import Any

import numpy as np

from .. import backend, ops
from ..errors import ShapeError, brief
from ..grad import all_tensors, grad
from ..kernels import kernels, portable
from ..kernels.calls import done, made
from ..nn.checks import not_negative, number
from ..nn.state import copy_all
from ..system.hints import hinted
from ..tensor import Tensor, full

Slots = tuple[Tensor, ...]


@hinted("Optimizer")
class Optimizer:
    """Moves a given list of parameters. Who moves is said in one line: opt.step(mg.grad(loss, opt.params)).

    All of its state is Tensors: the learning rate `lr`, the number of steps `t`, and its slots, one tensor for
    each parameter and slot name.
    """

    slot_names: tuple[str, ...] = ()

    def __init__(self, params: Sequence[Tensor], lr: float) -> None:
        self.params = all_tensors(params, type(self).__name__, "parameters")
        if not self.params:
            raise ShapeError(f"{type(self).__name__}: the list of parameters is empty")
        if len({id(p) for p in self.params}) < len(self.params):
            raise ShapeError(f"{type(self).__name__}: a parameter is listed twice")
        self._check_lr(lr)
        for p in self.params:
            p.check_writable(type(self).__name__)
        device = self.params[0].device
        self.t = full((), 0, "int64", device)
        self._lr = full((), lr, "float64", device)
        self.slots: list[Slots] = [tuple(_zeros_as(p) for _ in self.slot_names) for p in self.params]
        self.collect: Callable[[Sequence[Tensor]], None] | None = (
            None  # what `step` gives gradients to instead of moving
        )

    @property
    def lr(self) -> float:
        """The learning rate; setting it to what is not finite and >= 0 is a ShapeError."""
        return float(self._lr.item())

    @lr.setter
    def lr(self, value: float) -> None:
        self._check_lr(value)
        self._lr.data.fill(value)  # where it lies, so that a captured step sees it
        self._lr.written("lr")

    def update(self, p: Tensor, g: Tensor, slots: Slots, lr: Tensor | float, t: Tensor | float) -> tuple[Tensor, Slots]:
        """(new p, new slots) after step number t (from 1), as a differentiable function of Tensors."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def _kernel(self) -> tuple[Callable[..., None], dict[str, Any]]:
        """The same update on arrays, in place in p and slots, and its options (minigan/kernels/portable.py)."""
        raise NotImplementedError(f"{type(self).__name__} does not define _kernel")

    def step(self, grads: Sequence[Tensor]) -> None:
        """Move every parameter by its gradient, in place; an infinite one counts as the largest number of its type.

        With a `collect` that is given the gradients instead, and nothing moves.
        """
        if self.collect is not None:
            self.collect(grads)
            return
        told = "; minimize(loss) takes a loss" if isinstance(grads, Tensor) else ""
        grads = all_tensors(grads, self._name(), "gradients")
        if len(grads) != len(self.params):
            raise ShapeError(f"{self._name()}: {len(self.params)} parameters, {len(grads)} gradients{told}")
        for p, g in zip(self.params, grads, strict=True):
            if p.shape != g.shape or p.dtype != g.dtype:
                raise ShapeError(f"{self._name()}: {p.label()} is {p.shape} {p.dtype}, gradient {g.shape} {g.dtype}")
        done(iadd, self.t.data, 1)
        rule, options = self._kernel()
        rows = [
            (p.data, g.data, *(s.data for s in slots))
            for p, g, slots in zip(self.params, grads, self.slots, strict=True)
        ]
        kernels(self.t.data).update(rule, rows, lr=self._lr.data, **options)
        for p in self.params:
            p.written(self._name())

    def minimize(self, loss: Tensor) -> None:
        """step(grad(loss, params)): one step down the loss, which is the mean of everybody's on several processes."""
        self.step(ops.averaged(grad(loss, self.params)))

    def restart(self) -> None:
        """Begin anew, as before the first step: the number of steps and all averages are 0; the learning rate stays."""
        for t in (self.t, *(slot for slots in self.slots for slot in slots)):
            t.data.fill(0)
            t.written(f"{type(self).__name__}.restart")

    def functional_step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor], slots: Sequence[Slots] | None = None, t: Any = 1
    ) -> tuple[list[Tensor], list[Slots]]:
        """(new params, new slots) after one step, nothing written: gradients flow through the step.

        `slots` and the number of the step, t, default to the optimizer's own state and its next step. A t that is a
        Tensor is read where it lives, as the learning rate is then, so that the step can be captured.
        """
        if slots is None:
            slots, t = self.slots, int(self.t.item()) + 1
        lr: Any
        if isinstance(t, Tensor):
            lr, t = (Tensor(made(_cast, number.data, params[0].dtype)) for number in (self._lr, t))
        else:
            lr = self.lr
        moved = [self.update(p, g, s, lr, t) for p, g, s in zip(params, grads, slots, strict=True)]
        return [p for p, _ in moved], [s for _, s in moved]

    def state_dict(self) -> dict[str, Tensor]:
        """lr, t and every slot as "name.i" for the i-th parameter, sharing memory with the optimizer."""
        named = {
            f"{name}.{i}": slot
            for i, slots in enumerate(self.slots)
            for name, slot in zip(self.slot_names, slots, strict=True)
        }
        return {"lr": self._lr, "t": self.t, **named}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy `state` into the optimizer's arrays; CheckpointError, and nothing copied, if it does not fit."""
        copy_all(self.state_dict(), state, type(self).__name__)

    def _check_lr(self, lr: float) -> None:
        not_negative(type(self).__name__, **{"learning rate": lr})

    def _name(self) -> str:
        return f"{type(self).__name__}.step"


def _cast(number: backend.Array, dtype: Any) -> backend.Array:
    return number.astype(dtype)


class SGD(Optimizer):
    """p -= lr v, v = momentum v + g; Nesterov: p -= lr (g + momentum v). Sutskever et al. 2013. No dampening."""

    def __init__(
        self,
        params: Sequence[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        *,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        not_negative("SGD", weight_decay=weight_decay)
        _share("SGD", momentum=momentum)
        if nesterov and momentum == 0:
            raise ShapeError("SGD: nesterov needs a momentum")
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov
        self.slot_names = ("momentum_buffer",) if momentum else ()
        super().__init__(params, lr)

    def update(self, p: Tensor, g: Tensor, slots: Slots, lr: Tensor | float, t: Tensor | float) -> tuple[Tensor, Slots]:
        """One step of the formula above."""
        g = _limited(g + self.weight_decay * p)
        if not slots:
            return p - lr * g, ()
        v = self.momentum * slots[0] + g
        return p - lr * (g + self.momentum * v if self.nesterov else v), (v,)

    def _kernel(self) -> tuple[Callable[..., None], dict[str, Any]]:
        return portable.sgd, {"momentum": self.momentum, "weight_decay": self.weight_decay, "nesterov": self.nesterov}


class RMSProp(Optimizer):
    """p -= lr g / (sqrt(s) + eps), s = alpha s + (1 - alpha) g^2 (Hinton 2012); eps outside the root, as in PyTorch.

    `centered` subtracts the squared average of g from s; `momentum` averages the steps: b = momentum b + step.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        not_negative("RMSProp", eps=eps, weight_decay=weight_decay)
        _share("RMSProp", alpha=alpha, momentum=momentum)
        self.alpha, self.eps, self.weight_decay = alpha, eps, weight_decay
        self.momentum, self.centered = momentum, centered
        named = [("square_avg", True), ("grad_avg", centered), ("momentum_buffer", bool(momentum))]
        self.slot_names = tuple(name for name, used in named if used)
        super().__init__(params, lr)

    def update(self, p: Tensor, g: Tensor, slots: Slots, lr: Tensor | float, t: Tensor | float) -> tuple[Tensor, Slots]:
        """One step of the formula above."""
        g = _limited(g + self.weight_decay * p)
        held = dict(zip(self.slot_names, slots, strict=True))
        s = held["square_avg"] = self.alpha * held["square_avg"] + (1 - self.alpha) * g * g
        if self.centered:
            held["grad_avg"] = self.alpha * held["grad_avg"] + (1 - self.alpha) * g
            unit = float(np.finfo(s.dtype).eps)  # in the last place of 1
            s = ops.maximum(s - _limited(ops.square(held["grad_avg"])), unit / 2 * s)
        step = g / (_root(s) + self.eps)
        if self.momentum:
            step = held["momentum_buffer"] = self.momentum * held["momentum_buffer"] + step
        return p - lr * step, tuple(held.values())

    def _kernel(self) -> tuple[Callable[..., None], dict[str, Any]]:
        names = ("alpha", "eps", "weight_decay", "momentum", "centered")
        return portable.rmsprop, {name: getattr(self, name) for name in names}


class Adam(Optimizer):
    """p -= lr m^ / (sqrt(v^) + eps), m and v the averages of g and g^2, m^ and v^ corrected for their start at zero.

    Kingma and Ba 2015. Weight decay is added to the gradient.
    """

    slot_names = ("exp_avg", "exp_avg_sq")
    decoupled = False

    def __init__(
        self,
        params: Sequence[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        not_negative(type(self).__name__, eps=eps, weight_decay=weight_decay)
        if not isinstance(betas, Sequence) or len(betas) != 2:
            raise ShapeError(f"{type(self).__name__}: expected two betas, got {brief(betas)}")
        _share(type(self).__name__, beta1=betas[0], beta2=betas[1])
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        super().__init__(params, lr)

    def update(self, p: Tensor, g: Tensor, slots: Slots, lr: Tensor | float, t: Tensor | float) -> tuple[Tensor, Slots]:
        """One step of the formula above."""
        beta1, beta2 = self.betas
        if self.decoupled:
            p = p * (1 - lr * self.weight_decay)
        else:
            g = g + self.weight_decay * p
        g = _limited(g)
        m = beta1 * slots[0] + (1 - beta1) * g
        v = beta2 * slots[1] + (1 - beta2) * g * g
        corrected = _root(v) / (1 - beta2**t) ** 0.5 + self.eps
        return p - lr / (1 - beta1**t) * m / corrected, (m, v)

    def _kernel(self) -> tuple[Callable[..., None], dict[str, Any]]:
        names = ("betas", "eps", "weight_decay", "decoupled")
        return portable.adam, {"t": self.t.data} | {name: getattr(self, name) for name in names}


class AdamW(Adam):
    """Adam whose weight decay shrinks p by lr * weight_decay instead of entering the gradient (Loshchilov 2019)."""

    decoupled = True

    def __init__(
        self,
        params: Sequence[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


def _root(v: Tensor) -> Tensor:
    """sqrt(v), whose slope at 0 is taken as 0: a parameter that never had a gradient does not poison the others."""
    positive = v > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, v, 1.0)), 0.0)


def _share(name: str, **options: float) -> None:
    """ShapeError unless each option is what an average keeps of itself: a number in [0, 1)."""
    for option, value in options.items():
        number(f"{name}: {option}", value, least=0, below=1)


def _limited(g: Tensor) -> Tensor:
    """g with infinities as the largest number, as the kernels take it."""
    limit = float(np.finfo(g.dtype).max)
    return ops.clip(g, -limit, limit)


def _zeros_as(p: Tensor) -> Tensor:
    """Zeros of p's shape, in p's memory order, so that updates run along memory."""
    return Tensor(backend.xp(p.data).zeros_like(p.data))
