"""Random programs: a few inputs, steps that share them and one another, and what a failing one is cut down to."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from program_draw import Draw
from program_products import MIXING
from program_steps import EXACT, guarded

import minigan as mg
from minigan.grad import depends_on, inner
from minigan.tensor import Tensor

_NAMES = re.compile(r"\b[xv]\d+\b")


@dataclass(frozen=True)
class Program:
    """Inputs by name, steps by name in their order, and the names of what is differentiated."""

    inputs: dict[str, np.ndarray]
    steps: dict[str, tuple[str, str]]  # as minigan and as PyTorch have it
    outputs: list[str]

    def __repr__(self) -> str:
        inputs = "".join(f"\n        {k!r}: {_array(a)}," for k, a in self.inputs.items())
        steps = "".join(f"\n        {k!r}: {s!r}," for k, s in self.steps.items())
        return f"Program(\n    {{{inputs}\n    }},\n    {{{steps}\n    }},\n    {self.outputs},\n)"

    def without_dead_code(self) -> "Program":
        """The same outputs by no more than they need."""
        needed = set(self.outputs)
        for name, texts in reversed(self.steps.items()):
            if name in needed:
                needed |= set(_NAMES.findall(texts[0]))
        steps = {k: s for k, s in self.steps.items() if k in needed}
        return replace(self, inputs={k: a for k, a in self.inputs.items() if k in needed}, steps=steps)


def _array(a: np.ndarray) -> str:
    text = f"array({a.tolist()}, {str(a.dtype)!r})"
    return text if a.size else f"{text}.reshape({a.shape})"


class Uncomputable(Exception):
    """A step that minigan refuses; `program` ends with it."""

    def __init__(self, error: Exception, program: Program) -> None:
        super().__init__(f"{type(error).__name__}: {error}\n{program}")
        self.program = program


def evaluate(expression: str, values: dict) -> Tensor:
    """What minigan makes of one step."""
    with np.errstate(all="ignore"):
        return eval(expression, {"mg": mg, "np": np}, values)


OTHERS = 1_000_000  # seeds from here on are nobody's first choice


def program(seed: int, dtype: str = "float64", edges: bool = False) -> Program:
    """A random program; at the `edges` its inputs hold zeros, ties, infinities and NaN. May raise Uncomputable."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, np.ndarray] = {}
    arrays: dict[str, np.ndarray] = {}
    tensors: dict[str, Tensor] = {}
    steps: dict[str, tuple[str, str]] = {}
    draw = Draw(rng, inputs, arrays, edges)
    for _ in range(1 + draw.below(3)):
        draw.fresh(draw.some_shape(), positive=draw.flip(0.3))
    makers = EXACT + [guarded] * 12 if edges else EXACT + MIXING
    length = 2 + draw.below(4 if edges else 9)
    for _ in range(10 * length):
        before = set(inputs)
        made = draw.among(makers)(draw)
        tensors |= {k: mg.tensor(a.astype(dtype)) for k, a in inputs.items() if k not in tensors}
        if made:
            try:
                result = evaluate(made[0], tensors)
            except Exception as error:
                refused = Program(_typed(inputs, dtype), {**steps, f"v{len(steps)}": made}, [f"v{len(steps)}"])
                raise Uncomputable(error, refused.without_dead_code()) from error
            values = result.numpy()
            if values.size <= 300 and (_mostly_numbers(values) if edges else _moderate(values)):
                name = f"v{len(steps)}"
                steps[name], tensors[name], arrays[name] = made, result, values
                if len(steps) == length:
                    break
                continue
        for name in set(inputs) - before:
            del inputs[name], arrays[name], tensors[name]
    if not steps:  # nothing that was drawn could be kept
        return program(seed + OTHERS, dtype, edges)
    used = {n for texts in steps.values() for n in _NAMES.findall(texts[0])}
    return Program(_typed(inputs, dtype), steps, [k for k in steps if k not in used]).without_dead_code()


def _typed(inputs: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    return {k: a.astype(dtype) for k, a in inputs.items()}


def _moderate(x: np.ndarray) -> bool:
    return bool(np.isfinite(x).all()) and (not x.size or np.abs(x).max() < 50)


def _mostly_numbers(x: np.ndarray) -> bool:
    """No -0, which ties with 0 and has another reciprocal, and nothing so small that rounding decides."""
    small = np.abs(x) < 1e-3
    return not x.size or (np.isnan(x).mean() < 0.5 and not (small & (x != 0)).any() and not np.signbit(x[small]).any())


def run(p: Program, inputs: dict[str, Tensor]) -> list[Tensor]:
    """The outputs as minigan computes them."""
    values = dict(inputs)
    for name, (ours, _) in p.steps.items():
        values[name] = evaluate(ours, values)
    return [values[k] for k in p.outputs]


def cotangents(shapes: list[tuple[int, ...]], dtype: str, seed: int) -> list[np.ndarray]:
    """Random numbers of these shapes."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(s)).astype(dtype) for s in shapes]


def derivatives(p: Program) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """(outputs, first, second) as minigan computes them, the gradients as in `gradients`."""
    inputs = {k: mg.tensor(a) for k, a in p.inputs.items()}
    outputs = run(p, inputs)
    return [y.numpy() for y in outputs], *gradients(outputs, [*inputs.values()])


def gradients(outputs: list[Tensor], inputs: list[Tensor]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(first, second): the gradient of <outputs, c>, and of <first, d>, for random c and d."""
    dtype = str(inputs[0].dtype)
    with np.errstate(all="ignore"):
        y = inner(outputs, [mg.tensor(c) for c in cotangents([y.shape for y in outputs], dtype, 1)])
        if not depends_on(y, inputs):
            nothing = [np.zeros(x.shape) for x in inputs]
            return nothing, nothing
        first = mg.grad(y, inputs, create_graph=True)
        z = inner(first, [mg.tensor(d) for d in cotangents([g.shape for g in first], dtype, 2)])
        second = mg.grad(z, inputs) if depends_on(z, inputs) else [mg.zeros_like(x) for x in inputs]
    return [g.numpy() for g in first], [h.numpy() for h in second]


def shrunken(p: Program, fails: Callable[[Program], bool]) -> Program:
    """A program with fewer steps and inputs that still fails."""
    better = True
    while better:
        better = False
        for smaller in _smaller(p):
            if _holds(fails, smaller):
                p, better = smaller, True
                break
    return p


def _holds(fails: Callable[[Program], bool], p: Program) -> bool:
    try:
        return fails(p)
    except Exception:
        return False


def _smaller(p: Program):
    """Programs that end earlier, begin later, or have smaller inputs: the smallest first."""
    if len(p.outputs) > 1 or len(p.steps) > 1:
        for name in p.steps:
            if [name] != p.outputs:
                yield replace(p, outputs=[name]).without_dead_code()
        if len(p.outputs) > 1:
            for name in p.outputs:
                yield replace(p, outputs=[o for o in p.outputs if o != name]).without_dead_code()
        for name in p.steps:
            if name not in p.outputs:
                steps = {k: s for k, s in p.steps.items() if k != name}
                try:
                    (value,) = run(replace(p, outputs=[name]), {k: mg.tensor(a) for k, a in p.inputs.items()})
                except Exception:
                    continue
                yield replace(p, inputs={**p.inputs, name: value.numpy()}, steps=steps).without_dead_code()
    for name, a in p.inputs.items():
        for axis, n in enumerate(a.shape):
            for i in range(n if n > 1 else 0):
                yield replace(p, inputs={**p.inputs, name: np.delete(a, i, axis)})
        plain = np.where(np.isfinite(a), np.round(a), a)
        if not np.array_equal(plain, a, equal_nan=True):
            yield replace(p, inputs={**p.inputs, name: plain})
