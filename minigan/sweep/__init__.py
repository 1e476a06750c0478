"""A grid of settings, a run for each: `minigan sweep` is the command.

`grid` reads what is to be varied; `runs` knows how each run stands, and computes one; `runner` spreads them over
processes; `results` is what came out, as a table, CSV and JSON; `page` shows it.
"""

from .results import Results
from .runner import Crew, run
from .runs import Outcome, Unit
