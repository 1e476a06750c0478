"""A training run as one page: `write(run)` reads its folder and writes report.html, which needs nothing but a browser.

`folder` reads what a run left, damaged or not; `curves` thins and groups what was logged; `frames` packs the pictures
of samples; `tables` puts the rest into words; `page` joins them.
"""

from .folder import read
from .page import write
