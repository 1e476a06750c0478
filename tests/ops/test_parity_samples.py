"""PyTorch's own database of sample inputs, run on minigan: values, first and second gradients, and what is refused."""

import gc
import itertools
import re
from collections import defaultdict

import numpy as np
import pytest
from parity import one_thread, torch  # noqa: F401  a fixture
from program_parity import compared, torch_gradients
from programs import gradients
from sample_calls import CALLS

import minigan as mg
from minigan.errors import MiniganError
from minigan.tensor import Tensor

pytest.importorskip("expecttest", reason="needs expecttest for PyTorch's samples: pip install 'minigan[parity]'")
pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore")]  # PyTorch's, of its samples

NAMES = sorted(CALLS)

NO_ARGUMENT = "there is no argument {}="
NO_BATCH = r"expected x of shape \(N, C, H, W\)"

NOT_OFFERED = {  # what samples ask for, and how minigan refuses it
    **{name: {"another type": "unexpected keyword argument 'dtype'"} for name in ("cumsum", "prod")},
    "gather": {"an empty index of more axes": "too many indices"},
    "tensordot": {"one element for several": "do not fit"},
    "div": {"rounding": "'rounding_mode'"},
    "nn.functional.softplus": {"beta and threshold": "takes 1 positional argument"},
    "nn.functional.conv2d": {"images without a batch axis": NO_BATCH},
    "nn.functional.conv_transpose2d": {"images without a batch axis": NO_BATCH},
    "nn.functional.conv1d": {"sequences without a batch axis": r"expected sequences \(N, C, L\)"},
    "nn.functional.conv_transpose1d": {"sequences without a batch axis": r"expected sequences \(N, C, L\)"},
    "nn.functional.max_pool2d": {
        "images without a batch axis": NO_BATCH,
        **{name: NO_ARGUMENT.format(name) for name in ("padding", "dilation", "ceil_mode", "return_indices")},
    },
    "nn.functional.avg_pool2d": {
        "padding": NO_ARGUMENT.format("padding"),
        "a divisor of one's own": NO_ARGUMENT.format("divisor_override"),
    },
    "nn.functional.interpolate": {
        "one or three axes of pixels": NO_BATCH,
    },
    "nn.functional.upsample_nearest": {
        "one or three axes of pixels": NO_BATCH,
    },
    "nn.functional.batch_norm": {
        "one axis, or one axis of pixels": "expected . channels on 2 axes|tuple index out of range",
        "a momentum below 0": "momentum: expected a finite number >= 0",
    },
    "nn.functional.group_norm": {"an eps below 0": "eps: expected a finite number >= 0"},
    "nn.functional.rms_norm": {"an eps below 0": "eps: expected a finite number >= 0"},
    "nn.functional.layer_norm": {"an eps below 0": "eps: expected a finite number >= 0"},
    "nn.functional.instance_norm": {"a weight without a bias": "different float widths"},
    "nn.functional.cross_entropy": {
        "probabilities of classes": "expected integer labels",
        "axes of pixels": r"expected logits \(N, K\)",
        **{name: NO_ARGUMENT.format(name) for name in ("reduction", "weight", "ignore_index")},
    },
    "nn.functional.binary_cross_entropy_with_logits": {
        name: NO_ARGUMENT.format(name) for name in ("reduction", "weight", "pos_weight")
    },
    "nn.functional.pad": {
        "a circular border": "got .*'circular'",
        "negative widths": "expected whole widths >= 0",
    },
    "constant_pad_nd": {"negative widths": "expected whole widths >= 0"},
    "tensor_split": {"unequal parts given as a count": "equal parts"},
    "einsum": {"an ellipsis": r"cannot read '[a-z]*\.\.\.", "an index twice in one operand": "cannot read 'iji'"},
    "cat": {"an empty tensor of one axis among others": "does not fit a tensor of 1 axes"},
}

ABSENT = {"pixel_unshuffle", "cumprod", "diagonal", "conv3d"}

FLOATS_ONLY = {"integers": "expected floats"}
OF_INTEGERS = {  # what is refused of integers and booleans besides
    **{
        f"nn.functional.{name}": FLOATS_ONLY
        for name in ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear")
    },
    **{name: {"a number that the type does not hold": "out of bounds"} for name in ("add", "sub", "rsub")},
    **{name: FLOATS_ONLY for name in ("nn.functional.interpolate", "nn.functional.upsample_nearest")},
    "sign": {"booleans": "did not contain a loop"},
    "__rpow__": {"negative powers of integers": "negative integer powers"},
}
# numbers that PyTorch rounds or wraps to the type of integers before it uses them
ROUNDED_BY_PYTORCH = {
    *["addmm", "addmv", "baddbmm", "masked_fill"],
    *[f"nn.functional.{name}" for name in ("hardtanh", "softmin", "avg_pool2d")],
}
# functions that sample_calls.py puts together, which check nothing themselves
OUR_OWN = {
    *["mean", "narrow", "select", "unbind", "index_select", "t"],
    *[f"nn.functional.{name}" for name in ("conv1d", "conv_transpose1d", "group_norm", "embedding", "l1_loss")],
}
ACCEPTED = {  # what PyTorch refuses and minigan has a meaning for
    "masked_fill": "0-dimensional value tensor|without overflow",
    "nn.functional.hardtanh": "min_val cannot be greater than max_val",
    "nn.functional.prelu": "Expected `weight` to be a scalar or 1D tensor",
}


@pytest.fixture(scope="module")
def database():
    """Entries of the database by the names of their functions."""
    from torch.testing._internal.common_methods_invocations import op_db

    gc.freeze()  # what it holds need not be gone through after each test
    entries = defaultdict(list)
    for entry in op_db:
        entries[entry.name].append(entry)
    yield entries
    gc.unfreeze()


class Sample:
    """One call: its arguments as PyTorch and as minigan have them."""

    def __init__(self, name, sample):
        self.name = name
        self.theirs = sample.input, sample.args, sample.kwargs
        self.tensors: dict[int, tuple] = {}
        self.ours = [self._converted(v) for v in self.theirs]

    def _converted(self, v):
        if isinstance(v, torch.Tensor):
            if id(v) not in self.tensors:
                self.tensors[id(v)] = mg.tensor(v.detach().numpy()), v
            return self.tensors[id(v)][0]
        if isinstance(v, dict):
            return {k: self._converted(a) for k, a in v.items()}
        if isinstance(v, torch.Size):
            return tuple(v)
        return type(v)(self._converted(a) for a in v) if isinstance(v, tuple | list) else v

    def call_ours(self):
        x, args, options = self.ours
        with np.errstate(all="ignore"):
            return flat(CALLS[self.name](x, *args, **options))

    def call_theirs(self, entry):
        x, args, options = self.theirs
        return flat(entry(x, *args, **options))

    def wanted(self):
        return [(ours, theirs) for ours, theirs in self.tensors.values() if theirs.requires_grad]

    def reason(self, error, *tables):
        """Why this is refused, by the first table that knows; fails if none does."""
        for table in tables:
            for words, pattern in table.get(self.name, {}).items():
                if re.search(pattern, str(error)):
                    return words
        raise AssertionError(f"{self} is refused: {error!r}") from error

    def __repr__(self):
        return f"{self.name}({self.theirs})"


CASES = [(name, False) for name in NAMES] + [pytest.param(name, True, marks=pytest.mark.slow) for name in NAMES]


def some(samples, every):
    """Every sample, or one in three of the first thirty."""
    return samples if every else itertools.islice(samples, 0, 30, 3)


def flat(y):
    return [y] if isinstance(y, Tensor | torch.Tensor) else [t for part in y for t in flat(part)]


def disagreements(ours, theirs, wanted):
    values = [y.numpy() for y in ours], [t.numpy(force=True) for t in theirs]
    recorded = [k for k, t in enumerate(theirs) if t.requires_grad]
    found = expected = ([], [])
    if recorded and wanted:
        found = gradients([ours[k] for k in recorded], [x for x, _ in wanted])
        expected = torch_gradients([theirs[k] for k in recorded], [t for _, t in wanted])
    names = [f"result {k}" for k in range(len(ours))], [f"tensor {k}" for k in range(len(wanted))]
    triple = values[1], *expected
    return compared(names, (values[0], *found), triple, triple)


REFUSALS = (MiniganError, TypeError, IndexError)


@pytest.mark.parametrize(("name", "every"), CASES)
def test_samples(name, every, database):
    """Each sample agrees, or is refused for a reason that the table gives; the table gives no other."""
    assert database[name]
    met = set()
    for entry in database[name]:
        drawn = entry.sample_inputs("cpu", torch.float64, requires_grad=entry.supports_autograd)
        for given in some(drawn, every):
            sample = Sample(name, given)
            try:
                ours = sample.call_ours()
            except REFUSALS as error:
                met.add(sample.reason(error, NOT_OFFERED))
                continue
            theirs = sample.call_theirs(entry)
            assert disagreements(ours, theirs[: len(ours)], sample.wanted()) == [], sample
    assert not every or met == set(NOT_OFFERED.get(name, {})), "take what is offered now off the table"


@pytest.mark.parametrize(("name", "every"), CASES)
def test_values_of_integers_and_booleans(name, every, database):
    """As PyTorch's, computed in single precision where the result is of floats."""
    if name in ROUNDED_BY_PYTORCH:
        return
    met = set()
    for entry in database[name]:
        for dtype in {torch.uint8, torch.bool, *([torch.int8, torch.int64] if every else [])} & entry.dtypes:
            for given in some(entry.sample_inputs("cpu", dtype), every):
                sample = Sample(name, given)
                try:
                    ours = sample.call_ours()
                except REFUSALS as error:
                    met.add(sample.reason(error, OF_INTEGERS, NOT_OFFERED))
                    continue
                theirs = sample.call_theirs(entry)
                for y, t in zip(ours, theirs[: len(ours)], strict=True):
                    assert alike(y.numpy(), t.numpy(), "dtype" in given.kwargs), (sample, y, t)
    assert not every or set(OF_INTEGERS.get(name, {})) <= met, "take what is offered now off the table"


def alike(a, b, asked):
    """Equal values, both of floats (of single precision unless `asked` for) or neither."""
    if a.shape != b.shape or (a.dtype.kind == "f") != (b.dtype.kind == "f"):
        return False
    if a.dtype.kind == "f" and not asked and a.dtype != np.float32:
        return False
    return np.allclose(a.astype("float64"), b.astype("float64"), rtol=1e-5, atol=1e-5, equal_nan=True)


def test_what_is_absent(database):
    """To be taken off the list, and written in sample_calls.py, when it is offered."""
    short = {name.rpartition(".")[2] for name in database}
    assert short >= ABSENT
    assert {name for name in ABSENT if hasattr(mg, name) or hasattr(mg.nn, name)} == set()


def test_a_wrong_rule_is_noticed(database, monkeypatch):
    monkeypatch.setattr(mg.op.OPS["expm1"], "rules", (lambda g, y, _x: g * y,))
    with pytest.raises(AssertionError, match="first gradient of tensor 0"):
        test_samples("expm1", True, database)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in OUR_OWN])
def test_what_pytorch_refuses_is_refused_by_an_error_of_ours(name, database):
    for entry in database[name]:
        if entry.error_inputs_func is None:
            continue
        for wrong in entry.error_inputs("cpu"):
            given = wrong.sample_input
            if not isinstance(given.input, torch.Tensor) or not wrong.error_regex or "out" in given.kwargs:
                continue  # of numbers, and of arguments that minigan's functions do not have
            try:
                sample = Sample(name, given)
                ours = sample.call_ours()
            except (MiniganError, ValueError):
                continue
            except TypeError as error:
                sample.reason(error, NOT_OFFERED)
                continue
            known = re.search(ACCEPTED.get(name, "nothing is accepted"), wrong.error_regex)
            assert known, f"{sample} is {ours}; PyTorch: {wrong.error_regex}"
