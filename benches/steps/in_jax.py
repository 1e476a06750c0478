"""The workloads in JAX, each turn one jitted function. Running statistics of batch norm are not kept."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from .workloads import Layers, Workload, initial_weight, inputs

Params = dict[str, jax.Array]
Array = jax.Array


def parameters(layers: Layers, prefix: str = "") -> Params:
    """The parameters of these layers by PyTorch's names."""
    found: Params = {}
    for k, (name, *options) in enumerate(layers):
        path = f"{prefix}{k}."
        shapes: dict[str, tuple[int, ...]] = {}
        if name == "residual":
            found |= parameters(options[0], f"{path}main.") | parameters(options[1], f"{path}shortcut.")
        elif name == "linear":
            shapes = {"weight": (options[1], options[0]), "bias": (options[1],)}
        elif name in ("conv", "conv_transpose"):
            i, o, size = options[:3]
            shapes = {"weight": (*((o, i) if name == "conv" else (i, o)), size, size), "bias": (o,)}
        elif name.startswith("batch_norm"):
            shapes = {"weight": (options[0],), "bias": (options[0],)}
        for part, shape in shapes.items():
            value = initial_weight(path + part, shape)
            found[path + part] = jnp.asarray(np.ones(shape, "float32") if value is None else value)
    return found


def convolve(x: Array, w: Array, stride: int, padding: int, dilation: int = 1) -> Array:
    numbers = ("NCHW", "OIHW", "NCHW")
    pads, dilated = [(padding, padding)] * 2, (dilation, dilation)
    return lax.conv_general_dilated(x, w, (stride, stride), pads, dilated, dimension_numbers=numbers)


def pool(x: Array, size: int, start: float, combine: Callable) -> Array:
    return lax.reduce_window(x, start, combine, (1, 1, size, size), (1, 1, size, size), "VALID")


def apply(layers: Layers, p: Params, x: Array, training: bool = True, prefix: str = "") -> Array:
    """The network's result."""
    for k, (name, *options) in enumerate(layers):
        path = f"{prefix}{k}."
        w, b = p.get(path + "weight"), p.get(path + "bias")
        channels = (1, -1, *(1 for _ in x.shape[2:]))
        if name == "residual":
            main, shortcut = options
            x = apply(main, p, x, training, f"{path}main.") + apply(shortcut, p, x, training, f"{path}shortcut.")
        elif name == "linear":
            x = x @ w.T + b
        elif name == "conv":
            x = convolve(x, w, *options[3:]) + b.reshape(channels)
        elif name == "conv_transpose":
            size, stride, padding = options[2:]
            flipped = jnp.flip(w, (2, 3)).transpose(1, 0, 2, 3)
            x = convolve(x, flipped, 1, size - 1 - padding, stride) + b.reshape(channels)
        elif name.startswith("batch_norm"):
            axes = tuple(a for a in range(x.ndim) if a != 1)
            mean, var = (x.mean(axes, keepdims=True), x.var(axes, keepdims=True)) if training else (0, 1)
            x = (x - mean) * lax.rsqrt(var + jnp.float32(1e-5)) * w.reshape(channels) + b.reshape(channels)
        elif name == "relu":
            x = jax.nn.relu(x)
        elif name == "leaky_relu":
            x = jax.nn.leaky_relu(x, options[0])
        elif name == "tanh":
            x = jnp.tanh(x)
        elif name == "max_pool":
            x = pool(x, options[0], -jnp.inf, lax.max)
        elif name == "avg_pool":
            x = pool(x, options[0], 0.0, lax.add) / options[0] ** 2
        elif name == "mean_pixel":
            x = x.mean((2, 3))
        elif name == "flatten":
            x = x.reshape(len(x), -1)
        elif name == "unflatten":
            x = x.reshape(len(x), *options[1])
    return x


def adam(p: Params, g: Params, state: Any, work: Workload) -> tuple[Params, Any]:
    m, v, t = state
    (one, two), t = work.betas, t + 1
    m = jax.tree.map(lambda m, g: one * m + (1 - one) * g, m, g)
    v = jax.tree.map(lambda v, g: two * v + (1 - two) * g * g, v, g)
    rate, correction = work.lr / (1 - one**t), jnp.sqrt(1 - two**t)
    return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / correction + 1e-8), p, m, v), (m, v, t)


class Bench:
    """One workload, as in_minigan.Bench."""

    def __init__(self, work: Workload, variant: str) -> None:
        self.work = work
        self.batches = [{name: jnp.asarray(a) for name, a in batch.items()} for batch in inputs(work)]
        self.d, self.g = parameters(work.discriminator), parameters(work.generator)
        self.d_state, self.g_state = (self.fresh(p) for p in (self.d, self.g))
        self.d_turn = jax.jit(self.turn(getattr(self, f"{work.kind}_d", None)))
        self.g_turn = jax.jit(self.turn(self.gan_g))
        self.generate = jax.jit(lambda g, z: apply(work.generator, g, z, training=False))

    @staticmethod
    def fresh(p: Params) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, p)
        return zeros, zeros, jnp.float32(0)

    def turn(self, loss: Callable | None) -> Callable:
        def step(p: Params, state: Any, other: Params, batch: dict[str, Array]) -> Any:
            (value, shown), g = jax.value_and_grad(loss, has_aux=True)(p, other, batch)
            return *adam(p, g, state, self.work), value, shown

        return step

    def score(self, d: Params, x: Array) -> Array:
        return apply(self.work.discriminator, d, x)

    def gan_d(self, d: Params, g: Params, batch: dict[str, Array]) -> Any:
        fake = apply(self.work.generator, g, batch["d_noise"])
        real = jax.nn.softplus(-self.score(d, batch["real"])).mean()
        return real + jax.nn.softplus(self.score(d, fake)).mean(), 0.0

    def gan_g(self, g: Params, d: Params, batch: dict[str, Array]) -> Any:
        return jax.nn.softplus(-self.score(d, apply(self.work.generator, g, batch["g_noise"]))).mean(), 0.0

    def squared_slopes(self, d: Params, x: Array) -> Array:
        slope = jax.grad(lambda x: self.score(d, x).sum())(x)
        return (slope**2).reshape(len(x), -1).sum(1)

    def gradient_penalty_d(self, d: Params, g: Params, batch: dict[str, Array]) -> Any:
        real, fake = batch["real"], batch["fake"]
        norm = jnp.sqrt(self.squared_slopes(d, real + batch["mix"] * (fake - real)) + 1e-12)
        penalty = ((norm - 1) ** 2).mean()
        return self.score(d, fake).mean() - self.score(d, real).mean() + 10 * penalty, penalty

    def r1_d(self, d: Params, g: Params, batch: dict[str, Array]) -> Any:
        penalty = self.squared_slopes(d, batch["real"]).mean()
        return self.gan_scores(d, batch) + 5 * penalty, penalty

    def gan_scores(self, d: Params, batch: dict[str, Array]) -> Array:
        real = jax.nn.softplus(-self.score(d, batch["real"])).mean()
        return real + jax.nn.softplus(self.score(d, batch["fake"])).mean()

    def step(self, i: int) -> list[Array]:
        batch = self.batches[i % len(self.batches)]
        if self.work.kind == "sample":
            for k in range(math.ceil(self.work.images / self.work.batch)):
                images = self.generate(self.g, self.batches[k % len(self.batches)]["d_noise"])
            return jax.block_until_ready([images.mean(), (images**2).mean()])
        self.d, self.d_state, d_loss, shown = self.d_turn(self.d, self.d_state, self.g, batch)
        if self.work.kind != "gan":
            return jax.block_until_ready([d_loss, shown])
        self.g, self.g_state, g_loss, _ = self.g_turn(self.g, self.g_state, self.d, batch)
        return jax.block_until_ready([d_loss, g_loss])
