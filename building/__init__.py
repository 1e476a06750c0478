"""How the compiled kernels are made: by hand (`python -m building`), and by pip (`backend.py`)."""
