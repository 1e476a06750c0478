"""The players of documents and papers, by name: each function returns a pair (generator, discriminator).

Networks follow their source to the letter: layers, their order, leak, initialiser. What a preset changes for
better samples is said in the preset (see examples/), not here.
"""

from .classifier import Classifier, classifier28
from .dcgan import dcgan, mlp512
from .digits import dcgan28, goodfellow28, lab28, mlp28, wgan_gp28
from .plane import mlp2d, quadratic
from .players import Players
