"""How many launches a captured round is: a change that adds one is seen here, and what it adds is named.

The rounds are those of benches/gpu.py at their sizes there; `digits` is the game of examples/dcgan_mnist.py, which
draws its batches and its noise by itself.
"""

import sys
from collections import Counter
from pathlib import Path

import fakecupy
import numpy as np
import pytest
from launches import TURNED, TURNING, as_table, counted, differences, from_table, without_arithmetic

from minigan.capture import WARM_UP
from minigan.kernels import cuda_ways, precision

sys.path.insert(0, str(Path(__file__).parents[1] / "benches"))

from gpu_steps import in_minigan, plan

HELD = """
                              digits    dcgan28    wgan_gp    dcgan64   dcgan128
(all)                            179        165        111        250        265
adam                               2          2          1          2          2
add                                5          3          3          3          3
batch_norm                         6          6          0         17         17
batch_norm_grad                    3          3          0         13         13
channel_stats                      6          6          0         17         17
channel_sums                       3          3          0         13         13
col2im                             8          8          4         20         25
column_sums                       12         12          8         15         15
conv                               7          7          4          8          8
conv_input                         0          0          0          3          3
conv_weight                        2          2          0          2          3
divide                             0          0          1          0          0
full                               0          0          1          0          0
gather_images                      2          0          0          0          0
im2col                             5          5         10         24         26
leaky_relu                         9          9          9         12         12
leaky_relu_grad                   12         12         12         16         16
lengths                            0          0          1          0          0
maximum                            6          6          0          8          8
mul                                4          0          0          0          0
multiply                           2          2          4          2          2
ndarray.reshape                    4          4          4          0          0
ndarray[key] = value               9          7          5          2          2
negative                           0          0          1          0          0
ones                               2          2          1          2          2
pool_max                           6          6          0          0          0
pool_max_grad                      6          6          0          0          0
product                           36         36         33         44         51
random_uniform                     2          0          0          0          0
slopes_of                          3          3          3          3          3
subtract                           1          1          2          1          1
sums_of                            5          3          3          3          3
tanh                               2          2          0          2          2
total                              1          1          1          1          1
total_of_slices                    2          2          0          0          0
track                              6          6          0         17         17
(turning)                          9          9          7          0          0
(turned bytes)              12779520   12779520   11239424          0          0
"""


@pytest.fixture
def idle(monkeypatch):
    """The stand-in for CuPy, which does no arithmetic."""
    fakecupy.install(monkeypatch)
    with without_arithmetic():
        yield


def captured(name):
    """What the step of this name is replayed as: its graphs."""
    if name == "digits":
        game, source = in_minigan.digits_game(plan.WORKLOADS["dcgan28"].batch, 1024, rehearse=False)
        for _ in range(WARM_UP + 1):
            game.play(source)
        return [turn.graph for turn in game._turns[1].values()]
    bench = in_minigan.Bench(plan.WORKLOADS[name], captured=True)
    for i in range(WARM_UP + 1):
        bench.step(i)
    return [bench.turn.graph]


def test_a_round_has_no_launch_more_and_none_less(idle):
    found = {name: counted(captured(name)) for name in ("digits", *plan.WORKLOADS)}
    changed = differences(found, from_table(HELD))
    assert not changed, "\n".join([*changed, "", as_table(found)])


def test_the_sums_of_the_table_are_those_of_its_rows():
    assert as_table(from_table(HELD)) == HELD.strip("\n")


@pytest.mark.parametrize("name", ["dcgan28", "wgan_gp"])
def test_in_bf16_there_is_one_launch_more_for_each_product(name, idle, monkeypatch):
    monkeypatch.setattr(precision, "_chosen", "bf16")
    as_in_fp32 = cuda_ways.chosen
    monkeypatch.setattr(cuda_ways, "chosen", lambda face, s, _, gpu: as_in_fp32(face, s, "fp32", gpu))
    held = from_table(HELD)[name]
    assert differences({name: counted(captured(name))}, {name: held}) == [f"{name}: rounded 0 -> {held['product']}"]


def test_what_is_new_is_named():
    held = from_table(as_table({"a_round": Counter(adam=1), "another": Counter(adam=1, add=2)}))
    found = {"a_round": Counter(adam=1, negative=1), "another": Counter(add=2)}
    assert differences(found, held) == ["a_round: negative 0 -> 1", "another: adam 1 -> 0"]


TURNING_OR_NOT = {
    "transposed": (lambda lib, x: lib.ascontiguousarray(x.T), 24),
    "in place": (lambda lib, x: lib.empty((4, 3, 2)).__setitem__(..., x.T), 24),
    "reshaped": (lambda lib, x: x.T.reshape(24), 24),
    "a view": (lambda lib, x: x.T, 0),
    "as it lies": (lambda lib, x: x + x, 0),
    "repeated": (lambda lib, x: x[:, :, :1] + x[:1], 0),
    "summed": (lambda lib, x: x.sum(axis=(0, 2), keepdims=True), 0),
}


@pytest.mark.parametrize("name", TURNING_OR_NOT)
def test_a_copy_that_turns_an_array_is_told_from_one_that_does_not(name, monkeypatch):
    lib = fakecupy.install(monkeypatch)
    x = lib.asarray(np.arange(24.0).reshape(2, 3, 4))
    make, turned = TURNING_OR_NOT[name]
    stream = lib.cuda.Stream()
    with stream, lib.cuda.using_allocator(lib.cuda.MemoryPool().malloc):
        stream.begin_capture()
        make(lib, x)
        found = counted([stream.end_capture()])
    assert (found[TURNING], found[TURNED]) == (turned > 0, 8 * turned)
