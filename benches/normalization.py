"""What the fused channel normalisation buys over the same formula composed of ops, forward and backward.

    python benches/normalization.py

Both run in alternation; printed are the median times and the median of the ratios of neighbours.
"""

import statistics
import time

import minigan as mg
from minigan import random

SHAPES = [(128, 64, 14, 14), (128, 6272), (64, 128, 16, 16)]
REPEATS = 30
EPS = 1e-5


def composed(x):
    """y = (x - mean) / sqrt(var + eps) per channel, one op at a time."""
    axes = tuple(a for a in range(x.ndim) if a != 1)
    centred = x - mg.mean(x, axes, keepdims=True)
    return centred * mg.rsqrt(mg.mean(mg.square(centred), axes, keepdims=True) + EPS)


def fused(x):
    """The same as one op."""
    return mg.channel_norm(x, EPS)[0]


def seconds(fn, x, cotangent):
    """How long y = fn(x) and its gradient take."""
    start = time.perf_counter()
    mg.grad(fn(x), x, cotangent)
    return time.perf_counter() - start


def main():
    print(f"{'shape':>20} {'composed':>10} {'fused':>10} {'ratio':>7}")
    for shape in SHAPES:
        x = mg.tensor(random.default().normal(shape)).reshape(-1).reshape(shape)  # channels-last, as networks have it
        cotangent = mg.tanh(x)
        seconds(composed, x, cotangent), seconds(fused, x, cotangent)
        pairs = [(seconds(composed, x, cotangent), seconds(fused, x, cotangent)) for _ in range(REPEATS)]
        slow, fast = (statistics.median(times) * 1e3 for times in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{shape!s:>20} {slow:8.2f}ms {fast:8.2f}ms {ratio:7.2f}")


if __name__ == "__main__":
    main()
