"""The tape: what it records of a computation across orders, against definitions, differences and closed forms."""

import subprocess
import sys
import threading
from pathlib import Path

import fakecupy
import numpy as np
import pytest
from cuda_games import batches, dcgan, wgan_gp
from example_scripts import example
from fakecuda import counts
from recorded_tape import by_name, penalised

import minigan as mg
from minigan import explain
from minigan.explain.layout import columns, sections
from minigan.explain.sources import definition, rule_of
from minigan.explain.text import costs, lines
from minigan.op import OPS

LISTING = """\
forward
   1  h1     = multiply(x, w)          [3 8]   a b
   2  y      = sum(h1, (0,), False)    11      sum of x over axes

first backward
   3  g1     = reshape(dy/dy, (1,))    [1]     d/dx of sum at y: spread(dy/dy, x, (0,))
   4  g2     = broadcast_to(g1, (2,))  [1 1]   d/dx of sum at y: spread(dy/dy, x, (0,))
   5  dy/dx  = multiply(g2, w)         [3 4]   d/da of multiply at h1: g2 * w

forward
   6  h3     = multiply(dy/dx, dy/dx)  [9 16]  a b
   7  h4     = sum(h3, (0,), False)    25      sum of x over axes

second backward
   8  s1     = reshape(dh4/dh4, (1,))  [1]     d/dx of sum at h4: spread(dh4/dh4, x, (0,))
   9  s2     = broadcast_to(s1, (2,))  [1 1]   d/dx of sum at h4: spread(dh4/dh4, x, (0,))
  10  s3     = multiply(s2, dy/dx)     [3 4]   d/da of multiply at h3: s2 * dy/dx
  11  s4     = multiply(s2, dy/dx)     [3 4]   d/db of multiply at h3: s2 * dy/dx
  12  s5     = add(s3, s4)             [6 8]   contributions are added up
  13  dh4/dw = multiply(s5, g2)        [6 8]   d/db of multiply at dy/dx: s5 * g2

gradient of y (first backward)
  x  [3 4]

gradient of h4 (second backward)
  w  [6 8]"""


# --- what is recorded ---------------------------------------------------------------------------------------------


def test_a_small_computation_is_recorded_step_by_step():
    x, w = mg.tensor(np.array([1.0, 2.0])), mg.tensor(np.array([3.0, 4.0]))
    with explain.record() as tape:
        tape.name(x, "x"), tape.name(w, "w")
        y = tape.name(mg.sum(x * w), "y")
        g = mg.grad(y, x, create_graph=True)
        mg.grad(mg.sum(g * g), w)
    assert "\n".join(lines(tape)) == LISTING


def test_each_pass_has_its_order_and_each_step_its_reason():
    tape, critic, *_ = penalised()
    assert tape.orders == [0, 1, 2]
    for step in tape.steps:
        assert (step.why is None) == (step.order == 0)
        if step.why is not None:
            assert step.why.step.order < step.order
            assert step.why.step.index < step.index
            assert step.module == step.why.step.module
    second = tape.pass_of(2)
    assert {s.why.step.order for s in second} == {0, 1}  # it goes through the forward and the first backward pass
    assert {s.module for s in second} >= {"D.0", "D.1", "D.2"}
    found = by_name(tape)
    for p in critic.parameters():
        value = found[p.version.name]
        assert value.role == "parameter"
        assert value.gradients[-1].shape == p.shape


def test_numbers_are_those_of_the_computation_and_of_difference_quotients():
    tape, critic, real, fake = penalised()
    penalty = lambda: mg.gan.penalties.gradient_penalty(critic, real, fake, rng=mg.random.Stream(1))
    found, script = by_name(tape), example("backprop_through_a_critic")
    assert found["penalty"].array == penalty().numpy()
    for p, g in zip(critic.parameters(), mg.grad(penalty(), critic.parameters()), strict=True):
        recorded = found[p.version.name].gradients[-1].array
        assert np.array_equal(recorded, g.numpy())
        np.testing.assert_allclose(recorded, script.differences(lambda: penalty().item(), p), rtol=1e-6, atol=1e-6)


def test_sums_over_broadcast_axes_and_of_several_uses_are_steps():
    x, b = mg.tensor(np.ones((3, 2))), mg.tensor(np.array([1.0, 2.0]))
    with explain.record() as tape:
        y = x * b + x
        mg.grad(mg.sum(y * y), [x, b])
    doing = [step.why.doing for step in tape.steps if step.why is not None]
    assert doing.count("unbroadcast") == 1
    assert doing.count("add") == 2  # y * y, and the two uses of x
    stretched = next(s for s in tape.steps if s.why is not None and s.why.doing == "unbroadcast")
    assert stretched.why.argument == "b"
    assert "summed where b of multiply at h1 was broadcast" in "\n".join(lines(tape))


def test_values_are_as_they_were_when_they_were_seen():
    layer = mg.nn.Linear(2, 1, bias=False)
    layer.rename("D")
    before = layer.weight.numpy()
    x = mg.tensor(np.ones((1, 2), np.float32))
    with explain.record() as tape:
        first = mg.sum(layer(x))
        gradient = mg.grad(first, layer.parameters())
        mg.optim.SGD(layer.parameters(), 1.0).step(gradient)
        layer(x)
    found = by_name(tape)
    assert np.array_equal(found["D.weight"].array, before)
    assert np.array_equal(found["D.weight'"].array, layer.weight.numpy())
    assert not np.array_equal(before, layer.weight.numpy())
    assert found["D.weight'"].role == "parameter"


def test_large_values_are_kept_by_mean_and_norm():
    x = mg.tensor(np.arange(12.0).reshape(3, 4))
    with explain.record(keep=11) as tape:
        mg.sum(x * 2)
    large, total = tape.steps[0].output, tape.steps[1].output
    assert large.array is None
    assert (large.mean, large.norm) == (11.0, pytest.approx(2 * np.sqrt((np.arange(12.0) ** 2).sum())))
    assert total.array == 132
    assert "3x4, mean 11, norm 44.99" in "\n".join(lines(tape))


def test_trace_calls_inputs_as_the_function_does():
    tape = explain.trace(lambda height, width: mg.grad(mg.sum(height * width), width), *map(mg.ones, ((2,), (2,))))
    assert [v.name for v in tape.values][:2] == ["height", "width"]
    assert by_name(tape)["width"].gradients[0].array.tolist() == [1, 1]


def test_an_input_that_has_no_part_is_said_to_have_none():
    x, unused = mg.ones((2,)), mg.ones((3,))
    with explain.record() as tape:
        tape.name(unused, "unused")
        mg.grad(mg.sum(x * x), [x, unused])
    assert "  unused  0, it has no part in it" in list(lines(tape))
    assert [g.role for g in tape.gradients[0].results] == ["result", "zero"]


def test_a_gradient_that_is_the_seed_is_shown_as_it_is():
    x, b = mg.tensor(np.array(2.0)), mg.tensor(np.array(1.0))
    with explain.record() as tape:
        tape.name(x, "x"), tape.name(b, "b")
        mg.grad(tape.name(x + b, "y"), [x, b])
    assert list(lines(tape))[-2:] == ["  x  1", "  b  1"]
    assert tape.gradients[0].seed.name == "dy/dy"


def test_names_that_were_given_stay_and_shared_gradients_have_two():
    x, bias, u = mg.ones((2,)), mg.ones((2,)), mg.tensor(np.float32(3))
    with explain.record() as tape:
        tape.name(x, "x"), tape.name(bias, "bias"), tape.name(u, "u")
        mg.grad(tape.name(mg.sum(mg.square(x + bias)), "y"), [x, bias], u)
        v = bias * bias
        mg.grad(x + 1, x, v)
    found = by_name(tape)
    assert found["dy/dx, dy/dbias"].array.tolist() == [12, 12]
    assert found["u"].role == "seed"
    forward = [step.output for step in tape.steps if step.op.name == "multiply" and step.order == 0]
    assert forward == [tape.gradients[1].seed] == tape.gradients[1].results
    assert forward[0].name.startswith("h")


def test_where_a_history_is_cut_a_value_begins_anew():
    x = mg.ones((2,))
    with explain.record() as tape:
        y = tape.name(x * 2, "y")
        z = y.detach()
        z * z
        tape.name(z, "z")
        z + y
    found = by_name(tape)
    assert (found["z"].role, found["z"].of, found["z"].step) == ("cut", found["y"], None)
    assert [v.name for v in tape.steps[-1].inputs] == ["z", "y"]
    assert "style=dotted" in tape.to_dot()


def test_a_variadic_op_shows_what_its_rule_reads():
    a, b = mg.ones((2, 3)), mg.ones((2, 3))
    with explain.record() as tape:
        mg.grad(mg.sum(mg.concatenate([mg.einsum("ij,ij->i", a, b), mg.sum(a, axis=1)])), [a, b])
    given = {s.why.step.op.name: s.why.given for s in tape.steps if s.why is not None}
    assert set(given["einsum"]) == {"i", "g", "subscripts", "xs1", "xs2"}
    assert set(given["concatenate"]) == {"i", "g", "axis"}


def test_a_buffer_is_no_parameter():
    layer = mg.nn.BatchNorm1d(2)
    layer.rename("B")
    layer.eval()
    with explain.record() as tape:
        layer(mg.ones((3, 2)))
    assert {v.name: v.role for v in tape.values if v.name.startswith("B.")} == {
        **{"B.weight": "parameter", "B.bias": "parameter"},
        **{"B.running_mean": "buffer", "B.running_var": "buffer"},
    }


def test_ops_of_several_threads_are_each_recorded_once():
    x = mg.ones((4,))
    with explain.record() as tape:
        threads = [threading.Thread(target=lambda: [x * k for k in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [step.index for step in tape.steps] == list(range(200))


def test_an_op_without_a_source_is_recorded_all_the_same():
    text = "@op(lambda g, y, x: g * 3, name='triple', formula='3 x')\ndef triple(x):\n    return x * 3\n"
    space = {"op": mg.op.op}
    exec(text, space)
    try:
        with explain.record() as tape:
            x = mg.ones((2,))
            mg.grad(mg.sum(space["triple"](x)), x)
        assert any("triple at" in line for line in lines(tape))
    finally:
        del OPS["triple"]


def test_a_captured_turn_is_recorded_and_replayed_again_afterwards(monkeypatch):
    fakecupy.install(monkeypatch)
    game, source = dcgan("cuda", "float32"), batches("cuda")
    for _ in range(5):
        game.play(source)
    counts.clear()
    with explain.record(keep=4) as tape:
        game.play(source)
    assert counts.graphs == 0
    assert len(tape.steps) > 100
    counts.clear()
    game.play(source)
    assert counts.graphs == 2


def test_a_gradient_of_what_was_computed_before_is_recorded_without_its_reasons(tmp_path):
    x = mg.ones((2,))
    y = mg.sum(x * x)
    with explain.record() as tape:
        mg.grad(y, x)
    assert {step.order for step in tape.steps} == {1}
    assert all(step.why is None for step in tape.steps)
    assert len(columns(tape)) == len(tape.steps)
    tape.to_html(tmp_path / "page.html")
    tape.to_png(tmp_path / "picture.png")


def test_names_and_questions_that_come_too_late_are_refused():
    with explain.record() as tape:
        y = mg.ones((2,)) * 2
        assert tape.of(y) is tape.steps[0].output
        with pytest.raises(KeyError, match="no step of this tape has seen"):
            tape.of(mg.ones((7,)))
    with pytest.raises(RuntimeError, match="'late' comes too late"):
        tape.name(y, "late")
    with pytest.raises(RuntimeError, match="the recording has ended"):
        tape.of(y)


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
def test_a_whole_turn_of_training_is_recorded_and_changes_nothing(make):
    """Only roundings: what is computed in one when nobody looks is computed one by one."""

    def play(recorded):
        mg.random.seed(0)
        game, source = make("cpu", "float32"), batches("cpu")
        if not recorded:
            return game.play(source), None
        with explain.record(keep=16) as tape:
            return game.play(source), tape

    (alone, _), (looked, tape) = play(False), play(True)
    for name, value in alone.items():
        assert looked[name].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-6)
    assert tape.orders == ([0, 1, 2] if make is wgan_gp else [0, 1])
    assert {g.y.shape for g in tape.gradients} == ({(), (8, 1)} if make is wgan_gp else {()})  # a penalty's: all scores
    counted = costs(tape)
    assert sum(c.ops for c in counted.values()) == len(tape.steps)
    assert counted[0].kept > 1_000_000  # what the backward pass will read
    assert len(sections(tape)) < len(columns(tape))


def test_recording_on_the_stand_in_for_a_gpu_is_the_same(monkeypatch):
    on_cpu = penalised()[0]
    fakecupy.install(monkeypatch)
    on_cuda = penalised("cuda")[0]
    assert [s.op.name for s in on_cuda.steps] == [s.op.name for s in on_cpu.steps]
    for ours, theirs in zip(on_cuda.steps, on_cpu.steps, strict=True):
        np.testing.assert_allclose(ours.output.array, theirs.output.array, rtol=1e-12, atol=1e-12)


def test_nobody_pays_who_does_not_look():
    """The calls of a training round, counted, are the same with and without the module."""
    code = """
import sys
sys.path.insert(0, {tests!r})
import minigan as mg
from fakecuda import counts
from cuda_games import batches, wgan_gp
if {imported}:
    import minigan.explain
    with mg.explain.record():
        mg.ones((2,)) * 2
mg.random.seed(0)
mg.set_num_threads(1)
game, source = wgan_gp("cpu", "float32"), batches("cpu")
game.play(source)
count = 0
def look(frame, event, argument):
    global count
    count += event == "call"
sys.setprofile(look)
game.play(source)
sys.setprofile(None)
print(count)
"""
    tests = str(Path(__file__).parents[1] / "support")
    counted = [
        int(
            subprocess.run(
                [sys.executable, "-c", code.format(tests=tests, imported=imported)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for imported in (False, True)
    ]
    assert counted[0] == counted[1] > 500


# --- rules and lines ----------------------------------------------------------------------------------------------


def test_every_rule_of_every_op_is_found_in_the_source():
    for op in OPS.values():
        assert definition(op.forward).text.startswith("def ")
        for rule in op.rules:
            if rule is None:
                continue
            written = rule_of(rule)
            assert written.source.file.startswith("minigan/ops/"), op
            assert written.formula
            if rule.__name__ == "<lambda>":
                compile(written.formula, "formula", "eval")
                assert written.parameters[0] in ("g", "h", "i")


@pytest.mark.parametrize(
    ("op", "formulas"),
    [
        ("multiply", ["g * b", "g * a"]),
        ("subtract", ["g", "-g"]),
        ("linear", ["g @ w", "linear_weight(x, g)", "sum(g, tuple(range(g.ndim - 1)))"]),
        ("conv", ["conv_input(w, g, s)", "conv_weight(x, g, s)", None, "sum(g, (0, 2, 3))"]),
        ("power", ["power_base(g, y, a, b)", "power_exponent(g, y, a, b)"]),
    ],
)
def test_rules_read_as_they_are_written(op, formulas):
    assert [None if rule is None else rule_of(rule).formula for rule in OPS[op].rules] == formulas


def test_a_step_knows_the_line_that_asked_for_it():
    x = mg.ones((2,))
    with explain.record() as tape:
        x * 3  # the line
        mg.gan.penalties.r1(lambda x: mg.sum(x * x, 1), mg.ones((2, 2)), mg.ones((2, 2)))
    first, last = tape.steps[0], tape.steps[-1]
    assert (first.asked.file, first.asked.text) == ("test_tape.py", "x * 3  # the line")
    assert first.asked.function == "test_a_step_knows_the_line_that_asked_for_it"
    assert last.asked.file == "minigan/gan/penalties.py"
    assert first.done.file == "minigan/ops/elementwise.py"
