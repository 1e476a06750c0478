"""A generator as an ONNX model, which other programs run: its ops one by one, as a pass of the network shows them."""

from .file import signature
from .model import save_onnx
