"""Names that PyTorch gives the tensors of a network, and those they have here."""

import numpy as np
import pytest

import minigan as mg
from minigan.nn.naming import renamed

OWN = dict.fromkeys(["0.weight_orig", "0.weight_u", "0.weight_v", "1.weight_g", "1.weight_v", "2.num_batches_tracked"])


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."]
)
def test_what_wraps_a_network_or_a_layer_is_left_out(prefix):
    assert renamed({prefix + name: 1 for name in OWN}, OWN) == dict.fromkeys(OWN, 1)
    within = [name.replace(".", f".{prefix}") for name in OWN]
    assert renamed(dict.fromkeys(within, 1), OWN) == dict.fromkeys(OWN, 1)


def test_parametrizations_have_two_names():
    newer = {
        "0.parametrizations.weight.original": "0.weight_orig",
        "0.parametrizations.weight.0._u": "0.weight_u",
        "module.0.parametrizations.weight.0._v": "0.weight_v",
        "1.parametrizations.weight.original0": "1.weight_g",
        "1.parametrizations.weight.original1": "1.weight_v",
        "2.num_batches_tracked": "2.num_batches_tracked",
    }
    assert renamed({name: old for name, old in newer.items()}, OWN) == {name: name for name in newer.values()}
    other = "0.parametrizations.weight.original00"
    assert other in renamed({other: 1}, OWN)


def test_names_that_fit_or_are_in_doubt_stay():
    own = {"module.weight": 0, "weight": 0}
    assert renamed({"module.weight": 1, "weight": 2}, own) == {"module.weight": 1, "weight": 2}
    assert renamed({"module.module.weight": 1, "weight": 2}, own) == {"module.weight": 1, "weight": 2}
    assert renamed({"module.weight": 1, "_orig_mod.weight": 2}, {"weight": 0}) == {
        "module.weight": 1,
        "_orig_mod.weight": 2,
    }
    assert renamed({"module.weight": 1, "weight": 2}, {"weight": 0}) == {"module.weight": 1, "weight": 2}
    assert renamed({"other": 1}, {"weight": 0}) == {"other": 1}


def test_counters_may_lack_or_be_too_many():
    network = mg.nn.BatchNorm1d(2)
    state = {name: np.full(2, 3.0) for name in ("weight", "bias", "running_mean", "running_var")}
    network.num_batches_tracked.data[...] = 5
    network.load_state_dict(renamed({**state, "n_averaged": np.array(7)}, network.state_dict()))
    assert network.num_batches_tracked.item() == 5
    assert network.running_mean.numpy().tolist() == [3, 3]
    assert "running_mean" not in renamed({}, network.state_dict())  # which is no counter
