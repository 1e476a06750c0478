"""A generator, or the weights of any network, in a file."""

from .blueprint import LAYERS, NotDescribed
from .generator import (
    CHUNK,
    Generator,
    Texts,
    description,
    from_description,
    further_of_game,
    load_generator,
    of_game,
    save_generator,
    save_of_game,
)
from .onnx import save_onnx
from .weights import load_weights, save_weights
