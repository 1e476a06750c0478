"""A run of training: its settings, the files it leaves, checkpoints, the loop, studies of several runs, the report.

`main` is a program that trains, `run` one run, of which a `Hook` is told as it goes; `checkpoint`, `labels`, `record`,
`report`, `sides`, `studies`, `translations` are modules.
"""

from ..data import Samples, Shape
from ..system.options import Options, nonempty
from ..system.terminal import ending, say
from . import checkpoint, labels, record, report, sides, studies, translations
from .folder import RunFolder
from .hooks import Hook, Running
from .options import parser
from .program import main, reconstruction_grid, run, sample_grid, start
from .settings import FEW, Settings, positive
