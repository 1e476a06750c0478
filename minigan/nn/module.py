"""Module: a network is an object whose attributes are its parameters, buffers and sub-networks."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from .. import backend
from ..backend import as_float_dtype
from ..errors import DTypeError, ShapeError, brief
from ..recompute import checkpoint
from ..recording import watch, within
from ..system.hints import hinted
from ..tensor import Tensor, Version, mapped, tensor
from .checks import flag
from .state import copy_all


class _Held(Tensor):
    """A Tensor that a Module holds: a leaf with memory of its own, a copy of `data`, whatever `mg.tensor` takes."""

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        super().__init__(tensor(data).data)


class Parameter(_Held):
    """What an optimizer may move: floats. DTypeError for anything else, which a Buffer can hold."""

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        if self.dtype.kind != "f":
            raise DTypeError(f"Parameter: expected floats, got {self.dtype} of shape {self.shape}; a Buffer holds them")


class Buffer(_Held):
    """What belongs to a Module's state but is no parameter: running statistics, counters."""

    __slots__ = ()


@hinted("Module")
class Module:
    """Base of every layer and network: assign Parameters, Buffers and Modules as attributes, write `forward`.

    They are found in the order of assignment, also in lists, tuples and dicts that an attribute holds, in these within
    each other, and what is appended later. They are named by attribute, place and key, as torch.nn names them and what
    its ModuleList and ModuleDict hold ("layers.0.weight", "heads.real.weight"), so that state dicts of the same network
    move both ways. An object that is to be used and not owned is kept out of attributes, or in an object of its own.
    """

    training = True
    recomputed = False  # are its inner results computed again for a gradient (`checkpointed`)?
    mixes_samples = False  # does what it computes for a sample depend on the others of the batch?
    _path = ""
    made_with: tuple[tuple[Any, ...], dict[str, Any]]  # the arguments, so that a file can say how to make it again

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A module that knows what it was made with."""
        module = super().__new__(cls)
        vars(module)["made_with"] = mapped((args, kwargs), lambda value: value)  # lists that nobody else appends to
        return module

    def __init__(self) -> None:
        """Nothing; and no arguments, unless a subclass takes some."""

    def forward(self, *args: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any) -> Any:
        """forward(*args)."""
        forward = checkpoint(self.forward) if self.recomputed else self.forward
        if watch.callback is None:
            return forward(*args)
        with within(self._path or type(self).__name__):
            return forward(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the attribute; an error for what would not be found there, or for a Tensor in a parameter's place."""
        if isinstance(value, _CHECKED):
            _check(self, name, value)
        object.__setattr__(self, name, value)
        if isinstance(value, _PARTS):
            _name_all(self, self._path)

    def rename(self, name: str) -> None:
        """Call this network `name` in error messages: "discriminator.0.weight" instead of "0.weight"."""
        _name_all(self, name)

    def modules(self) -> Iterator["Module"]:
        """This module and every one below it, each once."""
        seen: set[int] = set()
        below: list[Module] = [self]
        while below:
            module = below.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield module
                below += [child for _, child in modules_in(module)][::-1]

    def named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of all parameters and buffers: a module's own parameters, its buffers, its children's.

        ShapeError if two go by one name, as those at the keys 1 and "1" of a dict do.
        """
        named = list(tensors_in(self, prefix))
        names = [name for name, _ in named]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ShapeError(f"{type(self).__name__}: more than one tensor goes by the name {twice}")
        return iter(named)

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
        """Copy `state` (Tensors or arrays by name) into the module's own arrays, all of it or nothing.

        CheckpointError names every key that is missing, unknown, or of another shape or kind.
        """
        copy_all(dict(self.named_tensors()), state, type(self).__name__)

    def train(self, mode: bool = True) -> "Module":
        """This module with it and all below in training mode (or not)."""
        mode = flag("train: mode", mode)
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """This module in evaluation mode: batch norm uses its running statistics, dropout does nothing."""
        return self.train(False)

    def to(self, device: str | None = None, dtype: Any = None) -> "Module":
        """This module with its float tensors converted to the float type `dtype` and all of them moved to `device`."""
        floats = None if dtype is None else as_float_dtype(f"{type(self).__name__}.to", dtype)
        for _, t in self.named_tensors():
            array = t.data if floats is None or t.dtype.kind != "f" else t.data.astype(floats)
            t.data = array if device is None else backend.to_device(array, device)
            t.node = None
            t.written("Module.to")
        return self

    def apply(self, fn: Callable[["Module"], Any]) -> "Module":
        """This module after fn(m) was called for it and every module below."""
        for module in self.modules():
            fn(module)
        return self

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed."""
        return ""

    def __repr__(self) -> str:
        inner = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in modules_in(self)]
        if not inner:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(inner) + "\n)"


class Sequential(Module):
    """Modules applied one after the other; named "0", "1", ... as in torch.nn.

    They may come in one list or tuple, or in one dict with names of their own. ShapeError for what is no module.
    """

    def __init__(self, *layers: Any) -> None:
        several = layers[0] if len(layers) == 1 and isinstance(layers[0], list | tuple | dict) else layers
        for name, layer in several.items() if isinstance(several, dict) else enumerate(several):
            if not isinstance(layer, Module):
                hint = ": write a layer, such as ReLU(), or a Module with a `forward`" if callable(layer) else ""
                hint = f": write {layer.__name__}(...)" if isinstance(layer, type) else hint
                hint = ": write Sequential(*layers)" if isinstance(layer, Iterator | list | tuple) else hint
                raise ShapeError(f"{type(self).__name__}: expected modules, layer {name} is {brief(layer)}{hint}")
            if not str(name) or "." in str(name) or hasattr(type(self), str(name)):
                raise ShapeError(f"{type(self).__name__}: a layer cannot go by the name {name!r}")
            setattr(self, str(name), layer)

    def forward(self, x: Any) -> Any:
        """The last layer's result."""
        for layer in self:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __iter__(self) -> Iterator[Module]:
        return iter([value for value in vars(self).values() if isinstance(value, Module)])

    def __getitem__(self, i: int | slice) -> "Module":
        layers = list(self)
        if not isinstance(i, slice):
            return layers[i]
        part = Sequential()
        vars(part).update({str(k): layer for k, layer in enumerate(layers[i])})  # the layers keep their names
        vars(part)["made_with"] = tuple(layers[i]), {}
        return part


def parameters_of(*modules: Module) -> list[Tensor]:
    """The parameters of several networks in their order, one that two of them share but once."""
    return list({id(p): p for module in modules for p in module.parameters()}.values())


_PARTS = (_Held, Module, list, tuple, dict)  # what may belong to a module, or contain what does
_NAMELESS: Any = (set, frozenset, deque, type({}.keys()), type({}.values()))  # name nothing they hold
_CHECKED = (Tensor, *_PARTS, *_NAMELESS)


def parts_of(holder: Any) -> list[tuple[str, Any]]:
    """(name, value) of all _PARTS that a module's attributes, or a list, a tuple or a dict, hold."""
    if isinstance(holder, Module):
        return [(k, value) for k, value in vars(holder).items() if isinstance(value, _PARTS) and k != "made_with"]
    if isinstance(holder, list | tuple):
        return [(str(i), value) for i, value in enumerate(holder) if isinstance(value, _PARTS)]
    return [(str(key), value) for key, value in holder.items() if isinstance(value, _PARTS)]


def tensors_in(holder: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of the parameters right in a module or container, its buffers, and those below it."""
    parts = parts_of(holder)
    for kind in (Parameter, Buffer):
        for name, part in parts:
            if isinstance(part, kind):
                yield prefix + name, part
    for name, part in parts:
        if not isinstance(part, _Held):
            yield from tensors_in(part, f"{prefix}{name}.")


def modules_in(holder: Any, prefix: str = "") -> Iterator[tuple[str, Module]]:
    """(name, module) of the modules right below a module or container."""
    for name, part in parts_of(holder):
        if isinstance(part, Module):
            yield prefix + name, part
        elif not isinstance(part, _Held):
            yield from modules_in(part, f"{prefix}{name}.")


def _check(module: Module, name: str, value: Any) -> None:
    """Refuse what a module cannot take as its attribute of that name: it would be lost without a word, or never end."""
    place = f"{type(module).__name__}.{name}"
    if isinstance(value, Tensor) and not isinstance(value, _Held) and isinstance(vars(module).get(name), _Held):
        kind = type(vars(module)[name]).__name__
        raise DTypeError(
            f"{place}: a Tensor in the place of a {kind} would belong to nobody; "
            f"write into it with copy_, or assign a new nn.{kind}"
        )
    if isinstance(value, _NAMELESS) and any(isinstance(part, _Held | Module) for part in value):
        raise ShapeError(
            f"{place}: a {type(value).__name__} gives what it holds no names; "
            "put modules and parameters into a list, a tuple or a dict"
        )
    if any(below is module for _, child in modules_in({name: value}) for below in child.modules()):
        raise ShapeError(f"{place}: a module cannot be a part of itself")


def _name_all(holder: Any, path: str) -> None:
    """Tell every tensor below a module or container the name it goes by in errors, and every module its own."""
    if isinstance(holder, Module):
        object.__setattr__(holder, "_path", path)
    prefix = f"{path}." if path else ""
    for name, part in parts_of(holder):
        if isinstance(part, _Held):
            if part.version is None:
                part.version = Version()
            part.version.name = prefix + name
        else:
            _name_all(part, prefix + name)
