"""The graph of an ONNX model while it is being made: nodes, constants, and sizes that are known only when it runs.

A network is traced with batches and images of a few sizes. What is the same in all traces is a constant of the model;
a number that differs is a size: one of an array that is there already, or made of those of the inputs.
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..blueprint import NotDescribed
from .passes import Shape

INT64, FLOAT32 = np.dtype("int64"), np.dtype("float32")
Vector = tuple[int, ...]  # a number in each of the traces


class Undetermined(NotDescribed):
    """What depends on the size of a batch or of images in a way that no node computes."""


class Varying(NamedTuple):
    """A constant argument that is not the same in all traces: its value in each."""

    values: tuple[Any, ...]


class Operand(NamedTuple):
    """An array in the graph: its name there, its shape in each trace, the type of its elements."""

    name: str
    shapes: tuple[Shape, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shapes[0])

    @property
    def sizes(self) -> list[Vector]:
        """The size of each axis, in all traces."""
        return list(zip(*self.shapes, strict=True))

    def fixed(self, axis: int) -> bool:
        """Is an axis as long in all traces?"""
        return len(set(self.sizes[axis])) == 1


class Node(NamedTuple):
    """A node of the graph; its one result goes by `name`."""

    kind: str
    inputs: tuple[str, ...]
    name: str
    attributes: dict[str, Any]


class Graph:
    """Nodes and constants, to which the counterparts of ops add theirs; `noise` says whether what is drawn is drawn."""

    def __init__(self, noise: bool) -> None:
        self.noise = noise
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.place = ""  # the module and the op that are being translated
        self._names: dict[tuple, str] = {}  # of constants by what they hold, and of sizes by array and axis
        self._sizes: dict[Vector, tuple[str, int]] = {}  # an array and an axis of that length, the latest last
        self._given: list[Vector] = []  # those of the inputs

    # --- nodes and constants ---

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The name of a new node's result."""
        name = f"{self.place}_{len(self.nodes)}"
        self.nodes.append(Node(kind, inputs, name, attributes))
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """The name of a constant, one for all that are equal."""
        array = np.asarray(value, dtype)
        key = array.shape, array.dtype.str, array.tobytes()
        if key not in self._names:
            self._names[key] = f"constant_{len(self.constants)}"
            self.constants[self._names[key]] = array
        return self._names[key]

    def cast(self, x: Operand, dtype: np.dtype) -> str:
        """The name of x with elements of that type."""
        return x.name if x.dtype == dtype else self.add("Cast", x.name, to=dtype)

    def operand(self, x: Any, dtype: np.dtype) -> str:
        """The name of an argument of that type: of an array, a number, or a number that follows from sizes."""
        if isinstance(x, Operand):
            return self.cast(x, dtype)
        if not isinstance(x, Varying):
            return self.constant(x, dtype)
        if all(isinstance(v, int) for v in x.values):
            return self.add("Cast", self.scalar(x.values), to=dtype)
        counts = tuple(round(1 / v) if v and math.isfinite(v) else 0 for v in x.values)
        if all(n and 1 / n == v for n, v in zip(counts, x.values, strict=True)):  # that of a mean
            return self.add("Reciprocal", self.add("Cast", self.scalar(counts), to=dtype))
        raise Undetermined(f"{self.place}: the number {x.values} depends on the size of the batch or of images")

    def needed(self, result: str) -> list[Node]:
        """The nodes that this result follows from, in their order."""
        names, found = {result}, []
        for node in reversed(self.nodes):
            if node.name in names:
                names.update(node.inputs)
                found.append(node)
        return found[::-1]

    # --- sizes ---

    def know(self, x: Operand, given: bool = False) -> None:
        """Sizes that differ can be asked of this array from now on; those of the inputs are `given`.

        The last array that has a size is asked: it is the nearest to what needs it, and the right one for images of an
        odd size, whose halves are rounded here and there.
        """
        for axis, size in enumerate(x.sizes):
            if not x.fixed(axis):
                self._sizes.pop(size, None)
                self._sizes[size] = x.name, axis
                if given:
                    self._given.append(size)

    def size(self, vector: Vector) -> str:
        """The name of an int64 (1,) that is this size; Undetermined if nothing says how it depends on others."""
        if len(set(vector)) == 1:
            return self.constant([vector[0]], INT64)
        if vector in self._sizes:
            return self._axis(vector)
        latest = list(reversed(self._sizes))
        for a, b in itertools.combinations_with_replacement(latest, 2):
            if all(m * n == size for m, n, size in zip(a, b, vector, strict=True)):
                return self.add("Mul", self._axis(a), self._axis(b))
        for count in range(1, len(self._given) + 1):
            for factors in itertools.combinations(self._given, count):
                products = [math.prod(numbers) for numbers in zip(*factors, strict=True)]
                ratios = {Fraction(v, p) for v, p in zip(vector, products, strict=True)}
                if len(ratios) == 1:
                    return self._multiple(factors, ratios.pop())
        raise Undetermined(f"{self.place}: nothing says how {vector} depends on the size of the batch or of images")

    def scalar(self, vector: Vector) -> str:
        """A size without an axis."""
        return self.add("Squeeze", self.size(vector), self.constant([0], INT64))

    def shape(self, vectors: Sequence[Vector]) -> str:
        """The name of an int64 (len(vectors),) of these sizes."""
        if all(len(set(vector)) == 1 for vector in vectors):
            return self.constant([vector[0] for vector in vectors], INT64)
        return self.add("Concat", *map(self.size, vectors), axis=0)

    def _axis(self, vector: Vector) -> str:
        """The size of the array that is known to have it."""
        name, axis = self._sizes[vector]
        if (name, axis) not in self._names:
            self._names[name, axis] = self.add("Shape", name, start=axis, end=axis + 1)
        return self._names[name, axis]

    def _multiple(self, factors: Sequence[Vector], ratio: Fraction) -> str:
        """The product of sizes of the inputs, times a number and divided by one."""
        found = self.size(factors[0])
        for factor in factors[1:]:
            found = self.add("Mul", found, self.size(factor))
        if ratio.numerator != 1:
            found = self.add("Mul", found, self.constant([ratio.numerator], INT64))
        return found if ratio.denominator == 1 else self.add("Div", found, self.constant([ratio.denominator], INT64))
