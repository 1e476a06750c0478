"""The networks of documents and papers, by name.

What makes all players of a game returns them as a named tuple. Networks that several games take, translators and their
discriminators among them, are made one by one.

Networks follow their source to the letter: layers, their order, leak, initialiser. What a preset changes for
better samples is said in the preset (see examples/), not here.
"""

from .bigan import BidirectionalPlayers, bigan28
from .biggan import BigGenerator, biggan
from .classifier import Classifier, classifier28, picture_classifier
from .codes import StyledDecoder, StyledTranslator, content_decoder, content_encoder, unit_translators
from .conditional import acgan28, cgan28, of_classes, projection28
from .coupled import CoupledPlayers, coupled
from .dcgan import dcgan, mlp512
from .digits import dcgan28, goodfellow28, lab28, mlp28, wgan_gp28
from .energy import Autoencoder, began, ebgan28
from .fastgan import FastDiscriminator, FastGenerator, fastgan
from .infogan import infogan28
from .labels import one_hot
from .lapgan import lapgan
from .msggan import msggan
from .multiscale import MultiScaleDiscriminator, patch_discriminators, with_activations
from .plane import maxout2d, mlp2d, quadratic
from .players import Players
from .progan import progan
from .r3gan import r3gan
from .resnet import resnet
from .semi import ReadingPlayers, scale_to_data, semi28
from .singan import PatchCritics, Pyramid, singan
from .sndcgan import sndcgan
from .stacked import stacked28
from .stylegan2 import StyleGenerator, stylegan2
from .super_resolution import PixelDiscriminator, image_discriminator, rrdbnet, srresnet
from .text import TextDiscriminator, TextGenerator, WordFeatures, gan_cls
from .transgan import PatchFeatures, TransGenerator, transgan
from .translators import (
    Inpainting,
    PatchHeads,
    UNetTranslator,
    WithClass,
    WithNoise,
    halvings_within,
    image_encoder,
    patch_discriminator,
    patch_size,
    reading_discriminator,
    resnet_translator,
)
from .unet import UNetDiscriminator, unet
from .vae import CodingPlayers, vae28
from .vgg import VGG, read_vgg, vgg_features, vgg_layers
