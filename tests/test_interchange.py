"""Memory shared with other libraries by DLPack, in both directions."""

import numpy as np
import pytest

import minigan as mg
from minigan.errors import DTypeError, GraphError


class Other:
    """An array of another library: NumPy's, which says what it was asked."""

    def __init__(self, array, device=None):
        self.array, self.device, self.asked = array, device, []

    def __dlpack__(self, **asked):
        self.asked.append(asked)
        return self.array.__dlpack__(**asked)

    def __dlpack_device__(self):
        return self.device or self.array.__dlpack_device__()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "bool"])
def test_numpy_sees_the_memory_of_a_leaf_and_may_write_there(dtype):
    x = mg.tensor(np.arange(6).reshape(2, 3).astype(dtype))
    seen = np.from_dlpack(x)
    assert seen.dtype == dtype
    assert np.shares_memory(seen, x.data)
    assert seen.flags.writeable
    assert x.__dlpack_device__() == (1, 0)


def test_a_result_is_lent_to_be_read(rng):
    x = mg.tensor(rng.standard_normal((2, 3)))
    for result in (x * 2, mg.transpose(x), (x * 2).detach()):
        seen = np.from_dlpack(result)
        np.testing.assert_array_equal(seen, result.numpy())
        assert not seen.flags.writeable
        with pytest.raises(BufferError, match="readonly"):
            result.__dlpack__()  # as a library asks that does not know read-only memory


def test_a_tensor_in_the_memory_of_another_library_is_a_leaf_there(rng):
    theirs = Other(rng.standard_normal((3, 4)))
    x = mg.from_dlpack(theirs)
    assert np.shares_memory(x.data, theirs.array)
    y = mg.sum(mg.square(x))
    np.testing.assert_allclose(mg.grad(y, x).numpy(), 2 * theirs.array)
    x.copy_(mg.zeros((3, 4), "float64"))
    assert (theirs.array == 0).all()
    with pytest.raises(GraphError, match="copy_"):
        mg.grad(y, x)


def test_changes_that_others_make_are_noted_by_who_makes_them(rng):
    x = mg.tensor(rng.standard_normal(3))
    y = mg.sum(mg.square(x))
    np.from_dlpack(x)[...] = 1
    x.written("numpy")
    with pytest.raises(GraphError, match="numpy"):
        mg.grad(y, x)
    assert x.numpy().tolist() == [1, 1, 1]


def test_memory_that_is_read_only_is_not_written_to(rng):
    array = rng.standard_normal(3)
    array.flags.writeable = False
    x = mg.from_dlpack(array)
    with pytest.raises(
        GraphError, match=r"copy_: cannot write in place into a tensor \(3,\), whose memory is read-only"
    ):
        x.copy_(mg.zeros(3, "float64"))
    with pytest.raises(GraphError, match="Adam: cannot write"):
        mg.optim.Adam([x])


def test_what_cannot_be_taken_is_named():
    with pytest.raises(DTypeError, match="from_dlpack: expected an array of another library, got"):
        mg.from_dlpack([1.0, 2.0])
    with pytest.raises(DTypeError, match="is on a device of kind 8, unknown here"):
        mg.from_dlpack(Other(np.zeros(2), (8, 0)))
    with pytest.raises(DTypeError, match="cannot hold elements of type complex128"):
        mg.from_dlpack(Other(np.zeros(2, complex)))


def test_it_is_no_cuda_array_on_the_cpu():
    assert not hasattr(mg.zeros(2), "__cuda_array_interface__")


def test_a_captured_step_that_lends_its_memory_is_played():
    def step(x):
        y = x * 2
        np.from_dlpack(y)
        return y

    captured = mg.capture(step)
    x = mg.ones(3)
    with pytest.warns(RuntimeWarning, match="runs without being replayed"):
        found = [captured(x).numpy() for _ in range(8)]
    assert (np.array(found) == 2).all()


def test_pytorch_shares_memory_both_ways(rng):
    torch = pytest.importorskip("torch")
    x = mg.tensor(rng.standard_normal((2, 3)).astype("float32"))
    seen = torch.from_dlpack(x)
    seen[0, 0] = 5
    assert x.numpy()[0, 0] == 5
    assert torch.equal(torch.from_dlpack(x * 2), 2 * seen)
    back = mg.from_dlpack(torch.arange(6.0).reshape(2, 3).T)
    assert back.numpy().tolist() == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(DTypeError, match=r"from_dlpack: cannot take .*requires? grad"):
        mg.from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(DTypeError, match="from_dlpack: cannot take"):
        mg.from_dlpack(torch.ones(2, dtype=torch.bfloat16))
