"""What is answered to who asks for a name of another library, mostly PyTorch's: what to write instead, and why."""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from ..errors import UnknownName

C = TypeVar("C")

# In the table x and y are Tensors (2, 3), `loss` is one number computed from `params`, and `opt` moves `network`.

_RETURNED = "gradients are returned: Tensors keep none, need no flag, and nothing adds up"
_PURE = "no function changes its arguments, so that no copy is needed"

_ROWS: dict[str, dict[str, tuple[str, str] | str]] = {
    "Tensor": {
        "backward grad requires_grad requires_grad_ retain_grad grad_fn is_leaf register_hook": (
            "mg.grad(loss, params)",
            _RETURNED,
        ),
        "cuda": 'x.to("cuda")',
        "cpu": 'x.to("cpu")',
        "is_cuda get_device": 'x.device == "cuda"',
        "view view_as": "x.reshape(3, -1)",
        "flatten ravel": "x.reshape(-1)",
        "unsqueeze": "mg.expand_dims(x, 0)",
        "contiguous clone": ("x", _PURE),
        "copy": "mg.tensor(x)",
        "float": 'x.astype("float32")',
        "double": 'x.astype("float64")',
        "half": 'x.astype("float16")',
        "long type": 'x.astype("int64")',
        "int": 'x.astype("int32")',
        "bool": "x.astype(bool)",
        "dim": "x.ndim",
        "numel nelement": "x.size",
        "t mT": "x.T",
        "matmul mm bmm mv dot": "x @ y.T",
        "add": "x + y",
        "sub subtract": "x - y",
        "mul multiply": "x * y",
        "div divide true_divide": "x / y",
        "pow": "x**2",
        "neg": "-x",
        "eq": "x == y",
        "ne": "x != y",
        "gt": "x > y",
        "ge": "x >= y",
        "lt": "x < y",
        "le": "x <= y",
        "add_ sub_ mul_ div_": "x.copy_(x + y)",
        "fill_ zero_": "x.copy_(mg.zeros(x.shape))",
        "clamp_ masked_fill_": "x.copy_(mg.clip(x, 0.0, 1.0))",
        "normal_": "mg.nn.init.normal_(x)",
        "uniform_": "mg.nn.init.uniform_(x)",
        "maximum": "mg.maximum(x, y)",
        "minimum": "mg.minimum(x, y)",
        "clip clamp clamp_min clamp_max": "mg.clip(x, 0.0, 1.0)",
        "split chunk": "mg.split(x, 2)",
        "cat concatenate": "mg.concatenate([x, y])",
        "stack": "mg.stack([x, y])",
        "tile": "mg.tile(x, 2)",
        "tolist": "x.numpy().tolist()",
        "repeat_interleave": "mg.repeat(x, 2, axis=0)",
        "expand expand_as broadcast_to": "mg.broadcast_to(x, (4, 2, 3))",
        "where masked_fill": "mg.where(x > 0, x, 0.0)",
        "take index_select": "x[[0, 1]]",
        "gather": "mg.take_along_axis(x, mg.argsort(x), axis=1)",
        "swapdims": "x.swapaxes(1, 0)",
        "moveaxis movedim": "mg.moveaxis(x, 1, 0)",
        "norm": "mg.norm(x)",
        "isnan": "mg.isnan(x)",
        "isfinite": "mg.isfinite(x)",
        "isinf": "mg.isinf(x)",
        "sort": "mg.sort(x)",
        "topk": "mg.topk(x, 2)",
        "median": "mg.median(x)",
        "floor": "mg.floor(x)",
        "ceil": "mg.ceil(x)",
        "roll": "mg.roll(x, 1)",
        "tril": "mg.tril(x)",
        "triu": "mg.triu(x)",
        "outer ger": "mg.outer(x, y)",
        "scatter_add index_add": "mg.scatter_add(x, mg.argsort(x), y, axis=1)",
        "take_along_axis take_along_dim": "mg.take_along_axis(x, mg.argsort(x), axis=1)",
    },
    "Module": {
        "zero_grad": ("mg.grad(loss, network.parameters())", _RETURNED),
        "requires_grad_": ("opt.minimize(loss)", "an optimizer moves its own parameters and no other"),
        "cuda": 'network.to("cuda")',
        "cpu": 'network.to("cpu")',
        "float": 'network.to(dtype="float32")',
        "double": 'network.to(dtype="float64")',
        "half": 'network.to(dtype="float16")',
        "device": "network.parameters()[0].device",
        "dtype": "network.parameters()[0].dtype",
        "children named_children named_modules": "list(network.modules())",
        "named_buffers": "network.buffers()",
        "register_buffer": 'setattr(network, "mean", mg.nn.Buffer(x))',
        "register_parameter": 'setattr(network, "scale", mg.nn.Parameter(x))',
        "add_module": 'setattr(network, "last", mg.nn.ReLU())',
        "append": "mg.nn.Sequential(*network, mg.nn.ReLU())",
        "weights trainable_weights trainable_variables variables": "network.parameters()",
        "get_weights": "network.state_dict()",
        "set_weights": "network.load_state_dict(network.state_dict())",
        "count_params": "network.num_parameters()",
        "predict": "network(x)",
        "summary": "print(network)",
        "compile": "mg.capture(network)",
    },
    "Optimizer": {
        "zero_grad": ("opt.minimize(loss)", _RETURNED),
        "param_groups add_param_group learning_rate": ("opt.lr", "an optimizer has one learning rate, for opt.params"),
        "parameters": "opt.params",
        "state": "opt.state_dict()",
        "compute_gradients": "mg.grad(loss, opt.params)",
        "apply_gradients": "opt.step(mg.grad(loss, opt.params))",
    },
    "minigan": {
        "cat concat hstack vstack": "mg.concatenate([x, y])",
        "manual_seed seed": "mg.random.seed(0)",
        "Generator": 'mg.random.Stream(0, "name")',
        "array asarray as_tensor from_numpy Variable FloatTensor LongTensor": "mg.tensor([1.0, 2.0])",
        "identity": "mg.eye(3)",
        "empty": "mg.zeros((2, 3))",
        "rand_like randn_like": "mg.tensor(mg.random.default().normal(x.shape))",
        "float32": 'x.astype("float32")',
        "float64 double": 'x.astype("float64")',
        "float16 half": 'x.astype("float16")',
        "int64 long": 'x.astype("int64")',
        "device cuda": 'x.to("cuda")',
        "unsqueeze": "mg.expand_dims(x, 0)",
        "view flatten": "mg.reshape(x, -1)",
        "clamp": "mg.clip(x, 0.0, 1.0)",
        "mm bmm dot": "mg.matmul(x, y.T)",
        "sub": "mg.subtract(x, y)",
        "mul": "mg.multiply(x, y)",
        "div true_divide": "mg.divide(x, y)",
        "pow": "mg.power(x, 2)",
        "neg": "mg.negative(x)",
        "eq": "mg.equal(x, y)",
        "gt": "mg.greater(x, y)",
        "lt": "mg.less(x, y)",
        "chunk": "mg.split(x, 2)",
        "swapdims": "mg.swapaxes(x, 1, 0)",
        "movedim": "mg.moveaxis(x, 1, 0)",
        "gather take_along_dim": "mg.take_along_axis(x, mg.argsort(x), axis=1)",
        "index_add": "mg.scatter_add(x, mg.argsort(x), y, axis=1)",
        "repeat_interleave": "mg.repeat(x, 2, axis=0)",
        "around rint": "mg.round(x)",
        "allclose": "np.allclose(x, y)",
        "inference_mode set_grad_enabled enable_grad": ("mg.no_grad()", "outside, every gradient can be taken"),
        "autograd backward GradientTape": ("mg.grad(loss, params)", _RETURNED),
        "value_and_grad": "mg.vjp(mg.sum, x)",
        "jit compile": "mg.capture(network)",
        "pi": "np.pi",
        "inf": "np.inf",
        "nan": "np.nan",
        "newaxis": "x[None]",
        "layers": "mg.nn",
        "optimizers": "mg.optim",
        "datasets": "mg.data",
        "resize": ('mg.interpolate(images, (6, 6), mode="bilinear")', "numpy.resize repeats an array"),
        "functional F": ("mg.relu(x)", "functions are minigan's own"),
        "mse_loss": "mg.mean(mg.square(x - y))",
        "l1_loss": "mg.mean(mg.abs(x - y))",
    },
    "minigan.nn": {
        "functional": ("mg.relu(x)", "functions are minigan's own"),
        "BCEWithLogitsLoss BCELoss": "mg.binary_cross_entropy_with_logits(x, 1.0)",
        "CrossEntropyLoss NLLLoss": "mg.cross_entropy(x, [0, 1])",
        "MSELoss": "mg.mean(mg.square(x - y))",
        "L1Loss": "mg.mean(mg.abs(x - y))",
        "ModuleList": ("[mg.nn.ReLU(), mg.nn.Tanh()]", "an attribute may be a list of modules"),
        "ModuleDict": ('{"last": mg.nn.Tanh()}', "an attribute may be a dict of modules"),
        "ParameterList": ("[mg.nn.Parameter(x), mg.nn.Parameter(y)]", "an attribute may be a list of parameters"),
        "Identity": "mg.nn.Sequential()",
        "Dense": "mg.nn.Linear(2, 3)",
        "Conv2D": "mg.nn.Conv2d(1, 8, 3)",
        "Conv2DTranspose": "mg.nn.ConvTranspose2d(8, 1, 3)",
        "Conv1D": "mg.nn.Conv1d(1, 8, 3)",
        "Conv1DTranspose": "mg.nn.ConvTranspose1d(8, 1, 3)",
        "MultiHeadAttention": "mg.nn.MultiheadAttention(8, 2)",
        "BatchNorm BatchNormalization": "mg.nn.BatchNorm2d(8)",
        "MaxPool2D MaxPooling2D": "mg.nn.MaxPool2d(2)",
        "Reshape": "mg.nn.Unflatten(1, (8, 4, 4))",
        "UpsamplingNearest2d UpSampling2D": "mg.nn.UpsampleNearest(2)",
        "UpsamplingBilinear2d": 'mg.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)',
        "BlurPool": "mg.nn.Blur((1, 2, 1), down=2)",
        "Dropout2d": "mg.nn.Dropout(0.5)",
        "AdaptiveAvgPool2d": "mg.mean(images, axis=(2, 3), keepdims=True)",
        "LogSoftmax": "mg.log_softmax(x)",
        "SiLU Swish": "x * mg.sigmoid(x)",
        "Hardtanh": "mg.clip(x, -1.0, 1.0)",
        "ReLU6": "mg.clip(x, 0.0, 6.0)",
        "utils parametrizations SpectralNorm SpectralNormalization": "mg.nn.spectral_norm(mg.nn.Linear(2, 3))",
    },
    "minigan.optim": {
        "lr_scheduler LambdaLR": "mg.optim.Schedule(opt, mg.optim.cosine(100))",
        "CosineAnnealingLR": "mg.optim.cosine(100)",
        "StepLR": "mg.optim.step_decay(100)",
        "ExponentialLR": "mg.optim.exponential_decay(0.99)",
        "LinearLR": "mg.optim.linear(1.0, 0.0, 100)",
        "swa_utils": "mg.optim.EMA(network)",
        "RMSprop": "mg.optim.RMSProp(params)",
        "adam": "mg.optim.Adam(params)",
        "sgd": "mg.optim.SGD(params)",
    },
    "minigan.random": {"random": "mg.tensor(mg.random.default().uniform((2, 3)))"},
}
for _name in (
    *("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "square", "sin", "cos", "tanh", "sigmoid", "softplus", "relu"),
    *("leaky_relu", "elu", "abs", "absolute", "sign", "negative", "softmax", "log_softmax", "logsumexp", "flip"),
):
    _ROWS["Tensor"][_name] = f"mg.{_name}(x)"
    _ROWS["minigan.nn"][_name] = f"mg.{_name}(x)"
for _names, _drawn in {
    "randn normal standard_normal": "normal((2, 3))",
    "rand uniform": "uniform((2, 3))",
    "randint integers": "integers(10, (2, 3))",
    "randperm permutation": "permutation(10)",
}.items():
    _ROWS["minigan"][_names] = _ROWS["minigan.random"][_names] = f"mg.tensor(mg.random.default().{_drawn})"
for _name in (
    *("Module", "Parameter", "Buffer", "Sequential", "Linear", "Conv2d", "ConvTranspose2d", "BatchNorm1d"),
    *("BatchNorm2d", "LayerNorm", "ReLU", "LeakyReLU", "Tanh", "Sigmoid", "Flatten", "Dropout", "Embedding"),
):
    _ROWS["minigan"][_name] = f"mg.nn.{_name}"
for _name in ("Adam", "AdamW", "SGD", "RMSProp"):
    _ROWS["minigan"][_name] = _ROWS["minigan.nn"][_name] = f"mg.optim.{_name}"

HINTS: dict[tuple[str, str], tuple[str, str]] = {
    (owner, name): (row, "") if isinstance(row, str) else row
    for owner, rows in _ROWS.items()
    for names, row in rows.items()
    for name in names.split()
}
"""(who is asked, name) to (what to write instead, why)."""

KEYWORDS: dict[str, tuple[str, ...]] = {
    "dim": ("axis",),
    "dims": ("axis", "axes"),
    "keepdim": ("keepdims",),
    "unbiased": ("ddof",),
    "correction": ("ddof",),
    "input": ("x", "logits"),
    "weight": ("w",),
    "bias": ("b",),
    "target": ("labels",),
    "condition": ("mask",),
    "tensors": ("xs",),
    "size": ("shape",),
    "min": ("low",),
    "max": ("high",),
}
"""Names of arguments in other libraries to those in minigan's functions."""


def hint(owner: str, name: str) -> str:
    """What to write for a name that another library has, as the end of a sentence; "" for any other name."""
    write, why = HINTS.get((owner, name), ("", ""))
    return f"; write {write}{f' ({why})' if why else ''}" if write else ""


def unknown(owner: str, name: str, asked: Any) -> AttributeError:
    """The error for an attribute that `asked` lacks: Python's own, with a hint if another library has the name."""
    who = f"module {owner!r}" if owner.startswith("minigan") else f"{type(asked).__name__!r} object"
    told = hint(owner, name)
    kind = UnknownName if told else AttributeError
    return kind(f"{who} has no attribute {name!r}{told}", name=name, obj=asked)


class _Missing:
    """An attribute that is not there: who asks for it is told what to write."""

    def __init__(self, owner: str, name: str) -> None:
        self.owner = owner
        self.name = name

    def __get__(self, asked: Any, kind: type) -> NoReturn:
        raise unknown(self.owner, self.name, kind if asked is None else asked)


def hinted(owner: str) -> Callable[[type[C]], type[C]]:
    """Class decorator: who asks for one of the owner's names in HINTS is told what to write.

    An attribute for each, as `__getattr__` would slow down every other; one that an object has itself comes before it.
    """
    names = {name for who, name in HINTS if who == owner}

    def wrap(kind: type[C]) -> type[C]:
        for name in names:
            setattr(kind, name, _Missing(owner, name))
        there: Any = kind
        there.__dir__ = lambda self: [k for k in object.__dir__(self) if k not in names or hasattr(self, k)]
        return kind

    return wrap
