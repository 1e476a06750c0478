"""What is known to train badly though it can be played."""

from ..nn import BatchNorm1d, BatchNorm2d, Module
from ..nn.reparametrize import SpectralNorm
from .losses import Loss


def doubts(loss: Loss, discriminator: Module, *, penalised: bool, limited: bool) -> list[str]:
    """A sentence for each doubt about a game of scores, whose D has a penalty or not, and limits to its slope or none.

    That is a loss without a bound whose discriminator nothing limits; a penalty on samples that batch norm mixes.
    """
    layers, found = list(discriminator.modules()), []
    if loss.unbounded and not (limited or any(isinstance(m, SpectralNorm) for m in layers)):
        found.append(
            f"nothing limits how steep the discriminator becomes, and its {loss.name} loss falls for ever as "
            "it does: give it a penalty, limits to its weights (clip, max_norm) or spectral norm"
        )
    if penalised and any(isinstance(m, BatchNorm1d | BatchNorm2d) for m in layers):
        found.append(
            "the penalty is on the slope at each sample, which batch norm in the discriminator mixes with the "
            "others': layer norm or none goes with it"
        )
    return found
