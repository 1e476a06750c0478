"""What each optimisation of the CPU kernels bought: the plain way and minigan's, in alternation, in one process.

    python benches/kernels.py

Passes over memory are those in use: MINIGAN_KERNELS=numpy shows what NumPy reaches. Printed are the median times and
the median of the ratios of neighbours, after / before.
"""

import math
import statistics
import time
from collections.abc import Callable

import numpy as np

import minigan as mg
from minigan.kernels import cpu, draws, geometry, on_cpu, portable

Shape = tuple[int, int, int, int]

RNG = np.random.default_rng(0)
REPEATS = 9


def image(*shape: int) -> np.ndarray:
    """Random images (N, C, H, W), channels-last in memory."""
    n, c, h, w = shape
    return RNG.standard_normal((n, h, w, c)).astype("float32").transpose(0, 3, 1, 2)


def seconds(fn: Callable[[], object]) -> float:
    end = time.perf_counter() + 0.15
    while time.perf_counter() < end:  # the threads of a BLAS that was given both cores spin on for a while
        fn()
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start


def compare(title: str, before: Callable[[], object], after: Callable[[], object]) -> None:
    pairs = [(seconds(before), seconds(after)) for _ in range(REPEATS)]
    slow, fast = (statistics.median(times) * 1e3 for times in zip(*pairs, strict=True))
    print(f"{title:66} {slow:8.2f} {fast:8.2f} {statistics.median(b / a for a, b in pairs):6.2f}", flush=True)


def whole_batch_columns(x: np.ndarray, w: np.ndarray, s: geometry.Geometry) -> np.ndarray:
    """A convolution as one product over the columns of the whole batch, from channels-first memory."""
    (n, c, kh, kw), (_, o, oh, ow) = (len(x), *s.w[1:]), s.y
    padded = np.pad(x, ((0, 0), (0, 0), *s.pads))
    (dh, dw), reach = s.dilation, [(k - 1) * d + 1 for k, d in zip((kh, kw), s.dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))[
        :, :, :: s.stride[0], :: s.stride[1], ::dh, ::dw
    ]
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)
    return (columns @ w.reshape(o, -1).T).reshape(n, oh, ow, o).transpose(0, 3, 1, 2)


def scattered_columns(w: np.ndarray, y: np.ndarray, s: geometry.Geometry) -> np.ndarray:
    """Its transpose as one product, then one strided addition for each tap."""
    n, c = s.x[:2]
    columns = np.tensordot(y.transpose(0, 2, 3, 1), w, 1)
    x = np.zeros((n, c, *s.padded[1:3]), y.dtype)
    for i, j, rows, cols in s.taps():
        x[:, :, rows, cols] += columns[:, :, :, :, i, j].transpose(0, 3, 1, 2)
    (top, _), (left, _) = s.pads
    return x[:, :, top : top + s.x[2], left : left + s.x[3]]


def convolutions() -> None:
    """In channels-last memory, without columns of the whole batch, shared by threads."""
    convolution("5x5, 32 -> 64, 12x12, batch 128", (128, 32, 12, 12), (64, 32, 5, 5), 1, 0)
    convolution("4x4 stride 2, 64 -> 128, 14x14, batch 128", (128, 64, 14, 14), (128, 64, 4, 4), 2, 1)
    convolution("4x4 stride 2, 64 -> 128, 32x32, batch 64", (64, 64, 32, 32), (128, 64, 4, 4), 2, 1)
    convolution("4x4 stride 2, 256 -> 512, 8x8, batch 64", (64, 256, 8, 8), (512, 256, 4, 4), 2, 1)
    convolution("3x3, 128 -> 128, 16x16, batch 64", (64, 128, 16, 16), (128, 128, 3, 3), 1, 1)
    convolution("5x5, 1 -> 32, 28x28, batch 128", (128, 1, 28, 28), (32, 1, 5, 5), 1, 2)
    convolution("4x4 stride 2, 3 -> 64, 64x64, batch 64", (64, 3, 64, 64), (64, 3, 4, 4), 2, 1)
    convolution("3x3, 64 -> 3, 32x32, batch 64", (64, 64, 32, 32), (3, 64, 3, 3), 1, 1)
    convolution("3x3 dilation 2, 64 -> 64, 32x32, batch 16", (16, 64, 32, 32), (64, 64, 3, 3), 1, 2, 2)


def convolution(title: str, x_shape: Shape, w_shape: Shape, stride: int, padding: int, dilation: int = 1) -> None:
    s = geometry.convolution("conv2d", x_shape, w_shape, stride, padding, dilation, 1)
    x, w, y = image(*s.x), image(*s.w), image(*s.y)
    x_first, y_first, w_first = (np.ascontiguousarray(a) for a in (x, y, w))
    fast = on_cpu()
    compare(f"convolution {title}", lambda: whole_batch_columns(x_first, w_first, s), lambda: fast.conv(x, w, s))
    compare("  its input gradient", lambda: scattered_columns(w_first, y_first, s), lambda: fast.conv_input(w, y, s))
    compare("  its weight gradient: NumPy", lambda: cpu.conv_weight(x, y, s), lambda: fast.conv_weight(x, y, s))


def elementwise() -> None:
    """In one pass over memory, which threads share."""
    fast = on_cpu()
    x, g = image(128, 32, 24, 24), image(128, 32, 24, 24)
    compare("leaky ReLU, 128x32x24x24: np.where", lambda: np.where(x > 0, x, 0.2 * x), lambda: fast.leaky_relu(x, 0.2))
    y = fast.leaky_relu(x, 0.2)
    compare("  its gradient: np.where", lambda: np.where(y > 0, g, 0.2 * g), lambda: fast.leaky_relu_grad(g, y, 0.2))
    compare("sum, two images of that size", lambda: x + g, lambda: fast.arithmetic("add", x, g))
    s = geometry.pooling("max_pool2d", x.shape, (2, 2), None)
    pooled, winner = portable.pool_max(x, s), portable.pool_winner(x, portable.pool_max(x, s), s)
    small = image(*s.y)
    compare("max pool 2x2: NumPy", lambda: portable.pool_max(x, s), lambda: fast.pool_max(x, s))
    compare("  its winners: NumPy", lambda: portable.pool_winner(x, pooled, s), lambda: fast.pool_winner(x, pooled, s))
    compare(
        "  its gradient: NumPy",
        lambda: portable.pool_put(small, winner, s),
        lambda: fast.pool_put(small, winner, s),
    )
    compare(
        "sum over all but the channels: ndarray.sum", lambda: x.sum((0, 2, 3)), lambda: fast.sum(x, (0, 2, 3), False)
    )
    bytes_ = RNG.integers(0, 256, (2000, 28, 28), dtype=np.uint8)
    compare("2000 images of 28x28 bytes as floats", lambda: portable.scaled(bytes_), lambda: fast.scaled(bytes_))
    first = np.ascontiguousarray(x)
    compare("another order of memory", lambda: portable.channels_last(first), lambda: fast.channels_last(first))


def normalisation() -> None:
    """Forward and backward, one op at a time and fused."""
    for shape in ((128, 64, 14, 14), (128, 6272), (64, 128, 16, 16)):
        x = mg.tensor(RNG.standard_normal(shape).astype("float32")).reshape(-1).reshape(shape)
        w, b, cotangent = mg.ones(shape[1]), mg.zeros(shape[1]), mg.tanh(x)
        axes = tuple(a for a in range(x.ndim) if a != 1)
        per_channel = (1, -1, *(1 for _ in shape[2:]))

        def composed(x=x, w=w, b=b, axes=axes, per_channel=per_channel):
            centred = x - mg.mean(x, axes, keepdims=True)
            y = centred * mg.rsqrt(mg.mean(mg.square(centred), axes, keepdims=True) + 1e-5)
            return y * w.reshape(per_channel) + b.reshape(per_channel)

        def fused(x=x, w=w, b=b):
            return mg.batch_norm(x, w, b, 1e-5)[0]

        def step(fn, inputs=(x, w, b), cotangent=cotangent):
            return mg.grad(fn(), list(inputs), cotangent)

        compare(f"batch norm {shape}, with gradients: composed", lambda: step(composed), lambda: step(fused))


def optimizer() -> None:
    """Adam on 6.4 million parameters."""
    n, fast = 6_422_528, on_cpu()
    p, g, m, v = (abs(RNG.standard_normal(n)).astype("float32") for _ in range(4))

    def expression() -> None:
        m[...] = 0.5 * m + 0.5 * g
        v[...] = 0.999 * v + 0.001 * g * g
        p[...] = p - 1e-3 * m / (np.sqrt(v) + 1e-8)

    options = {"betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decoupled": False}
    lr, t = np.asarray(1e-3), np.asarray(100)
    rows = [(p, g, m, v)]
    compare(
        "Adam, 6.4 M parameters: the expression",
        expression,
        lambda: fast.update(portable.adam, rows, lr=lr, t=t, **options),
    )
    few = [tuple(abs(RNG.standard_normal(s)).astype("float32") for _ in range(4)) for s in (32, 16, 256, 16, 16, 1)]

    def one_by_one() -> None:
        for row in few:
            portable.adam(*row, lr=lr, t=t, **options)

    compare(
        "Adam, 6 small parameters: one by one",
        one_by_one,
        lambda: fast.update(portable.adam, few, lr=lr, t=t, **options),
    )


def products() -> None:
    """The three products of a linear layer, NumPy's BLAS and those in use."""
    fast = on_cpu()
    for rows, inner, columns in ((128, 1024, 6272), (128, 784, 1024), (256, 128, 128)):
        x, w, y = (RNG.standard_normal(s).astype("float32") for s in ((rows, inner), (columns, inner), (rows, columns)))
        title = f"linear {rows}x{inner} -> {columns}: NumPy"
        compare(title, lambda x=x, w=w: cpu.linear(x, w), lambda x=x, w=w: fast.linear(x, w))
        compare("  its input gradient", lambda y=y, w=w: cpu.matmul(y, w), lambda y=y, w=w: fast.matmul(y, w))
        compare(
            "  its weight gradient",
            lambda x=x, y=y: cpu.linear_weight(x, y),
            lambda x=x, y=y: fast.linear_weight(x, y),
        )


def random_numbers() -> None:
    """Normal noise of some layers' inputs, and a column times a matrix, as weight normalisation has it."""
    draw = draws.Draw(np.zeros(2, np.uint64), 0, 0)
    n = 300_000

    def in_place() -> np.ndarray:
        words = np.random.Philox(counter=0, key=draw.key).random_raw(n // 2)
        halves = words.view(np.uint32).reshape(-1, 2).astype("float32")
        radius = np.sqrt(-2 * np.log((halves[:, 0] + 1) * 2.0**-32))
        angle = halves[:, 1] * (2.0**-32 * math.tau)
        both = np.empty_like(halves)
        both[:, 0] = radius * np.cos(angle)
        both[:, 1] = radius * np.sin(angle)
        return both.reshape(-1) * 0.5 + 0.0

    compare(
        "300 000 normals: every second element, in new memory",
        in_place,
        lambda: draws.normal(draw, n, 0.0, 0.5, np.float32),
    )
    w, column = (RNG.standard_normal(shape).astype("float32") for shape in ((1000, 784), (1000, 1)))
    fast = on_cpu()
    compare("1000x784 times a column: NumPy", lambda: w * column, lambda: fast.arithmetic("multiply", w, column))


def main() -> None:
    mg.show_config()
    print(f"threads    {mg.get_num_threads()}\n")
    print(f"{'':66} {'before':>8} {'after':>8} {'ratio':>6}   (ms)")
    for part in (convolutions, elementwise, normalisation, optimizer, products, random_numbers):
        part()


if __name__ == "__main__":
    main()
