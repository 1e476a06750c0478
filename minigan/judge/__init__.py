"""How good are samples, and is it training? A judge that knows labels, a yardstick that needs none, a verdict."""

from ..data import held_out
from ..nn import in_chunks
from .lessons import fit, fit_classifier, fit_turned, judge_of, learn, quick_judge, turned
from .outside import read_features
from .reader import Form, Judge, centre, form28, form_of
from .shelf import SHIPPED, load, suited
from .verdict import Finding, Look
from .yardstick import Yardstick
