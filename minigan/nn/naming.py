"""The names that PyTorch has for the tensors of a network, where they are not those of `state_dict` here."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

WRAPPERS = {
    "module": "DataParallel, DistributedDataParallel and AveragedModel",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FullyShardedDataParallel",
    "_checkpoint_wrapped_module": "checkpoint_wrapper",
}
"""What wraps a module of PyTorch puts before the names within, and who does."""

NORMALISED = {
    "original": "orig",
    "0._u": "u",
    "0._v": "v",
    "original0": "g",
    "original1": "v",
}
"""What torch.nn.utils.parametrizations calls what torch.nn.utils.spectral_norm and weight_norm called otherwise."""

COUNTERS = ("num_batches_tracked", "n_averaged")
"""How often something was updated: not what it computes."""

_PARAMETRIZED = re.compile(rf"parametrizations\.(\w+)\.({'|'.join(map(re.escape, NORMALISED))})$")


def plain(name: str) -> str:
    """A name without what wrapped its module, and with what normalises its weight called as it was first called."""
    name = ".".join(part for part in name.split(".") if part not in WRAPPERS)
    return _PARAMETRIZED.sub(lambda found: f"{found[1]}_{NORMALISED[found[2]]}", name)


def renamed(state: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`state`, by any names of PyTorch, with the names in `own` wherever that leaves no doubt.

    Counters, which old versions of PyTorch did not write and AveragedModel adds, are taken from `own` if `state` lacks
    them, and left out if `own` does. What has no name in `own` keeps its own.
    """
    meant = _by_plain_name(name for name in own if name not in state)
    given = _by_plain_name(name for name in state if name not in own)
    other = {given[name]: meant[name] for name in given.keys() & meant.keys()}
    found = {other.get(name, name): value for name, value in state.items()}
    for name in [name for name in found if name not in own and _is_counter(name)]:
        del found[name]
    return {**{name: value for name, value in own.items() if _is_counter(name)}, **found}


def _by_plain_name(names: Iterable[str]) -> dict[str, str]:
    """Each name by its plain one, but for those of which several have the same."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(plain(name), []).append(name)
    return {name: alike[0] for name, alike in found.items() if len(alike) == 1}


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] in COUNTERS
