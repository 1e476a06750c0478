"""`@op`: a function of arrays and the rules of its derivative, and what happens when it is called.

Calling an op runs the function on the arrays of its Tensors, records a Node unless recording is off, and tells
the observer, if there is one.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from . import backend
from .backend import Array
from .errors import DeviceError, DTypeError, GraphError, MiniganError, ShapeError
from .kernels.calls import made, step
from .recording import mode, no_grad, observe, watch  # noqa: F401  two for programs of earlier versions
from .system.hints import KEYWORDS
from .tensor import FLOAT32, FLOAT64, NUMBER_TYPES, Node, Tensor, Version, _tensor, as_tensor, node_of, width

OPS: dict[str, "Op"] = {}
"""Every op by name: what the op table checks, the benches time and the documentation lists."""

Rule = Callable[..., Tensor | None]
F = TypeVar("F", bound=Callable)

_CONSTANTS = NUMBER_TYPES | {tuple, str, type(None)}


class Op:
    """A forward function on arrays, one rule per Tensor argument, and the facts that others read.

    A rule maps (g, y, *args) to the gradient with respect to its argument: g is the cotangent of the result
    y. A parameter whose name starts with "_" is not kept alive; the rule sees only its shape and dtype.
    A rule that is None, or gives None, says the derivative is zero everywhere it exists. A variadic op has a
    single rule that is told the position of its argument first.

    What several rules need is computed once for them: `shared` has a function for each such value, of (g, y, *args)
    as rules are, and a rule asks for the value by a keyword-only parameter of its name.
    """

    def __init__(
        self,
        forward: Callable[..., Array],
        rules: Sequence[Rule | None],
        *,
        name: str,
        formula: str,
        flops: Callable[..., float],
        domain: tuple[float, float],
        kinks: tuple[float, ...],
        variadic: bool,
        shared: Mapping[str, Callable[..., Tensor]] | None = None,
    ) -> None:
        self.forward = forward
        self.rules = tuple(rules)
        self.shared = shared or {}
        self.name = name
        self.formula = formula
        self.flops = flops
        self.domain = domain
        self.kinks = kinks
        self.variadic = variadic
        self.inner = forward.__name__.startswith("_")  # called by functions alone, with shapes, geometries ...
        self.plain = _CONSTANTS if self.inner else NUMBER_TYPES  # what is passed on as it is
        self.__doc__ = forward.__doc__
        self.__name__ = name
        self.__module__ = forward.__module__
        self.__signature__ = inspect.signature(forward)
        self.asks = tuple(() if rule is None else _keywords(rule) for rule in rules)  # of each rule, names in `shared`
        # reads[i]: for each argument, whether rule i or what it asks for reads it; last, the same of the output y
        self.reads = tuple(
            () if rule is None else _reads([rule, *(self.shared[name] for name in asked)], variadic)
            for rule, asked in zip(rules, self.asks, strict=True)
        )
        width = max((len(r) - 1 for r in self.reads if r), default=0)
        self.keeps = tuple(any(j < len(r) - 1 and r[j] for r in self.reads) for j in range(max(width, len(self.rules))))
        self.keeps_output = any(r[-1] for r in self.reads if r)

    # of what stands in a node in place of an op: the gradients of several arguments at once (see `recompute.py`)
    gradients: Callable[[Tensor, Sequence[int]], dict[int, Tensor]] | None = None

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.formula}>"

    def __reduce__(self) -> str:
        """The name that it has in its module: a copy or a pickle of an op is that op."""
        return self.forward.__name__

    def rule(self, i: int) -> tuple[Rule | None, tuple[bool, ...]]:
        """The rule of argument `i` and what it reads; the rule is None if the derivative is zero."""
        if self.variadic:
            i = 0
        return (self.rules[i], self.reads[i]) if i < len(self.rules) else (None, ())

    def __call__(self, *args: Any) -> Tensor:
        """The op's result, recorded if recording is on: Tensors are differentiable, anything else is a constant."""
        first = None
        arrays = []
        for a in args:
            if isinstance(a, Tensor):
                array = a.data
                if first is None:
                    first = array
                elif array.dtype is not first.dtype or type(array) is not type(first):
                    _check_operands(self.name, args)
                arrays.append(array)
            elif type(a) in self.plain or (self.inner and not backend.is_array(a)):
                arrays.append(a)
            else:
                return self(*self._operands(args))
        if first is None:
            return self(*self._operands(args, numbers=False))
        try:
            y = self.forward(*arrays) if step.recorder is None else self._noted(args, arrays)
        except ValueError as error:
            if isinstance(error, ShapeError):
                raise
            raise ShapeError(f"{self.name}: {error} (tensors of shape {_shown(args, 'shape')})") from error
        except (TypeError, OverflowError) as error:
            if isinstance(error, MiniganError):
                raise
            raise DTypeError(
                f"{self.name}: {error} (tensors of {_shown(args, 'dtype')}; .astype(dtype) converts)"
            ) from error
        if isinstance(y, np.generic):  # NumPy turns 0-d results into scalars
            y = np.asarray(y)
        if y.dtype is FLOAT64 and first.dtype is not FLOAT64 and self.name != "astype" and not _any_float64(arrays):
            y = made(_narrowed, y)  # only a float64 makes a float64: integers and Python floats never do
        out = _tensor(y)
        if y.base is not None:
            _share_version(out, args)
        if mode.recording and self.rules and y.dtype.kind == "f":
            self._record(out, args)
        if watch.callback is not None:
            watch.callback(self, args, out, mode.order)
        return out

    def _noted(self, args: tuple, arrays: list[Any]) -> Array:
        """What `forward` makes of the arrays, noted by this thread's recorder, which is shown the Tensors."""
        for a in args:
            if isinstance(a, Tensor):
                step.recorder.reads(a, a.data)
        return made(self.forward, *arrays)

    def _operands(self, args: tuple, numbers: bool = True) -> list[Any]:
        """The arguments as the op takes them: Tensors and numbers; without `numbers` the first is a Tensor."""
        try:
            given = list(self.__signature__.bind(*args).args)
        except TypeError as error:
            raise DTypeError(f"{self.name}: {error}") from error
        defaults = [p.default for p in self.__signature__.parameters.values()]
        while given and given[-1] is None and defaults[len(given) - 1] is None:  # as good as left out
            given.pop()
        floats = width(given)
        for i, a in enumerate(given):
            if isinstance(a, np.generic):
                given[i] = a = a.item()  # a number never widens a type
            if (i == 0 and not numbers) or not (type(a) in self.plain or (self.inner and not backend.is_array(a))):
                given[i] = as_tensor(a, self.name, floats)
        return given

    def _record(self, out: Tensor, args: tuple) -> None:
        """Give `out` a node, if any argument is one that gradients can flow to."""
        parents: list[Node | None] = []
        kept: list[Any] = []
        versions: list[tuple[Version, int] | None] = []
        keeps = self.keeps * len(args) if self.variadic else self.keeps
        recorded = False
        for j, a in enumerate(args):
            if isinstance(a, Tensor) and a.data.dtype.kind == "f":
                recorded = True
                parents.append(a.node or node_of(a))
                if keeps[j]:
                    kept.append(a.data)
                    versions.append(None if a.version is None else (a.version, a.version.count))
                else:
                    kept.append(None)
                    versions.append(None)
            else:
                parents.append(None)
                kept.append(a)
                versions.append(None)
        if recorded:
            y = out.data
            node = out.node = Node(self, y.shape, y.dtype, mode.order)
            node.parents = tuple(parents)
            node.args = tuple(kept)
            node.versions = tuple(versions)
            if self.keeps_output:
                node.output = y
            if mode.reads is not None:
                mode.reads.note(node, args)


CHECKED: dict[str, Callable] = {}
"""Functions of Tensors as they are offered, by name: their arguments are looked at first."""


def takes_tensors(*names: str, numbers: Collection[str] = ()) -> Callable[[F], F]:
    """Decorator of a function whose first arguments, of these names, are Tensors: CHECKED has it for other arguments.

    There what `as_tensor` accepts becomes a Tensor, but for None where that is the default, and for numbers where
    `numbers` has the name. DTypeError, in words of the function, for anything else, and for arguments by a name that
    another library gives them. The function itself, which rules call, stays as it was.
    """

    def wrap(fn: F) -> F:
        parameters = {k: p for k, p in inspect.signature(fn).parameters.items() if p.kind is not p.VAR_POSITIONAL}
        options = frozenset(parameters) - {*names}
        count = len(names)
        may_end = {k + 1 for k, p in enumerate(parameters.values()) if p.default is None}  # with None, the default

        def fits(name: str, a: Any) -> bool:
            return isinstance(a, Tensor) or (type(a) in NUMBER_TYPES and name in numbers)

        def converted(given: dict[str, Any]) -> dict[str, Any]:
            floats = width(given.values())
            for name in given.keys() & {*names}:
                a = given[name].item() if isinstance(given[name], np.generic) else given[name]
                left_out = a is None and parameters[name].default is None
                if not (left_out or fits(name, a)):
                    a = as_tensor(a, f"{fn.__name__}: {name}", floats)
                given[name] = a
            return given

        @functools.wraps(fn)
        def called(*args: Any, **kwargs: Any) -> Any:
            if args and args[-1] is None and len(args) in may_end:
                args = args[:-1]
            for a in args[:count]:
                if not isinstance(a, Tensor):
                    if not all(map(fits, names, args)):
                        args = (*converted(dict(zip(names, args, strict=False))).values(), *args[count:])
                    break
            if kwargs and not options.issuperset(kwargs):
                kwargs = converted(_known(fn.__name__, parameters, kwargs))
            return fn(*args, **kwargs)

        CHECKED[fn.__name__] = called
        return fn

    return wrap


_HANDED_OVER = {"out": None, "dtype": None, "order": "C"}  # by numpy.sum(x) and the like to x.sum


def _known(function: str, parameters: Collection[str], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """`kwargs` without NumPy's defaults; DTypeError for one that is no parameter, with the name that is."""
    kept = {k: v for k, v in kwargs.items() if k in parameters or k not in _HANDED_OVER or v != _HANDED_OVER[k]}
    for name in kept:
        if name not in parameters:
            mine = next((k for k in KEYWORDS.get(name, ()) if k in parameters), None)
            told = f"; it is {mine}= here" if mine else f"; there are {', '.join(parameters)}"
            raise DTypeError(f"{function}: there is no argument {name}={told}")
    return kept


def op(
    *rules: Rule | None,
    name: str | None = None,
    formula: str = "",
    flops: Callable[..., float] = lambda y, *args: y.size,
    domain: tuple[float, float] = (-2.0, 2.0),
    kinks: tuple[float, ...] = (),
    variadic: bool = False,
    shared: Mapping[str, Callable[..., Tensor]] | None = None,
) -> Callable[[Callable[..., Array]], Op]:
    """Decorator that turns a function of arrays into an op: one rule per Tensor argument, in order.

    `formula` is how a text book writes it, `flops` counts its floating-point operations from (y, *arrays),
    `domain` is the interval in which it is tested and `kinks` the points where it has no derivative. `shared` has, by
    name, what several rules need (see `Op`).
    """

    def wrap(forward: Callable[..., Array]) -> Op:
        new = Op(
            forward,
            rules,
            name=name or forward.__name__,
            formula=formula,
            flops=flops,
            domain=domain,
            kinks=kinks,
            variadic=variadic,
            shared=shared,
        )
        if new.name in OPS:
            raise ValueError(f"op {new.name!r} is defined twice")
        OPS[new.name] = new
        return new

    return wrap


def call_rule(node: Node, i: int, g: Tensor, shared: dict[str, Tensor]) -> Tensor | None:
    """The gradient that flows from `node` to its argument `i` for the cotangent `g`; None if it is zero.

    `shared` holds what calls for other arguments, with the same g, have computed for several rules; this adds to it.
    """
    rule, reads = node.op.rule(i)
    if rule is None:
        return None
    y: Tensor | Node = _tensor(node.output, node) if reads[-1] else node
    args: list[Any] = []
    for j, parent in enumerate(node.parents):
        if parent is None:
            args.append(node.args[j])  # a number, a shape, a geometry, or a tensor of integers or booleans
        elif not reads[0 if node.op.variadic else j]:
            args.append(parent)  # shape and dtype only
        else:
            version = node.versions[j]
            x = _tensor(node.args[j], parent)
            if version is not None:
                x.version, count = version
                if x.version.count != count:
                    raise changed(node.op.name, x.version)
            args.append(x)
    asked = node.op.asks[0 if node.op.variadic else i]
    if asked:
        for name in asked:
            if name not in shared:
                shared[name] = node.op.shared[name](g, y, *args)
        rule = functools.partial(rule, **{name: shared[name] for name in asked})
    return rule(i, g, y, *args) if node.op.variadic else rule(g, y, *args)


def changed(op: str, version: Version) -> GraphError:
    """Of an op, by its name, whose argument is no longer what it was."""
    return GraphError(
        f"gradient of {op}: {version.name or 'an unnamed tensor'} was changed in place by {version.writer} "
        "after the forward pass that is being differentiated; take every gradient of a graph before an "
        "optimizer moves what it reads, or run the forward pass again"
    )


def _reads(functions: Sequence[Callable[..., Any]], variadic: bool) -> tuple[bool, ...]:
    """For each argument of the op, whether one of `functions` reads it; last, whether one reads the output.

    They are a rule and what it asks for, which take the same arguments.
    """
    found = []
    for function in functions:
        names = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        _g, y, *args = names[1:] if variadic else names
        if variadic:
            args = args[-1:]  # *xs: all alike
        found.append([not name.startswith("_") for name in (*args, y)])
    return tuple(any(reads) for reads in zip(*found, strict=True))


def _keywords(rule: Rule) -> tuple[str, ...]:
    """The names of its keyword-only parameters."""
    return tuple(p.name for p in inspect.signature(rule).parameters.values() if p.kind is p.KEYWORD_ONLY)


def _shown(args: tuple, fact: str) -> str:
    """A fact of each tensor among `args`, for a message."""
    return ", ".join(str(getattr(a, fact)) for a in args if isinstance(a, Tensor))


def _narrowed(y: Array) -> Array:
    return y.astype(FLOAT32)


def _any_float64(arrays: list) -> bool:
    return any(getattr(a, "dtype", FLOAT32) == FLOAT64 for a in arrays)


def _share_version(out: Tensor, args: tuple) -> None:
    """A view of a leaf's memory is changed when the leaf is, so it shares the leaf's version."""
    for a in args:
        if isinstance(a, Tensor) and (out.data.base is a.data or out.data.base is a.data.base is not None):
            if a.version is None and a.node is None:
                a.version = Version()
            out.version = a.version
            return


def _check_operands(name: str, args: tuple) -> None:
    """Raise if the tensors among `args` live on two devices or have two float widths."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    devices = [t.device for t in tensors]
    if len(set(devices)) > 1:
        found = ", ".join(f"{t.shape} on {d}" for t, d in zip(tensors, devices, strict=True))
        raise DeviceError(f"{name}: operands are on different devices ({found}); move one with .to(device)")
    floats = [t for t in tensors if t.dtype.kind == "f"]
    if len({t.dtype for t in floats}) > 1:
        found = ", ".join(f"{t.shape} {t.dtype}" for t in floats)
        raise DTypeError(f"{name}: operands have different float widths ({found}); convert one with .astype(dtype)")
