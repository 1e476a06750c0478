"""How good are samples, and is it training? A judge that knows labels, a yardstick that needs none, a verdict."""

from ..data import held_out
from ..nn import in_chunks
from .reader import Judge, centre, fit_classifier, judge_of, quick_judge
from .verdict import Finding, Look
from .yardstick import Yardstick
