"""A training run as one page: `write(run)` reads its folder and writes report.html, which needs nothing but a browser.

`curves` thins and groups what was logged; `frames` packs the pictures of samples; `tables` puts the rest into words;
`page` joins them.
"""

from ..record import read
from .page import write
