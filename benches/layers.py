"""Attention, modulated convolutions and residual blocks in minigan and in PyTorch, in alternation, on one thread.

    python benches/layers.py                two minutes
    python benches/layers.py --repeats 2    a look

Printed are the median milliseconds of the processor, forward, and forward with the gradients of everything, in float32:
minigan's, PyTorch's in each of its memory formats, and the median ratio of neighbours, minigan / the faster format. "in
groups" is the way to write a modulated convolution with a weight for each sample.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import minigan as mg
from minigan import nn
from minigan.tensor import Tensor

F = torch.nn.functional
RNG = np.random.default_rng(0)
FORMATS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


class Case(NamedTuple):
    title: str
    ours: Callable[..., Any]  # of the inputs and the parameters
    theirs: Callable[..., Any]
    arrays: list[np.ndarray]


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype("float32")


def layer_case(title: str, layer: Any, theirs: Callable[..., Any], *inputs: np.ndarray) -> Case:
    params = [p.numpy() for p in layer.parameters()]
    count = len(inputs)
    return Case(
        title,
        lambda *xs: nn.functional_call(layer, list(xs[count:]), *xs[:count]),
        theirs,
        [*inputs, *(p if p.any() else draw(*p.shape) * 0.1 for p in params)],
    )


def sagan(x: Any, gamma: Any, theta: Any, phi: Any, g: Any, o: Any) -> Any:
    n, c, h, w = x.shape
    queries = F.conv2d(x, theta).reshape(n, -1, h * w).transpose(1, 2)
    keys = F.max_pool2d(F.conv2d(x, phi), 2).reshape(n, -1, h * w // 4)
    values = F.max_pool2d(F.conv2d(x, g), 2).reshape(n, -1, h * w // 4)
    seen = torch.bmm(values, torch.softmax(torch.bmm(queries, keys), -1).transpose(1, 2))
    return gamma * F.conv2d(seen.reshape(n, c // 2, h, w), o) + x


def modulated(x: Any, style: Any, weight: Any, a: Any, b: Any) -> Any:
    s = F.linear(style, a, b)
    y = F.conv2d(x * s[:, :, None, None], weight, padding=weight.shape[2] // 2)
    return y * ((s.square() @ weight.square().sum((2, 3)).T) + 1e-8).rsqrt()[:, :, None, None]


def in_groups(x: Any, style: Any, weight: Any, a: Any, b: Any) -> Any:
    n, c, h, w = x.shape
    each = weight[None] * F.linear(style, a, b)[:, None, :, None, None]
    each = each * (each.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    y = F.conv2d(x.reshape(1, n * c, h, w), each.reshape(-1, c, *each.shape[3:]), padding=each.shape[3] // 2, groups=n)
    return y.reshape(n, -1, h, w)


def our_groups(x: Any, style: Any, weight: Any, a: Any, b: Any) -> Any:
    (n, c, h, w), (o, _, k, _) = x.shape, weight.shape
    scales = mg.reshape(
        mg.broadcast_to(mg.reshape(mg.linear(style, a, b), (n, c, 1)), (n, c, k * k)), (n, 1, c * k * k)
    )
    each = mg.reshape(weight, (1, o, c * k * k)) * scales
    each = each * mg.rsqrt(mg.sum(mg.square(each), 2, keepdims=True) + 1e-8)
    kernels = mg.reshape(each, (n * o, c, k, k))
    return mg.reshape(mg.conv2d(mg.reshape(x, (1, n * c, h, w)), kernels, padding=k // 2, groups=n), (n, o, h, w))


def r3gan(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any) -> Any:
    h = F.leaky_relu(F.conv2d(x, w1, b1), 0.2)
    h = F.leaky_relu(F.conv2d(h, w2, b2, padding=1, groups=len(w1) // 16), 0.2)
    return x + F.conv2d(h, w3)


def cases() -> list[Case]:
    made = []
    for n, queries, keys, e in ((64, 64, 64, 64), (16, 256, 256, 32)):
        arrays = [draw(n, queries, e), draw(n, keys, e), draw(n, keys, e)]
        title = f"attention, {n} x {queries} queries, {keys} keys of {e}"
        made.append(Case(title, mg.scaled_dot_product_attention, F.scaled_dot_product_attention, arrays))
    for c, side in ((64, 16), (64, 32)):
        layer = nn.SelfAttention2d(c)
        made.append(layer_case(f"SelfAttention2d({c}), {side}x{side}, batch 16", layer, sagan, draw(16, c, side, side)))
    for c, o, side, k in ((64, 64, 32, 3), (256, 256, 8, 3), (64, 3, 32, 1)):
        layer = nn.ModulatedConv2d(c, o, k, 128)
        case = layer_case(
            f"ModulatedConv2d({c}, {o}, {k}), {side}x{side}, batch 16",
            layer,
            modulated,
            draw(16, c, side, side),
            draw(16, 128),
        )
        made.append(case)
        made.append(case._replace(title="  in groups", ours=our_groups, theirs=in_groups))
    made.append(
        layer_case(
            "GroupedResidualBlock(64), 32x32, batch 16", nn.GroupedResidualBlock(64), r3gan, draw(16, 64, 32, 32)
        )
    )
    return made


def last(x: np.ndarray) -> np.ndarray:
    """x channels-last in memory, if it is images."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if x.ndim == 4 else x


def runs_of(case: Case, gradients: bool) -> dict[str, Callable[[], Any]]:
    """By library and format: what is timed."""
    xs = [Tensor(last(a)) for a in case.arrays]
    y = case.ours(*xs)
    cotangent = draw(*y.shape)
    ours_g = Tensor(last(cotangent))
    found: dict[str, Callable[[], Any]] = {
        "minigan": (lambda: mg.grad(case.ours(*xs), xs, ours_g)) if gradients else (lambda: case.ours(*xs))
    }
    for name, order in FORMATS.items():
        ts = [torch.tensor(a) for a in case.arrays]
        ts = [(t.to(memory_format=order) if t.ndim == 4 else t).requires_grad_() for t in ts]
        g = torch.tensor(cotangent)
        g = g.to(memory_format=order) if g.ndim == 4 else g
        t = case.theirs(*ts)
        if not np.allclose(t.detach().numpy(), y.numpy(), rtol=1e-3, atol=1e-3 * float(abs(y.numpy()).max())):
            raise SystemExit(f"{case.title}: minigan and PyTorch ({name}) do not compute the same")
        if gradients:
            found[name] = lambda ts=ts, g=g: torch.autograd.grad(case.theirs(*ts), ts, g)
        else:
            found[name] = lambda ts=ts: case.theirs(*ts)
    return found


def seconds(fn: Callable[[], Any]) -> float:
    fn()
    start = time.process_time()
    fn()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=25, help="times that each is run, in alternation")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    mg.set_num_threads(1)
    print(f"{'':58} {'':9} {'minigan':>8} {'nchw':>8} {'nhwc':>8} {'ratio':>6}")
    for case in cases():
        for gradients in (False, True):
            runs = runs_of(case, gradients)
            times = {name: [] for name in runs}
            for _ in range(repeats):
                for name, run in runs.items():
                    times[name].append(seconds(run) * 1e3)
            medians = {name: statistics.median(found) for name, found in times.items()}
            best = min(FORMATS, key=medians.__getitem__)
            ratio = statistics.median(a / b for a, b in zip(times["minigan"], times[best], strict=True))
            what = "gradients" if gradients else "forward"
            print(f"{case.title:58} {what:9} {medians['minigan']:8.2f} {medians['nchw']:8.2f} {medians['nhwc']:8.2f} "
                  f"{ratio:6.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
