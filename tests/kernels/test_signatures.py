"""Kernels of every device: the same functions, with the same arguments."""

import ast
import inspect
from pathlib import Path

import pytest

import minigan
from minigan.kernels import compiled, cpu, cuda, cuda_random, draws


def offered(module):
    """The functions of a module that other rooms may call."""
    functions = {name: f for name, f in vars(module).items() if inspect.isfunction(f) and not name.startswith("_")}
    return {name: f for name, f in functions.items() if f.__module__.startswith("minigan.kernels")}


def arguments(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def asked_for():
    """Every NAME of `kernels(...).NAME` in the package."""
    for path in Path(minigan.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(getattr(node, "value", None), "func", None)
            if isinstance(node, ast.Attribute) and getattr(called, "id", "") == "kernels":
                yield node.attr


def unlike(module):
    """The kernels of a module whose arguments differ from those of NumPy's kernels."""
    both = offered(cpu).keys() & offered(module).keys()
    return {name for name in both if arguments(offered(cpu)[name]) != arguments(offered(module)[name])}


def test_every_kernel_that_is_asked_for_is_in_each_module():
    asked = set(asked_for())
    assert len(asked) > 25
    assert asked <= offered(cpu).keys() & offered(compiled).keys() & offered(cuda).keys()


@pytest.mark.parametrize("module", [compiled, cuda])
def test_kernels_take_the_same_arguments_in_each_module(module):
    assert unlike(module) == set()


@pytest.mark.parametrize("name", ["words", "uniform", "normal", "integers"])
def test_random_numbers_are_drawn_by_the_same_calls(name):
    assert arguments(getattr(draws, name)) == arguments(getattr(cuda_random, name))


def test_a_difference_is_noticed(monkeypatch):
    def pool_max(x, s, out=None):
        return x

    pool_max.__module__ = cpu.__name__
    monkeypatch.setattr(cpu, "pool_max", pool_max)
    assert unlike(cuda) == {"pool_max"}
