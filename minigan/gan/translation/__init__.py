"""Games whose generators make images of images: translation, super-resolution, repair."""

from .base import Translation
from .cyclegan import CycleGAN, l1, l2
from .making import MAKINGS, Making, making, source_shape
from .pix2pix import Pix2Pix
