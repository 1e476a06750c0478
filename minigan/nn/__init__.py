"""Networks: Module and the layers, with PyTorch's names and weight layouts."""

import sys
from typing import TYPE_CHECKING, Any

from ..system.hints import unknown
from . import init
from .attention import MultiheadAttention, SelfAttention2d
from .calling import checkpointed, evaluating, functional_call, in_chunks
from .conditional import ConditionalBatchNorm2d, ConditionalGroupNorm
from .excitation import SkipLayerExcitation, SqueezeExcitation
from .layers import (
    ELU,
    GLU,
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
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
    Unflatten,
    UpsampleNearest,
)
from .minibatch import MinibatchDiscrimination, MinibatchStdDev
from .modulated import ModulatedConv2d
from .module import Buffer, Module, Parameter, Sequential, parameters_of
from .noise import GaussianNoise, NoiseInjection
from .norm import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    InstanceNorm2d,
    LayerNorm,
    PixelNorm,
    RMSNorm,
    take_standing_statistics,
)
from .reparametrize import equalized, spectral_norm, weight_norm
from .resampling import Blur, ReflectionPad2d, ReplicationPad2d, Upsample, ZeroPad2d
from .residual import GroupedResidualBlock, ResidualBlock
from .sequences import Conv1d, ConvTranspose1d
from .sliced import SlicedLinear
from .style import AdaptiveInstanceNorm2d
from .virtual import VirtualBatch, VirtualBatchNorm2d

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise unknown(__name__, name, sys.modules[__name__])
