"""Games whose generators make images of images: translation, super-resolution, repair."""

from .base import Translation
from .bicyclegan import BicycleGAN
from .cogan import CoGAN
from .cut import CUT
from .cycada import CyCADA
from .cyclegan import CycleGAN
from .distances import l1, l2, of_features, squared_length, taxicab, total_variation
from .making import MAKINGS, Making, making, source_shape
from .munit import MUNIT
from .pix2pix import Pix2Pix
from .pixelda import PixelDA
from .restoration import Restoration
from .stargan import StarGAN
from .two_way import TwoWay
from .unit import UNIT
