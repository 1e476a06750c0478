"""Each op and each layer as a model in ONNX: what onnxruntime computes is what minigan does."""

import layer_table
import numpy as np
import op_table
import pytest
from onnx_models import computed, expected, traced

import minigan as mg
from minigan.export import NotDescribed
from minigan.export.onnx.table import TABLE
from minigan.op import OPS

WITHOUT = {  # what no evaluation pass of one process does
    *(
        "leaky_relu_grad",
        "mean_grad",
        "softmax_grad",
        "batch_norm_grad",
        "channel_sums",
        "sample_sums",
        "conv_weight",
        "linear_weight",
    ),
    *("max_pool_grad", "max_pool_take", "getitem_adjoint", "take_along_axis_adjoint", "fold", "between", "ties"),
    *("all_gather", "all_max", "all_mean", "all_sum", "broadcast", "sum_to_root"),
    *("sync_norm", "sync_norm_grad", "sync_stats", "sync_sums", "argsort"),
}
REFUSED = {  # rows of the table of ops, by their place: what they are made with has no counterpart
    ("getitem", 1): "an index with arrays or numbers beside an array",
    ("getitem", 2): "an index of booleans",
    ("pool_spread", 0): "windows that overlap",
    ("pool_spread", 1): "windows that overlap",
    ("take_along_axis", 1): "argsort",
    ("take_along_axis", 2): "argsort",
}
ROWS = [(name, k) for name, rows in op_table.TABLE.items() if name not in WITHOUT for k in range(len(rows))]


class Applied(mg.nn.Module):
    """A function of Tensors as a network."""

    def __init__(self, fn):
        self.fn = fn

    def forward(self, *inputs):
        return self.fn(*inputs)


def single(arrays):
    return [a.astype("float32") if a.dtype.kind == "f" else a for a in map(np.asarray, arrays)]


def by_name(arrays):
    return {f"x{k}": a for k, a in enumerate(arrays)}


def test_every_op_has_a_counterpart_or_is_known_to_have_none():
    translated = {name for name, op in OPS.items() if op.forward in TABLE}
    assert translated | WITHOUT == set(OPS)
    assert not translated & WITHOUT


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # rows that are not finite
@pytest.mark.parametrize(("name", "k"), ROWS)
def test_an_op_is_computed_alike(name, k, rng):
    row = op_table.TABLE[name][k]
    network = Applied(row.fn)
    first, second = (by_name(single(row.make(rng))) for _ in range(2))
    if (name, k) in REFUSED:
        with pytest.raises(NotDescribed, match=REFUSED[name, k]):
            traced(network, [first])
        return
    result = computed(traced(network, [first]), second)
    wanted = expected(network, second)
    assert (result.shape, result.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-5)


# --- layers, with a batch of any size -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "k"), layer_table.ROWS)
def test_a_layer_is_computed_alike_for_another_batch(name, k, rng):
    row = layer_table.TABLE[name][k]
    layer = row.make().to(dtype="float32")
    for p in layer.parameters():
        p.copy_(rng.standard_normal(p.shape).astype("float32"))
    network = Applied(lambda *inputs: first_of(layer(*inputs)))
    network.layer = layer
    batches = [by_name([np.concatenate([a] * n) for a in single(row.inputs(rng))]) for n in (1, 2, 3)]
    result = computed(traced(network, batches[:2]), batches[2])
    np.testing.assert_allclose(result, expected(network, batches[2]), rtol=1e-5, atol=1e-5)


def first_of(result):
    return result[0] if isinstance(result, tuple) else result
