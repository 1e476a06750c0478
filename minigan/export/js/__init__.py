"""A network as a program of a few ops, which the JavaScript beside it runs in a browser."""

from .packed import KINDS, Bytes, rounded
from .program import Program, source
