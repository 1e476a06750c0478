"""Each op, each layer and each generator as a program: what a browser computes of it is what minigan does."""

import layer_table
import numpy as np
import op_table
import pytest
from programs_in_js import computed, open_runner
from test_export import CONDITIONAL, PLAYERS
from test_onnx_ops import REFUSED, ROWS, Applied, by_name, first_of, single
from trained_network import trained

from minigan import export
from minigan.export import NotDescribed
from minigan.export.js import Program
from minigan.gan import uniform_latent
from minigan.random import Stream

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::RuntimeWarning")]  # rows that are not finite


@pytest.fixture(scope="module")
def runner(browser, tmp_path_factory):
    open_runner(browser, tmp_path_factory.mktemp("runner"))
    return browser


def by_seed(make):
    """Inputs by name, which depend on a stream's seed alone."""
    return lambda stream: by_name(single(make(np.random.default_rng(stream.seed))))


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_an_op_is_computed_alike(runner, name, k):
    row = op_table.TABLE[name][k]
    drawn = by_seed(row.make)
    if (name, k) in REFUSED or name == "einsum":
        with pytest.raises(NotDescribed):
            Program.of(Applied(row.fn), drawn)
        return
    program, inputs = Program.of(Applied(row.fn), drawn), drawn(Stream(2))
    np.testing.assert_allclose(computed(runner, program, inputs), program.run(inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "k"), layer_table.ROWS)
def test_a_layer_is_computed_alike(runner, name, k, rng):
    row = layer_table.TABLE[name][k]
    layer = row.make().to(dtype="float32")
    for p in layer.parameters():
        p.copy_(rng.standard_normal(p.shape).astype("float32"))
    network = Applied(lambda *inputs: first_of(layer(*inputs)))
    network.layer = layer
    drawn = by_seed(row.inputs)
    program, inputs = Program.of(network, drawn), drawn(Stream(2))
    np.testing.assert_allclose(computed(runner, program, inputs), program.run(inputs), rtol=1e-5, atol=1e-5)


KINDS = {"mlp28": ["float16"]}  # the largest; once is enough
DRAWN = [(name, k) for name in [*PLAYERS, *CONDITIONAL] for k in KINDS.get(name, ["float32", "float16", "int8"])]


@pytest.mark.parametrize(("name", "kind"), DRAWN)
def test_a_generator_draws_alike(runner, name, kind):
    if name in CONDITIONAL:
        generator = export.Generator(trained(CONDITIONAL[name](5, width=4)[0]), uniform_latent(5), 10)
    else:
        make, latent = PLAYERS[name]
        generator = export.Generator(trained(make()[0]), latent)

    def drawn(stream):
        z = {"z": generator.latent(1, stream).numpy()}
        return z if generator.classes is None else z | {"labels": stream.integers(generator.classes, (1,))}

    program = Program.of(generator.network, drawn)
    for t in program.weights().values():
        if t.dtype.kind == "f":
            t.data[...] = export.js.rounded(t.numpy(), kind)
    inputs = drawn(Stream(5))
    np.testing.assert_allclose(computed(runner, program, inputs, kind), program.run(inputs), rtol=1e-5, atol=1e-4)
