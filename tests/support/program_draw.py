"""Random operands and options for the steps of random programs."""

import math

import numpy as np

Made = tuple[str, str] | None  # a step as minigan and as PyTorch have it; None if nothing suits it

EDGES = {0.0: 0.4, 1.0: 0.15, -1.0: 0.1, 2.0: 0.15, math.inf: 0.08, -math.inf: 0.08, math.nan: 0.04}  # how often each


class Draw:
    """Random operands among the values computed so far, and random options."""

    def __init__(self, rng, inputs, values, edges):
        self.rng = rng
        self.inputs = inputs
        self.values = values  # arrays by name: the inputs and what steps made of them
        self.edges = edges  # may a step meet zeros, ties, infinities and NaN?

    def flip(self, chance=0.5):
        return self.rng.random() < chance

    def below(self, n):
        return int(self.rng.integers(n))

    def among(self, choices):
        return choices[self.below(len(choices))]

    def size(self):
        return self.among([1, 1, 2, 2, 3, 3, 4, 4, 5, 0 if self.flip(0.3) else 2])

    def some_shape(self, most=4):
        return tuple(self.size() for _ in range(self.below(most + 1)))

    def fresh(self, shape, positive=False):
        """The name of a new input."""
        x = np.asarray(self.rng.standard_normal(shape))
        if positive:
            x = np.asarray(np.abs(x) + 0.5)
        if self.edges:
            special = self.rng.choice([*EDGES], shape, p=[*EDGES.values()])
            x = np.where(self.rng.random(shape) < 0.4, special, np.round(x, 2) + 0.0)  # nothing tiny, and no -0
        name = f"x{len(self.inputs)}"
        self.inputs[name] = self.values[name] = np.asarray(x)
        return name

    def value(self, fits=lambda x: True):
        """The name of a value that fits, of recent ones rather than of old ones; None if there is none."""
        names = [n for n, x in self.values.items() if fits(x)]
        if not names:
            return None
        return names[-1 - min(self.below(4), len(names) - 1)] if self.flip(0.6) else self.among(names)

    def inside(self, low=-math.inf, high=math.inf):
        """A value whose elements all lie between the limits; at the edges, any."""
        return self.value(lambda x: self.edges or (not x.size or (x.min() > low and x.max() < high)))

    def number_inside(self, low, high):
        """The same without NaN."""
        name = self.inside(low, high)
        return None if name and np.isnan(self.values[name]).any() else name

    def shape(self, name):
        return self.values[name].shape

    def partner(self, shape, fits=lambda x: True):
        """A value that broadcasts with `shape`: one that is there, or a new one."""

        def broadcasts(x):
            try:
                return np.prod(np.broadcast_shapes(x.shape, shape)) <= 200 and fits(x)
            except ValueError:
                return False

        return (self.value(broadcasts) if self.flip(0.7) else None) or self.fresh(self.thinned(shape), positive=True)

    def thinned(self, shape):
        """A shape that broadcasts to `shape`."""
        kept = tuple(n if self.flip(0.7) else 1 for n in shape)
        return kept[self.below(len(kept) + 1) :] if self.flip(0.3) else kept

    def image(self, channels=1):
        """A batch of images whose channels are a multiple of that many, old or new."""
        name = self.value(lambda x: x.ndim == 4 and min(x.shape[1:]) > 0 and x.shape[1] % channels == 0)
        if name and self.flip(0.7):
            return name
        n = self.among([1, 2, 2, 3, 0 if self.flip(0.3) else 1])
        return self.fresh((n, channels * self.among([1, 1, 2, 3]), 1 + self.below(5), 1 + self.below(5)))

    def number(self):
        return self.among([0.5, -1.5, 2.0, 0.25, -0.75, 3, -2])

    def axes(self, shape):
        """None, an axis or several, some counted from the end."""
        if not shape or self.flip(0.3):
            return None
        many = 1 if self.flip(0.6) else 1 + self.below(len(shape))
        axes = [int(a) for a in self.rng.permutation(len(shape))[:many]]
        axes = [a - len(shape) if self.flip(0.3) else a for a in axes]
        return axes[0] if many == 1 and self.flip() else tuple(axes)
