"""Random programs against finite differences, and that a wrong rule would be found and shown."""

import numpy as np
import pytest
from op_table import over
from programs import Program, Uncomputable, derivatives, program, run, shrunken

import minigan as mg
from minigan.op import OPS
from minigan.processes import ALONE
from minigan.tensor import Tensor

array, nan, inf = np.array, np.nan, np.inf  # as a program prints its inputs


def check(p):
    """Gradients to second order against differences, in which values up to 50 leave some rounding."""

    def fn(*xs):
        return run(p, dict(zip(p.inputs, xs, strict=True)))

    if p.inputs and any(y.node is not None for y in fn(*map(Tensor, p.inputs.values()))):
        mg.testing.gradcheck(fn, [Tensor(a) for a in p.inputs.values()], rtol=1e-4, atol=1e-5)


def is_wrong(p):
    try:
        check(p)
    except mg.errors.MiniganError:
        return True
    return False


def has_a_wrong_gradient(p):
    """Rather than a step that is refused."""
    try:
        check(p)
    except mg.errors.GradcheckError:
        return True
    except mg.errors.MiniganError:
        pass
    return False


def wrong_programs(seeds):
    """The programs of these seeds that minigan refuses or differentiates wrongly, cut down."""
    found = []
    for seed in seeds:
        try:
            p = program(seed)
        except Uncomputable as refused:
            p = refused.program
        if is_wrong(p):
            found.append(shrunken(p, has_a_wrong_gradient if has_a_wrong_gradient(p) else is_wrong))
    return found


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_random_programs_against_finite_differences(first):
    found = wrong_programs(range(first, first + 100))
    assert not found, found


@pytest.mark.parametrize(
    ("first", "last"),
    [pytest.param(1000, 2000, marks=pytest.mark.slow), pytest.param(2000, 10_000, marks=pytest.mark.long)],
)
def test_many_random_programs_against_finite_differences(first, last):
    found = wrong_programs(range(first, last))
    assert not found, found


def test_a_wrong_rule_is_found_and_cut_down_to_one_step(monkeypatch):
    monkeypatch.setattr(OPS["square"], "rules", (lambda g, _y, x: g * x * 2.001,))
    shown = [repr(p) for p in wrong_programs(range(150))]
    assert shown
    for text in shown:
        p = eval(text)
        (ours, _) = next(iter(p.steps.values()))
        assert len(p.steps) == 1
        assert ours.startswith(("mg.square(", "mg.var("))
        assert max(a.size for a in p.inputs.values()) <= 4
        assert is_wrong(p)
    monkeypatch.undo()
    assert not any(is_wrong(eval(text)) for text in shown)


def test_a_refused_step_is_found_and_cut_down(monkeypatch):
    forward = OPS["sum"].forward

    def refuses(x, axes, keepdims):
        if x.ndim == 3 and keepdims:
            raise ValueError("three axes")
        return forward(x, axes, keepdims)

    monkeypatch.setattr(OPS["sum"], "forward", refuses)
    with pytest.raises(Uncomputable, match="three axes") as refused:
        [program(seed) for seed in range(300)]
    p = shrunken(refused.value.program, is_wrong)
    assert len(p.steps) == 1
    monkeypatch.undo()
    assert not is_wrong(p)


def test_programs_are_the_same_for_a_seed_and_differ_between_seeds():
    assert repr(program(5)) == repr(program(5))
    assert repr(program(5)) != repr(program(6))
    assert isinstance(eval(repr(program(5))), Program)


def test_programs_call_every_op():
    called = set()
    with mg.observe(lambda op, args, out, order: called.add(op.name)):
        for seed in range(200):
            derivatives(program(seed))
            derivatives(program(seed, edges=True))
    assert set(OPS) - called <= {"to", "astype", *over(ALONE)}
