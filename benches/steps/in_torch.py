"""The workloads in PyTorch, written as its DCGAN tutorial writes them.

Variants: nchw and channels_last, eager, each with the fused Adam, and both as on an Intel CPU (disguise.py); frozen is
channels_last with D's parameters out of the graph in G's turn, which the tutorial does not do; compile is channels_last
under torch.compile.
"""

import os

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from .disguise import AS_ON_INTEL
from .workloads import Layers, Workload, initial_weight, inputs, network


class Residual(nn.Module):
    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x):
        return self.main(x) + self.shortcut(x)


class MeanPixel(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Bench:
    """One workload, as in_minigan.Bench."""

    def __init__(self, work: Workload, variant: str) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        self.work = work
        variant = variant.removesuffix(AS_ON_INTEL)
        self.format = torch.contiguous_format if variant == "nchw" else torch.channels_last
        self.frozen = variant == "frozen"
        self.batches = [{name: self.tensor(a) for name, a in batch.items()} for batch in inputs(work)]
        self.d, self.g = self.initialised(work.discriminator), self.initialised(work.generator)
        self.d_opt = torch.optim.Adam(self.d.parameters(), work.lr, work.betas, fused=True)
        if work.generator:
            self.g_opt = torch.optim.Adam(self.g.parameters(), work.lr, work.betas, fused=True)
        if variant == "compile":
            self.d, self.g = torch.compile(self.d), torch.compile(self.g)
        self.step = getattr(self, work.kind)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        t = torch.from_numpy(array)
        return t.contiguous(memory_format=self.format) if t.ndim == 4 else t

    def initialised(self, layers: Layers) -> nn.Module:
        net = network(nn, layers, Residual, MeanPixel)
        with torch.no_grad():
            for name, p in net.named_parameters():
                value = initial_weight(name, tuple(p.shape))
                if value is not None:
                    p.copy_(torch.from_numpy(value))
        return net.to(memory_format=self.format)

    def minimize(self, optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def gan(self, i: int):
        batch = self.batches[i % len(self.batches)]
        with torch.no_grad():
            fake = self.g(batch["d_noise"])
        d_loss = softplus(-self.d(batch["real"])).mean() + softplus(self.d(fake)).mean()
        self.minimize(self.d_opt, d_loss)
        if self.frozen:
            self.d.requires_grad_(False)
        g_loss = softplus(-self.d(self.g(batch["g_noise"]))).mean()
        self.minimize(self.g_opt, g_loss)
        if self.frozen:
            self.d.requires_grad_(True)
        return [d_loss.detach(), g_loss.detach()]

    def slope(self, x):
        x.requires_grad_(True)
        (slope,) = torch.autograd.grad(self.d(x).sum(), x, create_graph=True)
        return slope.flatten(1)

    def gradient_penalty(self, i: int):
        batch = self.batches[i % len(self.batches)]
        real, fake = batch["real"], batch["fake"]
        slope = self.slope(real + batch["mix"] * (fake - real))
        penalty = ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
        loss = self.d(fake).mean() - self.d(real).mean() + 10 * penalty
        self.minimize(self.d_opt, loss)
        return [loss.detach(), penalty.detach()]

    def r1(self, i: int):
        batch = self.batches[i % len(self.batches)]
        penalty = self.slope(batch["real"].detach()).square().sum(1).mean()
        real = batch["real"].detach()
        loss = softplus(-self.d(real)).mean() + softplus(self.d(batch["fake"])).mean() + 5 * penalty
        self.minimize(self.d_opt, loss)
        return [loss.detach(), penalty.detach()]

    def sample(self, i: int):
        self.g.eval()
        with torch.inference_mode():
            for k in range(self.work.images // self.work.batch):
                images = self.g(self.batches[k % len(self.batches)]["d_noise"])
            return [images.mean(), images.square().mean()]
