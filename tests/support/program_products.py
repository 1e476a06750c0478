"""Steps of random programs: products, images and losses. Makers as in program_steps.py."""

from collections.abc import Callable

from program_draw import Draw, Made


def matmul(d: Draw) -> Made:
    a = d.value(lambda x: 0 < x.ndim < 4 and x.size < 60)
    if not a:
        return None
    *batch, k = d.shape(a)
    shape = d.among([(k,), (k, d.size()), (*batch[:-1], k, d.size())])
    b = d.value(lambda x: x.shape == shape) or d.fresh(shape)
    if d.flip(0.3) and len(d.shape(a)) > 1:
        w = d.fresh((d.size(), k))
        bias = d.fresh(d.shape(w)[:1])
        return f"mg.linear({a}, {w}, {bias})", f"F.linear({a}, {w}, {bias})"
    return f"{a} @ {b}", f"{a} @ {b}"


EINSUMS = {1: ["i->", "i"], 2: ["ij->ji", "ij->j", "ji", "ij->"], 3: ["abc->ca", "cab", "abc->b"]}
PAIRS = {1: ["i,j->ij", "i,i->", "j,i"], 2: ["ij,jk->ik", "ba,cb", "ij,ij->i", "ij,kj", "ij,k->kji", "ij,jk->"]}
PAIRS[3] = ["bij,bjk->bik", "abc,cd->bd", "cba,ad"]


def einsum(d: Draw) -> Made:
    a = d.value(lambda x: 0 < x.ndim < 4 and x.size < 60)
    if not a:
        return None
    shape = d.shape(a)
    if d.flip(0.3):
        text = d.among(EINSUMS[len(shape)])
        return f"mg.einsum({text!r}, {a})", f"torch.einsum({text!r}, {a})"
    text = d.among(PAIRS[len(shape)])
    left, right = text.split("->")[0].split(",")
    sizes = dict(zip(left, shape, strict=True))
    b = d.fresh(tuple(sizes.setdefault(i, 1 + d.below(3)) for i in right))
    return f"mg.einsum({text!r}, {a}, {b})", f"torch.einsum({text!r}, {a}, {b})"


# --- images ---------------------------------------------------------------------------------------------------


def convolution(d: Draw) -> Made:
    groups = d.among([1, 1, 1, 2])
    x = d.image(groups)
    _, c, *size = d.shape(x)
    stride, kernel = [(1 + d.below(3), 1 + d.below(3)) for _ in range(2)]
    dilation = d.among([(1, 1), (1, 1), (2, 1), (1, 2), (2, 3)])
    kernel = d.among([kernel, kernel, (1, 1), (1, 3), (3, 1), (4, 4)])
    stride = d.among([stride, (1, 1), (2, 2)])
    pads = d.among([((0, 0), (0, 0)), ((1, 1), (1, 1)), tuple((d.below(4), d.below(4)) for _ in range(2))])
    extent = [(k - 1) * s + 1 for k, s in zip(kernel, dilation, strict=True)]
    pads = tuple(
        (a + max(0, e - n - a - b), b) for n, e, (a, b) in zip(size, extent, pads, strict=True)
    )  # so that one window fits
    w = d.fresh((groups * (1 + d.below(2)), c // groups, *kernel))
    bias = d.fresh(d.shape(w)[:1]) if d.flip() else None
    options = f"stride={stride}, dilation={dilation}, groups={groups}"
    ours = f"mg.conv2d({x}, {w}, {bias}, padding={pads}, {options})"
    return ours, f"F.conv2d(pad({x}, [(0, 0), (0, 0), *{pads}], 0.0), {w}, {bias}, {options})"


def transposed(d: Draw) -> Made:
    groups = d.among([1, 1, 1, 2])
    x = d.image(groups)
    _, c, *size = d.shape(x)
    stride, kernel = [(1 + d.below(3), 1 + d.below(3)) for _ in range(2)]
    dilation = d.among([(1, 1), (1, 1), (2, 1)])
    kernel = d.among([kernel, kernel, (1, 1), (1, 3)])
    full = [(n - 1) * s + (k - 1) * e + 1 for n, s, k, e in zip(size, stride, kernel, dilation, strict=True)]
    pads = tuple(d.below(min(3, (n + 1) // 2)) for n in full)
    extra = tuple(d.below(max(s, e)) for s, e in zip(stride, dilation, strict=True))
    w = d.fresh((c, 1 + d.below(2), *kernel))
    bias = d.fresh((groups * d.shape(w)[1],)) if d.flip() else None
    options = f"stride={stride}, padding={pads}, output_padding={extra}, dilation={dilation}, groups={groups}"
    return f"mg.conv_transpose2d({x}, {w}, {bias}, {options})", f"F.conv_transpose2d({x}, {w}, {bias}, {options})"


def pooling(d: Draw) -> Made:
    x = d.image()
    h, w = d.shape(x)[2:]
    window = 1 + d.below(min(h, 3)), 1 + d.below(min(w, 3))
    stride = d.among([window, (1, 1), (1 + d.below(3), 1 + d.below(3))])
    name = d.among(["max_pool2d", "avg_pool2d"])
    return f"mg.{name}({x}, {window}, {stride})", f"F.{name}({x}, {window}, {stride})"


def enlarged(d: Draw) -> Made:
    if d.flip():
        scale = d.among([(1, 2), (2, 1), (2, 2), (1, 3)])
        x = d.image()
        theirs = f"torch.repeat_interleave(torch.repeat_interleave({x}, {scale[0]}, 2), {scale[1]}, 3)"
        return f"mg.upsample_nearest({x}, {scale})", theirs
    if d.flip():
        x = d.image()
        size = tuple(1 + d.below(5) for _ in range(2))
        options = f"{size}, mode={d.among(['bilinear', 'bicubic', 'area'])!r}"
        return f"mg.interpolate({x}, {options})", f"F.interpolate({x}, {options})"
    x = d.image(4)
    if not d.values[x].size:
        return None  # PyTorch's gradient has the wrong shape
    return f"mg.pixel_shuffle({x}, 2)", f"F.pixel_shuffle({x}, 2)"


def normalised(d: Draw) -> Made:
    def spread(x):  # more than one element to a channel, and not all the same
        axes = tuple(a for a in range(x.ndim) if a != 1)
        return x.ndim in (2, 4) and x.size > x.shape[1] > 0 and (x.var(axes).min() > 0.05)

    x = d.value(spread) or d.fresh((3, 2, 2, 2))
    c = d.shape(x)[1]
    w, b, groups = d.fresh((c,)), d.fresh((c,)), d.among([1, c])
    return d.among(
        [
            (f"mg.ops.batch_norm({x}, {w}, {b}, 0.1)[0]", f"batch_norm({x}, {w}, {b}, 0.1)"),
            (f"mg.ops.channel_norm({x}, 0.1)[0]", f"batch_norm({x}, None, None, 0.1)"),
            (f"mg.ops.scale_shift({x}, {w}, {b})", f"per_channel({x}, {w}) * {x} + per_channel({x}, {b})"),
            (f"mg.ops.group_norm({x}, {groups}, {w}, {b}, 0.1)", f"F.group_norm({x}, {groups}, {w}, {b}, 0.1)"),
        ]
    )


def softmax(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim > 0 and x.size > 0)
    if not x:
        return None
    axis, name = d.below(len(d.shape(x))) - d.among([0, len(d.shape(x))]), d.among(["softmax", "log_softmax"])
    return f"mg.{name}({x}, {axis})", f"F.{name}({x}, {axis})"


def of_scores(d: Draw) -> Made:
    """What losses and penalties are made of."""
    x = d.number_inside(-9, 9)
    if not x or not d.values[x].size:
        return None
    if d.shape(x) and d.flip():
        squares = f"torch.sum(torch.square({x}).reshape({d.shape(x)[0]}, -1), 1)"
        return f"mg.ops.lengths({x}, 0.1)", f"torch.sqrt({squares} + 0.1)"
    name = d.among(["relu", "sigmoid", "softplus", "square"])
    scale, shift = d.among([(1, 0), (-1, 1), (0.5, -1)])
    theirs = f"({x} * {scale} + {shift})"
    function = "softplus" if name == "softplus" else f"torch.{name}"
    return f"mg.ops.mean_of({x}, mg.{name}, {scale}, {shift})", f"torch.mean({function}({theirs}))"


def loss(d: Draw) -> Made:
    if d.flip(0.4):
        return of_scores(d)
    if d.flip():
        x = d.value(lambda x: x.size > 0)
        if not x:
            return None
        t = d.among([0.0, 1.0, 0.9])
        theirs = f"F.binary_cross_entropy_with_logits({x}, constant({x}, {t}))"
        return f"mg.binary_cross_entropy_with_logits({x}, {t})", theirs
    x = d.value(lambda x: x.ndim == 2 and x.size > 0)
    if not x:
        return None
    n, k = d.shape(x)
    labels = [d.below(k) for _ in range(n)]
    return f"mg.cross_entropy({x}, mg.tensor({labels}))", f"F.cross_entropy({x}, torch.tensor({labels}))"


MIXING: list[Callable[[Draw], Made]] = [  # what spreads them by products and sums, each library in its own order
    softmax,
    *[matmul] * 2,
    einsum,
    *[convolution] * 3,
    *[transposed] * 2,
    *[pooling] * 2,
    enlarged,
    normalised,
    loss,
]
