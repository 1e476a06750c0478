"""mg.save and mg.load: what has a state comes back as it was, and what is no such file is named."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from trained_network import trained

import minigan as mg
from minigan.errors import CheckpointError


class Own(mg.nn.Module):
    """A network that no generator file describes."""

    def __init__(self, width=3):
        self.layers = [mg.nn.Conv2d(2, width, 3), mg.nn.BatchNorm2d(width)]
        self.heads = {"score": mg.nn.spectral_norm(mg.nn.Linear(width, 1))}


def same(state, other):
    return state.keys() == other.keys() and all(np.array_equal(state[k].numpy(), other[k].numpy()) for k in state)


def test_a_network_of_ones_own_is_saved_and_loaded(tmp_path):
    net, other = trained(Own()), Own()
    path = mg.save(net, tmp_path / "net.safetensors")
    assert path == tmp_path / "net.safetensors"
    assert not same(net.state_dict(), other.state_dict())
    assert mg.load(other, str(path)) is other
    assert same(net.state_dict(), other.state_dict())
    assert set(load_file(path)) == set(net.state_dict())
    third = Own()
    mg.load(third, mg.save(net.state_dict(), path))
    assert same(net.state_dict(), third.state_dict())
    third.load_state_dict(load_file(path))  # any reader of safetensors gives the same
    assert same(net.state_dict(), third.state_dict())
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_optimizers_and_averages_are_saved_and_loaded(tmp_path):
    net = Own()
    for make in (lambda: mg.optim.Adam(net.parameters(), 0.5), lambda: mg.optim.EMA(net, 0.5)):
        first, second = make(), make()
        state = first.state_dict()
        for t in state.values():
            t.data[...] = 3
        mg.load(second, mg.save(first, tmp_path / "state"))
        assert same(state, second.state_dict())
        state.popitem()
        with pytest.raises(CheckpointError, match=r"state: load_state_dict of \w+: .* is missing"):
            mg.load(second, mg.save(state, tmp_path / "state"))


def test_numbers_of_any_order_in_memory_and_of_bytes_are_saved(tmp_path):
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    mg.save({"a": array, "b": array.T, "c": array[:, ::2], "d": [1, 2]}, tmp_path / "a")
    found = load_file(tmp_path / "a")
    for name, expected in {"a": array, "b": array.T, "c": array[:, ::2], "d": [1, 2]}.items():
        np.testing.assert_array_equal(found[name], expected)


def damaged(tmp_path):
    path = mg.save(Own(), tmp_path / "damaged.safetensors")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: mg.load(Own(), folder / "none"), "none: no such file"),
        (lambda folder: mg.load(Own(), folder), "cannot be read as safetensors"),
        (
            lambda folder: mg.load(Own(), mg.save(Own(4), folder / "w")),
            r"w: load_state_dict of Own: layers\.0\.weight has",
        ),
        (lambda folder: mg.load(Own(), damaged(folder)), "damaged.safetensors: its checksum is not the one"),
        (
            lambda folder: mg.load(folder / "w", Own()),
            r"load: expected the path of a file after the network, got Own\(",
        ),
        (lambda folder: mg.load("w", folder / "w"), "expected a network to load it into, got 'w'"),
        (lambda folder: mg.load(folder / "w"), "load: expected the path of a file after the network, got None"),
        (lambda folder: mg.save(Own()), "save: expected the path of a file after the network, got None"),
        (lambda folder: mg.load(Own, folder / "w"), "expected a network to load it into, got <class"),
        (lambda folder: mg.save(Own, folder / "w"), "expected a network, or arrays by name, to save, got <class"),
        (lambda folder: mg.save(Own(), folder / "no" / "w"), "w: cannot be written"),
        (lambda folder: mg.save(Own(), ""), "cannot be written"),
        (lambda folder: mg.save(Own(), folder), "cannot be written"),
        (lambda folder: mg.save("w", Own()), "save: expected the path of a file after the network"),
        (lambda folder: mg.save(3, folder / "w"), "expected a network, or arrays by name, to save, got 3"),
        (lambda folder: mg.save(mg.nn.ReLU(), folder / "w"), "got ReLU, which holds none"),
        (lambda folder: mg.save({"a": "x"}, folder / "w"), "expected numbers by name, 'a' is of <U1"),
        (lambda folder: mg.save({"a": 1j}, folder / "w"), "'a' is of complex128"),
        (lambda folder: mg.save({1: np.ones(2)}, folder / "w"), "expected numbers by name, 1 is of float64"),
    ],
)
def test_what_cannot_be_saved_or_loaded_is_named(tmp_path, call, message):
    with pytest.raises(CheckpointError, match=message):
        call(tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.name not in ("w", "damaged.safetensors")]
