"""Images blurred, resized and bordered, in minigan and PyTorch in turns, float32: milliseconds, and minigan / PyTorch.

    python benches/resampling.py --threads 1

Times are the least of several, as others may be at work; PyTorch's that of the faster of its two memory formats. Its
filters are grouped convolutions of padded images, as StyleGAN's code has them where it has compiled no kernel of its
own. "gradient" is that of the images alone.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

import minigan as mg
from minigan.kernels.threads import limited

F = torch.nn.functional
RNG = np.random.default_rng(0)
SHAPES = [(32, 512, 8), (32, 64, 32), (8, 32, 128), (32, 3, 64)]
WARM = 0.03  # seconds
TAPS = (1.0, 3.0, 3.0, 1.0)


def torch_filter(x: torch.Tensor, pads: tuple[int, int], down: int = 1) -> torch.Tensor:
    c = x.shape[1]
    w = torch.tensor(TAPS).div(sum(TAPS)).reshape(1, 1, 4, 1).expand(c, 1, 4, 1)
    x = F.pad(x, (*pads, *pads))
    return F.conv2d(F.conv2d(x, w, groups=c), w.reshape(c, 1, 1, 4), groups=c)[:, :, ::down, ::down]


def torch_filtered_double(x: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.shape
    zeros = F.pad(x.reshape(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).reshape(n, c, 2 * h, 2 * w)
    return torch_filter(zeros, (2, 1)) * 4


CASES: dict[str, tuple[Callable, Callable]] = {
    "blur": (mg.nn.Blur(), lambda x: torch_filter(x, (2, 1))),
    "blur and halve": (mg.nn.Blur(down=2), lambda x: torch_filter(x, (1, 1), 2)),
    "double and blur": (mg.nn.Blur(up=2), torch_filtered_double),
    "bilinear double": (
        mg.nn.Upsample(scale_factor=2, mode="bilinear"),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    ),
    "bicubic, 1.5 times": (
        mg.nn.Upsample(scale_factor=1.5, mode="bicubic"),
        lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic"),
    ),
    "bilinear half": (
        mg.nn.Upsample(scale_factor=0.5, mode="bilinear"),
        lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"),
    ),
    "reflection": (mg.nn.ReflectionPad2d(1), lambda x: F.pad(x, (1, 1, 1, 1), "reflect")),
}


def ways(name: str, array: np.ndarray) -> dict[str, tuple[Callable, Callable]]:
    """(the function, its gradient) in minigan and in PyTorch's two memory formats, of the same images."""
    ours, theirs = CASES[name]
    x = mg.tensor(array) * 1  # channels-last in memory, as an op leaves images
    x = mg.Tensor(np.ascontiguousarray(x.data.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    y = ours(x)
    g = mg.Tensor(np.ones_like(y.data))
    made = {"minigan": (lambda: ours(x), lambda: mg.grad(y, x, g))}
    for layout in (torch.contiguous_format, torch.channels_last):
        t = torch.tensor(array).contiguous(memory_format=layout)
        leaf = t.clone(memory_format=torch.preserve_format).requires_grad_()
        out = theirs(leaf)
        h = torch.ones_like(out)
        np.testing.assert_allclose(out.detach().numpy(), y.numpy(), rtol=1e-3, atol=1e-4)
        made[str(layout)] = (
            lambda t=t: theirs(t),
            lambda out=out, leaf=leaf, h=h: torch.autograd.grad(out, leaf, h, retain_graph=True),
        )
    return made


def seconds(fn: Callable[[], object]) -> float:
    """Of one call, after others: what one library leaves in the caches would slow the other down."""
    end = time.perf_counter() + WARM
    while time.perf_counter() < end:
        fn()
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start


def main(args: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    p.add_argument("--threads", type=int, default=1, help="of each library (default: 1)")
    p.add_argument("--repeats", type=int, default=9, help="of each measurement, of which the least counts (default: 9)")
    settings = p.parse_args(args)
    torch.set_num_threads(settings.threads)
    print("| | images | minigan ms | PyTorch ms | ratio | gradient: minigan | PyTorch | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    with limited(settings.threads):
        for n, c, side in SHAPES:
            array = RNG.standard_normal((n, c, side, side)).astype("float32")
            for name in CASES:
                made, cells = ways(name, array), []
                for k in range(2):
                    times: dict[str, list[float]] = {way: [] for way in made}
                    for _ in range(settings.repeats):
                        for way, fns in made.items():
                            times[way].append(seconds(fns[k]))
                    ours, *theirs = (min(each) * 1e3 for each in times.values())
                    cells += [f"{ours:.2f}", f"{min(theirs):.2f}", f"**{ours / min(theirs):.2f}**"]
                print(f"| {name} | {n} x {c} x {side} x {side} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
