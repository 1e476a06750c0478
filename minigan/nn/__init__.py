"""Networks: Module and the layers, with PyTorch's names and weight layouts."""

from . import init
from .layers import (
    ELU,
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    PixelShuffle,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
    Unflatten,
    UpsampleNearest,
)
from .module import Buffer, Module, Parameter, Sequential, evaluating, functional_call
from .norm import BatchNorm1d, BatchNorm2d, GroupNorm, InstanceNorm2d, LayerNorm
