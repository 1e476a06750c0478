"""Averaged weights, which samples are better drawn from."""

from collections.abc import Mapping
from operator import setitem
from typing import Any

from .. import backend
from ..errors import DTypeError, ShapeError, described
from ..kernels import kernels, portable
from ..kernels.calls import done
from ..nn import Module
from ..nn.checks import not_negative, number
from ..nn.state import copy_all
from ..tensor import Tensor, full


class EMA:
    """An exponential moving average of a module's parameters: shadow = decay shadow + (1 - decay) parameter.

    Buffers are copied, not averaged. Sampling from the averaged generator removes much of the oscillation of
    training (Yazici et al. 2019).

    After t updates half of an average with decay d is younger than ln 0.5 / ln d of them, its half-life. With `ramp` it
    is at most ramp * t, so that early weights are forgotten as fast as better ones come: d = 0.5^(1 / (ramp t)) as long
    as that is less than `decay` (StyleGAN2's is 0.05: Karras et al. 2020; (1 + t) / (10 + t) is nearly 0.077).
    """

    def __init__(self, module: Module, decay: float = 0.999, ramp: float = 0.0) -> None:
        number("EMA: decay", decay, least=0, below=1)
        not_negative("EMA", ramp=ramp)
        if not isinstance(module, Module):
            raise DTypeError(f"EMA: expected a Module, got {described(module)}")
        self.module = module
        self.decay, self.ramp = decay, ramp
        device = next((t.device for _, t in module.named_tensors()), "cpu")
        self.updates = full((), 0, "int64", device)  # counted if there is a ramp
        self._now = full((), decay, "float64", device)  # the decay, where a captured step sees it change
        self.shadow = {k: Tensor(backend.xp(t.data).array(t.data)) for k, t in module.named_tensors()}

    def update(self) -> None:
        """Move the average towards the module's parameters as they are now; ShapeError if some came or went."""
        averaged = {name for name, _ in self.module.named_parameters()}
        tensors = dict(self.module.named_tensors())
        if changed := sorted(tensors.keys() ^ self.shadow.keys()):
            raise ShapeError(f"EMA.update: {', '.join(changed)} came or went since the average was made")
        if self.ramp:
            done(_move_decay, self._now.data, self.updates.data, self.decay, self.ramp)
            self.updates.written("EMA.update")
        rows = []
        for name, t in tensors.items():
            s = self.shadow[name]
            if name in averaged:
                rows.append((s.data, t.data))
            else:
                done(setitem, s.data, ..., t.data)
            s.written("EMA.update")
        if rows:
            kernels(rows[0][0]).update(portable.average, rows, decay=self._now.data)

    def parameters(self) -> dict[str, Tensor]:
        """The averaged parameters by name, as `nn.functional_call` takes them."""
        return {name: self.shadow[name] for name, _ in self.module.named_parameters()}

    def state_dict(self) -> dict[str, Tensor]:
        """`shadow`, and with a ramp how many `updates` there were, sharing memory with the average."""
        return self.shadow | ({"updates": self.updates} if self.ramp else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy `state` into the average; CheckpointError, and nothing copied, if it does not fit."""
        copy_all(self.state_dict(), state, "EMA")


def _move_decay(now: backend.Array, updates: backend.Array, most: float, ramp: float) -> None:
    """Count an update, and set the decay that it is made with."""
    updates += 1
    now[...] = backend.xp(now).minimum(0.5 ** (1 / (ramp * updates)), most)
