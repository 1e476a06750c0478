"""--precision bf16: what is rounded and how, what is not, and that a step in it is the step in float32, nearly."""

import fakecupy
import numpy as np
import pytest
from cuda_games import dcgan
from cuda_references import bfloat16, from_bfloat16
from device_checks import check_op_to_second_order, check_training_step, play
from fakecuda import counts
from kernel_checks import HARD_TO_ROUND
from kernel_comparisons import faces, images
from launches import counted

import minigan as mg
from minigan.capture import WARM_UP
from minigan.kernels import cpu, cuda, cuda_conv, cuda_linear, geometry, precision


@pytest.fixture
def cupy(monkeypatch):
    """The stand-in, in bf16."""
    monkeypatch.setattr(precision, "_chosen", "bf16")
    return fakecupy.install(monkeypatch)


# --- rounding ---------------------------------------------------------------------------------------------------


def test_the_nearest_is_found_and_of_two_the_even_one():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 16, 20_000, dtype=np.uint32) << 16 | rng.choice([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    x = np.concatenate([bits.astype(np.uint32).view(np.float32), HARD_TO_ROUND])
    x = x[np.abs(x) < from_bfloat16(np.array([0x7F7F], np.uint16))]  # the largest: beyond it begins infinity
    below = (x.view(np.uint32) >> 16).astype(np.uint16)  # toward zero
    away = [np.abs(from_bfloat16(part).astype(float) - x.astype(float)) for part in (below, below + np.uint16(1))]
    expected = np.where(away[0] == away[1], below + below % 2, np.where(away[0] < away[1], below, below + 1))
    assert np.array_equal(bfloat16(x), expected)


def test_what_is_no_ordinary_number_stays_what_it_is(cupy):
    x = HARD_TO_ROUND
    found = from_bfloat16(cuda_linear.rounded(fakecupy.ndarray(x))[0]._host)
    assert np.array_equal(np.isnan(found), np.isnan(x))
    assert np.array_equal(np.signbit(found), np.signbit(x))
    assert np.array_equal(found[np.isinf(x)], x[np.isinf(x)])
    too_large = np.isinf(found) & np.isfinite(x)
    assert (np.abs(x[too_large]) >= np.float32(3.3961775e38)).all()  # half a step above the largest
    assert too_large.sum() == 2


TRANSPOSED = {
    "rows": lambda x: x,
    "a transposed matrix": lambda x: x.T,
    "a batch": lambda x: x.reshape(2, 3, 8),
    "a transposed batch": lambda x: x.reshape(2, 3, 8).swapaxes(1, 2),
    "some columns": lambda x: x[:, 2:5],
    "rows that lie apart": lambda x: x[::2],
    "from an odd place": lambda x: x.reshape(-1)[1:-5].reshape(6, 7),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_an_operand_is_rounded_as_it_lies(name, cupy):
    """A transposed matrix is not turned; only what has gaps is gathered first."""
    x = TRANSPOSED[name](fakecupy.ndarray(np.random.default_rng(0).standard_normal((6, 8)).astype("float32")))
    counts.clear()
    (found,) = cuda_linear.operands(x)
    assert counts.launches == 1 + (name in ("some columns", "rows that lie apart"))
    assert np.array_equal(found._host, bfloat16(x._host.copy()))
    if counts.launches == 1:
        assert [stride // 2 for stride in found.strides] == [stride // 4 for stride in x.strides]
    assert cuda_linear.operands(found)[0] is found


# --- convolutions -----------------------------------------------------------------------------------------------

GEOMETRIES = [
    geometry.convolution("conv", (3, 16, 9, 8), (8, 16, 4, 4), (2, 2), 1, (1, 1), 1),  # in packs of eight
    geometry.convolution("conv", (2, 6, 7, 8), (4, 3, 3, 2), (2, 1), ((2, 1), (0, 2)), (1, 2), 2),
    geometry.convolution("conv", (4, 3, 6, 6), (2, 3, 3, 3), (1, 1), 1, (1, 1), 1),
]


@pytest.mark.parametrize("s", GEOMETRIES, ids=lambda s: str(s.w))
@pytest.mark.parametrize("slab", [1 << 10, cuda_conv.SLAB])
def test_faces_of_a_convolution_are_those_of_the_rounded_operands(s, slab, cupy, monkeypatch):
    monkeypatch.setattr(cuda_conv, "FORCED", "im2col")
    monkeypatch.setattr(cuda_conv, "SLAB", slab)
    rng = np.random.default_rng(0)
    given = [images(rng, shape, "float32") for shape in (s.x, s.w, s.y)]
    exact = [from_bfloat16(bfloat16(np.ascontiguousarray(a))).astype("float64") for a in given]
    found = faces(cuda, *(fakecupy.ndarray(a) for a in given), s)
    for a, b in zip(found, faces(cpu, *exact, s), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a._host, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("way", cuda_conv.WAYS)
@pytest.mark.parametrize("s", GEOMETRIES, ids=lambda s: str(s.w))
def test_faces_of_a_convolution_are_near_those_of_float32(s, way, cupy, monkeypatch):
    monkeypatch.setattr(cuda_conv, "FORCED", way)
    rng = np.random.default_rng(0)
    given = [images(rng, shape, "float32") for shape in (s.x, s.w, s.y)]
    found = faces(cuda, *(fakecupy.ndarray(a) for a in given), s)
    for a, b in zip(found, faces(cpu, *(a.astype("float64") for a in given), s), strict=True):
        assert np.linalg.norm(a._host - b) < 2**-8 * np.linalg.norm(b)


def test_windows_are_written_in_half_the_memory_and_everything_is_rounded_once(cupy, monkeypatch):
    monkeypatch.setattr(cuda_conv, "FORCED", "im2col")
    s = GEOMETRIES[0]
    rng = np.random.default_rng(0)
    x, w, y = (mg.tensor(images(rng, shape, "float32"), device="cuda").data for shape in (s.x, s.w, s.y))
    x, y = (cuda.channels_last(a) for a in (x, y))
    made = {}
    for face, arguments in (("conv", (x, w, s)), ("conv_input", (w, y, s)), ("conv_weight", (x, y, s))):
        stream, step = cupy.cuda.Stream(), getattr(cuda, face)
        step(*arguments)
        with stream, cupy.cuda.using_allocator(cupy.cuda.MemoryPool().malloc):
            stream.begin_capture()
            step(*arguments)
            made[face] = counted([stream.end_capture()])
    assert {face: count["rounded"] for face, count in made.items()} == dict.fromkeys(made, 1)
    columns = cuda_conv._columns(x, s, 0, np.dtype("uint16"))
    assert columns.nbytes == 2 * s.y[0] * s.y[2] * s.y[3] * s.w[1] * s.w[2] * s.w[3]


# --- what is not rounded ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["matmul", "linear", "conv", "conv_input", "conv_weight"])
def test_gradients_in_float64_are_as_exact_as_ever(name, cupy, rng):
    check_op_to_second_order(name, 0, rng)


def test_a_training_step_in_float64_is_that_of_a_cpu(cupy):
    check_training_step(dcgan)


def test_products_of_integers_are_not_taken_for_bfloat16(cupy):
    a, b = (mg.tensor(np.full((2, 2), k, "uint16"), device="cuda") for k in (2, 3))
    assert (a @ b).numpy().tolist() == [[12, 12], [12, 12]]


def test_older_gpus_round_nothing(cupy, monkeypatch):
    old = lambda: type("Device", (), {"compute_capability": "75"})
    monkeypatch.setattr(cupy.cuda, "Device", old)
    assert not precision.bf16("float32")
    assert precision.of_own_products("float32") == "fp32"
    x = mg.tensor(np.full((2, 2), 1 + 2**-12, "float32"), device="cuda")
    assert (x @ x).numpy()[0, 0] == np.float32(2 * (1 + 2**-12) ** 2)


# --- training ---------------------------------------------------------------------------------------------------


def test_training_steps_are_near_those_of_float32(cupy):
    rounded, state = play("cuda", dcgan, "float32", steps=3)
    precision.set_precision("fp32")
    exact, exact_state = play("cuda", dcgan, "float32", steps=3)
    assert rounded != exact
    for ours, theirs in zip(rounded, exact, strict=True):
        assert ours == pytest.approx(theirs, rel=3e-2, abs=3e-3)
    for key, value in state.items():
        assert value.dtype == exact_state[key].dtype, key


def test_replays_are_what_is_played(cupy):
    rng = np.random.default_rng(0)
    x, w, b = (mg.tensor(rng.standard_normal(s).astype("float32"), device="cuda") for s in ((6, 8), (5, 8), 5))
    step = mg.capture(lambda: (mg.ops.linear(x, w, b), mg.ops.linear(x, w) @ w))
    played = [step() for _ in range(WARM_UP)]
    replayed = [step() for _ in range(3)]
    assert step.graph is not None
    for each in replayed:
        for ours, theirs in zip(each, played[0], strict=True):
            assert np.array_equal(ours.numpy(), theirs.numpy())
