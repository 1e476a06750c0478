"""What minigan/kernels/variants.py says, read without the package around it, which needs NumPy."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent

_said = runpy.run_path(str(ROOT / "minigan" / "kernels" / "variants.py"))

LIBRARIES = _said["LIBRARIES"]
MISSING = _said["MISSING"]
Variant = _said["Variant"]
digest = _said["digest"]
library_path = _said["library_path"]
source_files = _said["source_files"]
variants = _said["variants"]
