"""The same training steps in minigan, PyTorch and JAX, and the processes that time them in alternation."""
