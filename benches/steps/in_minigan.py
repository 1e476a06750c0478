"""The workloads in minigan, each step captured, as training plays it.

Variants: default, with compiled kernels where there are any, and numpy, with NumPy's (worker.py chooses them).
"""

import numpy as np

import minigan as mg
from minigan import gan, nn, ops, optim
from minigan.tensor import Tensor

from .workloads import Layers, Workload, initial_weight, inputs, network


class Residual(nn.Module):
    """main(x) + shortcut(x)."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        self.main, self.shortcut = main, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


class MeanPixel(nn.Module):
    """(N, C, H, W) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.mean(x, (2, 3))


def initialised(layers: Layers) -> nn.Module:
    net = network(nn, layers, Residual, MeanPixel)
    for name, p in net.named_parameters():
        value = initial_weight(name, p.shape)
        if value is not None:
            p.copy_(value)
    return net


def image(array: np.ndarray) -> Tensor:
    """A Tensor, channels-last in memory if it is a batch of images, as minigan's data sets make them."""
    if array.ndim == 4:
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return Tensor(array)


class Bench:
    """One workload: `step(i)` runs it on the i-th batch and returns its losses, as Tensors."""

    def __init__(self, work: Workload, variant: str) -> None:
        self.work = work
        self.batches = [{name: image(a) for name, a in batch.items()} for batch in inputs(work)]
        self.d, self.g = initialised(work.discriminator), initialised(work.generator)
        self.d_opt = optim.Adam(self.d.parameters(), work.lr, work.betas)
        if work.generator:
            self.g_opt = optim.Adam(self.g.parameters(), work.lr, work.betas)
        self.turn = mg.capture(getattr(self, work.kind))

    def step(self, i: int) -> list[Tensor]:
        if self.work.kind == "sample":
            return self.sample()
        return self.turn(self.batches[i % len(self.batches)])

    def gan(self, batch: dict[str, Tensor]) -> list[Tensor]:
        loss = gan.losses.nonsaturating
        with mg.no_grad():
            fake = self.g(batch["d_noise"])
        d_loss = loss.discriminator(self.d(batch["real"]), self.d(fake))
        self.d_opt.minimize(d_loss)
        g_loss = loss.generator(self.d(self.g(batch["g_noise"])))
        self.g_opt.minimize(g_loss)
        return [d_loss, g_loss]

    def gradient_penalty(self, batch: dict[str, Tensor]) -> list[Tensor]:
        real, fake = batch["real"], batch["fake"]
        between = real + batch["mix"] * (fake - real)
        slope = gan.penalties.input_gradient(self.d, between)
        penalty = ops.mean_of(ops.lengths(slope, 1e-12), ops.square, 1, -1)
        loss = gan.losses.wasserstein.discriminator(self.d(real), self.d(fake)) + 10 * penalty
        self.d_opt.minimize(loss)
        return [loss, penalty]

    def r1(self, batch: dict[str, Tensor]) -> list[Tensor]:
        penalty = gan.penalties.r1(self.d, batch["real"], batch["fake"])
        loss = gan.losses.nonsaturating.discriminator(self.d(batch["real"]), self.d(batch["fake"])) + 5 * penalty
        self.d_opt.minimize(loss)
        return [loss, penalty]

    def sample(self) -> list[Tensor]:
        self.g.eval()
        with mg.no_grad():
            for k in range(self.work.images // self.work.batch):
                images = self.g(self.batches[k % len(self.batches)]["d_noise"])
            return [mg.mean(images), mg.mean(mg.square(images))]

    def flops(self) -> float:
        """Floating-point operations of one step, as its ops count them."""
        total = 0.0

        def count(op: mg.op.Op, args: tuple, result: Tensor, order: int) -> None:
            nonlocal total
            total += op.flops(result.data, *(a.data if isinstance(a, Tensor) else a for a in args))

        with mg.observe(count):
            self.step(0)
        return total
