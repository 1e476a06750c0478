"""Which parameters a step has to move."""

import itertools

from minigan import nn

NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.ConditionalBatchNorm2d
SHAPES = nn.Flatten, nn.Unflatten


def movable(player):
    """The names of all parameters but biases right before a batch norm, which takes them away.

    Their gradient is zero but for rounding, and on some machines without that.
    """
    layers = [m for m in player.modules() if not isinstance(m, (nn.Sequential, *SHAPES))]
    lost = {id(getattr(a, "bias", None)) for a, b in itertools.pairwise(layers) if isinstance(b, NORMS)}
    return {name for name, p in player.named_parameters() if id(p) not in lost}
