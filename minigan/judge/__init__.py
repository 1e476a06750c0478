"""How good are samples, and is it training? Judges that know images, a yardstick for any data, tables, a verdict."""

from ..data import held_out
from ..nn import in_chunks
from .evaluation import Gauge, Reader, Row, Seen, Sides, of_images, of_points, seen, sides
from .lessons import fit, fit_classifier, fit_turned, judge_of, learn, quick_judge, turned
from .outside import read_features
from .perceptual import looks, perceptual, perceptual_by_vgg
from .reader import Form, Judge, centre, form28, form_of
from .shelf import SHIPPED, load, suited
from .verdict import Finding, Look
from .whitening import Whitening
from .yardstick import Yardstick
