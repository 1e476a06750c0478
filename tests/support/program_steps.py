"""Steps of random programs: element by element, over axes, and where elements sit.

A maker draws operands and options and returns an expression for minigan and one with the same meaning for PyTorch, in
which values go by their names; None if nothing that has been computed so far suits it. The names that PyTorch's
expressions call are defined in program_parity.py.
"""

import math
from collections.abc import Callable

import numpy as np
from program_draw import Draw, Made

# --- element by element --------------------------------------------------------------------------------------

UNARY = {  # minigan's name: PyTorch's function, and the interval in which it is smooth and moderate
    "negative": ("torch.neg", -9, 9),
    "absolute": ("torch.abs", -9, 9),
    "square": ("torch.square", -5, 5),
    "exp": ("torch.exp", -9, 3),
    "expm1": ("torch.expm1", -9, 3),
    "log": ("torch.log", 0.1, 99),
    "log1p": ("torch.log1p", -0.8, 99),
    "sqrt": ("torch.sqrt", 0.1, 99),
    "rsqrt": ("torch.rsqrt", 0.1, 99),
    "sin": ("torch.sin", -9, 9),
    "cos": ("torch.cos", -9, 9),
    "tanh": ("torch.tanh", -9, 9),
    "sigmoid": ("torch.sigmoid", -9, 9),
    "softplus": ("softplus", -9, 9),
    "relu": ("torch.relu", -99, 99),
    "elu": ("F.elu", -9, 9),
    "leaky_relu": ("leaky_relu", -99, 99),
}
BENT = {"absolute", "relu", "elu", "leaky_relu"}  # whose slope at NaN each library chooses


def unary(d: Draw) -> Made:
    name = d.among([*UNARY])
    theirs, low, high = UNARY[name]
    x = d.number_inside(low, high) if name in BENT else d.inside(low, high)
    if x and name == "elu" and not d.values[x].all():
        return None  # at 0 its second derivative is anybody's choice
    return x and (f"mg.{name}({x})", f"{theirs}({x})")


def with_options(d: Draw) -> Made:
    x = d.number_inside(-9, 9)
    if not x or not d.values[x].all():
        return None
    low, high = d.among([(-0.5, 0.5), (None, 0.25), (-0.25, None), (0.0, 1.0), (-1.0, 2.0)])
    alpha, slope = d.among([0.5, 1.0, 2.0]), d.among([0.0, 0.2, 1.0, 1.5])
    return d.among(
        [
            (f"mg.clip({x}, {low}, {high})", f"torch.clamp({x}, {low}, {high})"),
            (f"mg.elu({x}, {alpha})", f"F.elu({x}, {alpha})"),
            (f"mg.leaky_relu({x}, {slope})", f"leaky_relu({x}, {slope})"),
            (f"mg.sign({x}) * {x}", f"torch.sign({x}) * {x}"),
        ]
    )


def power(d: Draw) -> Made:
    exponent = d.among([2 if d.edges else 0, 1, 2, 3, 2.0, 0.5, -1, -0.5, 1.5, -2])
    whole = exponent in (0, 1, 2, 3)
    x = d.inside(-4, 4) if whole else d.value(lambda x: (x > 0.2).all() and (x < 9).all())
    return x and (f"{x} ** {exponent}", f"{x} ** {exponent}")


def power_of_tensors(d: Draw) -> Made:
    a = d.value(lambda x: (x > 0.2).all() and (x < 4).all())
    if not a:
        return None
    if d.flip(0.3):
        return f"2.0 ** {a}", f"2.0 ** {a}"
    b = d.partner(d.shape(a), lambda x: d.edges or (not x.size or np.abs(x).max() < 3))
    return f"mg.power({a}, {b})", f"torch.pow({a}, {b})"


def binary(d: Draw) -> Made:
    a = d.value()
    b = d.partner(d.shape(a))
    if d.flip():
        a, b = b, a
    sign = d.among(["+", "-", "*"])
    return d.among(
        [(f"{a} {sign} {b}", f"{a} {sign} {b}")] * 3
        + [(f"mg.{name}({a}, {b})", f"torch.{name}({a}, {b})") for name in ("maximum", "minimum")]
    )


def divide(d: Draw) -> Made:
    b = d.value(lambda x: d.edges or (not x.size or np.abs(x).min() > 0.2))
    if not b:
        return None
    if d.flip(0.3):
        return f"{(n := d.number())} / {b}", f"{n} / {b}"
    a = d.partner(d.shape(b))
    return f"{a} / {b}", f"{a} / {b}"


def with_a_number(d: Draw) -> Made:
    x, n = d.value(), d.number()
    form = d.among(["{x} + {n}", "{n} - {x}", "{x} * {n}", "{x} / {n}", "{n} + {x}", "{x} - {n}", "{x} * {x} + {n}"])
    text = form.format(x=x, n=n)
    if d.flip(0.3):
        name = d.among(["maximum", "minimum"])
        return f"mg.{name}({x}, {float(n)})", f"torch.{name}({x}, constant({x}, {float(n)}))"
    return text, text


def where(d: Draw) -> Made:
    a = d.value()
    b = d.partner(d.shape(a))
    c = d.partner(np.broadcast_shapes(d.shape(a), d.shape(b)))
    mask = f"{a} {d.among(['>', '<=', '>=', '<', '!='])} {d.among([0, 0.5, c])}"
    kept, other = d.among([(a, b), (b, a), (b, c), (f"({a} * {b})", c), (a, "0.0"), ("1.0", b)])
    return f"mg.where({mask}, {kept}, {other})", f"torch.where({mask}, {kept}, {other})"


# --- over axes ------------------------------------------------------------------------------------------------


def counted(axes, shape):
    """How many elements a reduction over `axes` takes together."""
    every = range(len(shape)) if axes is None else (axes,) if isinstance(axes, int) else axes
    return math.prod(shape[a] for a in every)


def reduction(d: Draw) -> Made:
    name = d.among(["sum", "mean", "var", "max", "min", "logsumexp"])
    x = d.value()
    shape, axes, keepdims = d.shape(x), d.axes(d.shape(x)), d.flip()
    count, ddof = counted(axes, shape), d.below(2)
    if count <= (ddof if name == "var" else 0):
        return None
    if name == "var" and not (d.values[x].size and np.isfinite(d.values[x]).all()):
        return None
    every = tuple(range(len(shape))) if axes is None else axes
    theirs = {"max": "amax", "min": "amin"}.get(name, f"torch.{name}")
    if name == "var":
        ours = f"mg.var({x}, {axes}, keepdims={keepdims}, ddof={ddof})"
        return ours, f"var({x}, {every}, {ddof}, {keepdims})"
    return f"mg.{name}({x}, {axes}, keepdims={keepdims})", f"{theirs}({x}, {every}, keepdim={keepdims})"


# --- where elements sit ---------------------------------------------------------------------------------------


def reshape(d: Draw) -> Made:
    x = d.value()
    sizes, rest = [], d.values[x].size
    while rest > 1 and d.flip(0.7):
        sizes.append(d.among([k for k in range(1, rest + 1) if rest % k == 0]))
        rest //= sizes[-1]
    sizes = d.shape(x)[::-1] if rest == 0 else (*sizes, rest)
    return f"{x}.reshape({sizes})", f"{x}.reshape({sizes})"


def transpose(d: Draw) -> Made:
    x = d.value()
    order = tuple(int(a) for a in d.rng.permutation(len(d.shape(x))))
    return f"mg.transpose({x}, {order})", f"{x}.permute({order})"


def axes_of_one(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim < 4)
    if not x:
        return None
    ones = tuple(i for i, n in enumerate(d.shape(x)) if n == 1)
    if ones and d.flip():
        return f"mg.squeeze({x}, {ones})", f"torch.squeeze({x}, {ones})"
    axis = d.below(len(d.shape(x)) + 1)
    return f"mg.expand_dims({x}, {axis})", f"{x}.unsqueeze({axis})"


def broadcast(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim < 4 and x.size < 50)
    if not x:
        return None
    shape = tuple(d.size() if n == 1 else n for n in d.shape(x))
    shape = (d.size(), *shape) if d.flip() else shape
    return f"mg.broadcast_to({x}, {shape})", f"{x}.expand({shape})"


def flip(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim > 0)
    if not x:
        return None
    axes = tuple(a for a in range(len(d.shape(x))) if d.flip()) or (0,)
    return f"mg.flip({x}, {axes})", f"torch.flip({x}, {axes})"


def join(d: Draw) -> Made:
    a = d.value(lambda x: x.ndim > 0)
    if not a:
        return None
    shape, axis = d.shape(a), d.below(len(d.shape(a)))
    others = shape[:axis], shape[axis + 1 :]
    b = d.value(lambda x: x.ndim == len(shape) and (x.shape[:axis], x.shape[axis + 1 :]) == others)
    c = d.value(lambda x: x.shape == shape)
    axis -= d.among([0, len(shape)])
    names = d.among([f"[{a}, {b}]", f"[{b}, {a}, {b}]", f"[{a}]"])
    if d.flip(0.3) and len(shape) < 4:
        return f"mg.stack([{a}, {c}], {axis})", f"torch.stack([{a}, {c}], {axis})"
    return f"mg.concatenate({names}, {axis})", f"torch.cat({names}, {axis})"


def split(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim > 0 and max(x.shape) > 1)
    if not x:
        return None
    shape = d.shape(x)
    axis = d.among([a for a, n in enumerate(shape) if n > 1])
    n = shape[axis]
    cuts = sorted(d.below(n + 1) for _ in range(1 + d.below(2)))
    parts, last = d.among([(cuts, len(cuts)), (n, n - 1)])
    part, axis = d.below(last + 1), axis - d.among([0, len(shape)])
    return f"mg.split({x}, {parts}, {axis})[{part}]", f"torch.tensor_split({x}, {parts}, {axis})[{part}]"


def pad(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim > 0 and x.size < 60)
    if not x:
        return None
    widths = [(d.below(3), d.below(3)) for _ in d.shape(x)]
    if len(d.shape(x)) == 4 and d.values[x].size and d.flip():  # PyTorch refuses images without a channel
        mode, theirs = d.among([("edge", "replicate"), ("reflect", "reflect")])
        most = [n if mode == "edge" else n - 1 for n in d.shape(x)[2:]]
        (top, bottom), (left, right) = (
            tuple(min(w, n) for w in both) for both, n in zip(widths[2:], most, strict=True)
        )
        ours = f"mg.pad({x}, ((0, 0), (0, 0), ({top}, {bottom}), ({left}, {right})), mode={mode!r})"
        return ours, f"F.pad({x}, ({left}, {right}, {top}, {bottom}), {theirs!r})"
    value = d.among([0.0, 1.5])
    return f"mg.pad({x}, {widths}, {value})", f"pad({x}, {widths}, {value})"


def index(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim > 0 and x.size > 0)
    if not x:
        return None
    shape = d.shape(x)
    entries, advanced = [], d.flip(0.4)
    length = d.among([1, 2, 3])
    for n in shape[: 1 + d.below(len(shape))]:
        if d.flip(0.2):
            entries.append("None")
        if advanced and d.flip(0.6):
            entries.append(f"np.array({[int(i) for i in d.rng.integers(-n, n, length)]})")
        elif d.flip(0.2):
            entries.append(str(d.below(n) - d.among([0, n])))
        else:
            entries.append(d.among([":", "::2", "1:", "::-1", "::-2", f":{max(n - 1, 1)}", "-1:", f"{n - 1}::-1"]))
    if d.flip(0.2):
        entries.append("...")
    elif d.flip(0.2):
        mask = [bool(b) for b in d.rng.random(shape[0]) < 0.6]
        entries = [f"np.array({mask})"]
    key = f"{', '.join(entries)},"
    return f"{x}[{key}]", f"index({x}, np.s_[{key}])"


def chosen_by_values(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim > 0 and x.size > 0)
    return x and (f"{x}[{x} > 0.1]", f"{x}[{x} > 0.1]")


# --- by order, along an axis ----------------------------------------------------------------------------------


def along_an_axis(d: Draw) -> Made:
    x = d.value(lambda x: x.ndim > 0 and x.size > 0 and not np.isnan(x).any())
    if not x:
        return None
    shape = d.shape(x)
    axis = d.below(len(shape))
    n, down, k = shape[axis], d.flip(), 1 + d.below(shape[axis])
    places = d.rng.integers(0, n, (*shape[:axis], d.among([1, 2, n]), *shape[axis + 1 :])).tolist()
    into = np.shape(places)
    added = d.partner(into, lambda x: np.broadcast_shapes(x.shape, into) == into)
    shift = d.below(2 * n + 1) - n
    ours, theirs = f"np.array({places})", f"torch.tensor({places})"
    by_value = [
        (f"mg.sort({x}, {axis}, descending={down})", f"torch.sort({x}, stable=True, dim={axis}, descending={down})[0]"),
        (
            f"mg.topk({x}, {k}, {axis})[0]",
            f"torch.sort({x}, stable=True, dim={axis}, descending=True)[0].narrow({axis}, 0, {k})",
        ),
    ]
    tied = np.unique(d.values[x]).size < d.values[x].size
    return d.among(
        [
            *([] if tied and not d.edges else by_value),  # where elements tie there is no difference to take
            (f"mg.cumsum({x}, {axis})", f"torch.cumsum({x}, {axis})"),
            (f"mg.roll({x}, {shift}, {axis})", f"torch.roll({x}, {shift}, {axis})"),
            (f"mg.repeat({x}, 2, {axis})", f"torch.repeat_interleave({x}, 2, {axis})"),
            (f"mg.take_along_axis({x}, {ours}, {axis})", f"torch.gather({x}, {axis}, {theirs})"),
            (
                f"mg.scatter_add({x}, {ours}, {added}, {axis})",
                f"torch.scatter_add({x}, {axis}, {theirs}, {added}.expand({into}))",
            ),
        ]
    )


def without_a_slope(d: Draw) -> Made:
    """What depends on values in steps alone; of inputs, whose values both libraries have to the last bit."""
    if not d.inputs:
        return None
    x = d.among([*d.inputs])
    masks = [(f"mg.{name}({x})", f"torch.{name}({x})") for name in ("isnan", "isinf", "isfinite")]
    made = [(f"mg.where({a}, 0.5, {x})", f"torch.where({b}, 0.5, {x})") for a, b in masks]
    made += [(f"mg.{name}({x}) * {x}", f"torch.{name}({x}) * {x}") for name in ("floor", "ceil", "round")]
    shape = d.shape(x)
    if shape and d.values[x].size:
        axis = d.below(len(shape))
        mask = f"{x} > 0"
        made += [
            (
                f"mg.where(mg.{name}({mask}, {axis}, keepdims=True), {x}, 0.0)",
                f"torch.where(torch.{name}({mask}, {axis}, keepdim=True), {x}, 0.0)",
            )
            for name in ("any", "all")
        ]
        if not d.edges:  # where elements tie PyTorch chooses any
            made += [
                (
                    f"mg.take_along_axis({x}, mg.{name}({x}, {axis}, keepdims=True), {axis})",
                    f"torch.gather({x}, {axis}, torch.{name}({x}, {axis}, keepdim=True))",
                )
                for name in ("argmax", "argmin")
            ]
    return d.among(made)


# --- an infinite gradient that meets a zero --------------------------------------------------------------------


def guarded(d: Draw) -> Made:
    """A root, logarithm or quotient whose derivative is infinite where what is below it is not selected."""
    x = d.value(lambda x: x.ndim > 0 and x.size > 0)
    if not x:
        return None
    axis = d.below(len(d.shape(x)))
    y = d.partner(d.shape(x))
    if np.isnan(d.values[x]).any():
        return None
    inner = d.among(
        [
            (f"mg.relu({x})", f"torch.relu({x})"),
            (f"mg.leaky_relu({x}, 0.0)", f"leaky_relu({x}, 0.0)"),
            (f"mg.maximum({x}, 0.0)", f"torch.maximum({x}, constant({x}, 0.0))"),
            (f"mg.maximum({x}, {y})", f"torch.maximum({x}, {y})"),
            (f"mg.minimum({x}, {y})", f"torch.minimum({x}, {y})"),
            (f"mg.clip({x}, 0.0, 1.0)", f"torch.clamp({x}, 0.0, 1.0)"),
            (f"mg.max({x}, {axis})", f"amax({x}, {axis})"),
            (f"mg.min({x}, {axis})", f"amin({x}, {axis})"),
            (f"mg.where({x} > 0, {x}, 0.0)", f"torch.where({x} > 0, {x}, 0.0)"),
            (f"{x}[0]", f"{x}[0]"),
        ]
    )
    if len(d.shape(x)) == 4 and min(d.shape(x)) > 0 and d.flip():
        inner = f"mg.max_pool2d({x}, 1, 1)", f"F.max_pool2d({x}, 1, 1)"
        if min(d.shape(x)[2:]) > 1:
            inner = f"mg.max_pool2d({x}, 2, {(s := 1 + d.below(2))})", f"F.max_pool2d({x}, 2, {s})"
    if d.flip(0.2):
        mask, name = f"{x} {d.among(['>', '<='])} 0", d.among(["sqrt", "log", "rsqrt"])
        return f"mg.where({mask}, mg.{name}({x}), {y})", f"torch.where({mask}, torch.{name}({x}), {y})"
    form = d.among(["{lib}.sqrt({v})", "{lib}.log({v})", "1.0 / {v}", "{lib}.rsqrt({v})"])
    ours, theirs = inner
    return form.format(lib="mg", v=ours), form.format(lib="torch", v=theirs)


EXACT: list[Callable[[Draw], Made]] = [  # what keeps infinities and NaN where they are
    *[unary] * 5,
    *[binary] * 5,
    with_options,
    power,
    power_of_tensors,
    divide,
    with_a_number,
    *[where] * 2,
    *[reduction] * 2,
    reshape,
    transpose,
    axes_of_one,
    broadcast,
    flip,
    join,
    split,
    pad,
    *[index] * 3,
    chosen_by_values,
    *[along_an_axis] * 2,
    without_a_slope,
]
