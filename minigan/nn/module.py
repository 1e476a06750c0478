"""Module: a network is an object whose attributes are its parameters, buffers and sub-networks."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from .. import backend
from ..errors import CheckpointError, unknown
from ..recording import watch, within
from ..tensor import Tensor, Version, as_dtype, matched


class _Held(Tensor):
    """A Tensor that a Module holds: a leaf with memory of its own."""

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        super().__init__(backend.xp(data.data).array(data.data) if isinstance(data, Tensor) else data)


class Parameter(_Held):
    """What an optimizer may move."""

    __slots__ = ()


class Buffer(_Held):
    """What belongs to a Module's state but is no parameter: running statistics, counters."""

    __slots__ = ()


class Module:
    """Base of every layer and network: assign Parameters, Buffers and Modules as attributes, write `forward`.

    They are found in the order of assignment and named by attribute, as torch.nn names them, so that state
    dicts of the same network move both ways.
    """

    training = True
    _path = ""
    made_with: tuple[tuple[Any, ...], dict[str, Any]]  # the arguments, so that a file can say how to make it again

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A module that knows what it was made with."""
        module = super().__new__(cls)
        vars(module)["made_with"] = args, kwargs
        return module

    def forward(self, *args: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any) -> Any:
        """forward(*args)."""
        if watch.callback is None:
            return self.forward(*args)
        with within(self._path or type(self).__name__):
            return self.forward(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if isinstance(value, _Held | Module):
            self._name_all(self._path)

    def _name_all(self, path: str) -> None:
        """Tell every tensor below the name it goes by in errors."""
        object.__setattr__(self, "_path", path)
        prefix = f"{path}." if path else ""
        for name, value in self._own(_Held):
            if value.version is None:
                value.version = Version()
            value.version.name = prefix + name
        for name, child in self._children():
            child._name_all(prefix + name)

    def rename(self, name: str) -> None:
        """Call this network `name` in error messages: "discriminator.0.weight" instead of "0.weight"."""
        self._name_all(name)

    def _own(self, kind: type) -> Iterator[tuple[str, Any]]:
        for name, value in vars(self).items():
            if isinstance(value, kind):
                yield name, value

    def _children(self) -> Iterator[tuple[str, "Module"]]:
        return self._own(Module)

    def modules(self) -> Iterator["Module"]:
        """This module and every one below it."""
        yield self
        for _, child in self._children():
            yield from child.modules()

    def named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of all parameters and buffers: a module's own parameters, its buffers, its children's."""
        for kind in (Parameter, Buffer):
            for name, value in self._own(kind):
                yield prefix + name, value
        for name, child in self._children():
            yield from child.named_tensors(f"{prefix}{name}.")

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """(name, parameter) in a stable order; a parameter shared by two layers is listed once."""
        once = {id(p): (name, p) for name, p in reversed(list(self.named_tensors())) if isinstance(p, Parameter)}
        return list(reversed(once.values()))

    def parameters(self) -> list[Tensor]:
        """The parameters, in the order in which `grad` and the optimizers take them."""
        return [p for _, p in self.named_parameters()]

    def buffers(self) -> list[Tensor]:
        """The buffers."""
        return [b for _, b in self.named_tensors() if isinstance(b, Buffer)]

    def num_parameters(self, buffers: bool = False) -> int:
        """How many numbers the parameters hold; with `buffers` also those of float buffers (moving statistics)."""
        extra = [b for b in self.buffers() if b.dtype.kind == "f"] if buffers else []
        return sum(t.size for t in [*self.parameters(), *extra])

    def state_dict(self) -> dict[str, Tensor]:
        """Every parameter and buffer by name, sharing memory with the module, in torch.nn's order."""
        return {name: value.detach() for name, value in self.named_tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy `state` (Tensors or arrays by name) into the module's own arrays.

        Raises CheckpointError naming every key that is missing, unknown or of another shape; nothing is
        copied then.
        """
        own = dict(self.named_tensors())
        arrays, missing, unknown, misshapen = matched(own, state)
        problems = [f"{k} is missing" for k in missing] + [f"{k} is unknown" for k in unknown]
        problems += [f"{k} has shape {tuple(arrays[k].shape)}, expected {own[k].shape}" for k in misshapen]
        if problems:
            raise CheckpointError(f"load_state_dict of {type(self).__name__}: {'; '.join(problems)}")
        for k, t in own.items():
            t.copy_(arrays[k], by="load_state_dict")

    def train(self, mode: bool = True) -> "Module":
        """This module with it and all below in training mode (or not)."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """This module in evaluation mode: batch norm uses its running statistics, dropout does nothing."""
        return self.train(False)

    def to(self, device: str | None = None, dtype: Any = None) -> "Module":
        """This module with its float tensors converted to `dtype` and all of them moved to `device`."""
        for _, t in self.named_tensors():
            array = t.data if dtype is None or t.dtype.kind != "f" else t.data.astype(as_dtype("Module.to", dtype))
            t.data = array if device is None else backend.to_device(array, device)
            t.node = None
            t.written("Module.to")
        return self

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise unknown("Module", name, self)

    def apply(self, fn: Callable[["Module"], Any]) -> "Module":
        """This module after fn(m) was called for it and every module below."""
        for module in self.modules():
            fn(module)
        return self

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed."""
        return ""

    def __repr__(self) -> str:
        inner = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self._children()]
        if not inner:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(inner) + "\n)"


class Sequential(Module):
    """Modules applied one after the other; named "0", "1", ... as in torch.nn."""

    def __init__(self, *layers: Module) -> None:
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def forward(self, x: Any) -> Any:
        """The last layer's result."""
        for layer in self:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return sum(1 for _ in self._children())

    def __iter__(self) -> Iterator[Module]:
        return (layer for _, layer in self._children())

    def __getitem__(self, i: int | slice) -> "Module":
        layers = [layer for _, layer in self._children()]
        if not isinstance(i, slice):
            return layers[i]
        part = Sequential()
        vars(part).update({str(k): layer for k, layer in enumerate(layers[i])})  # the layers keep their names
        vars(part)["made_with"] = tuple(layers[i]), {}
        return part
