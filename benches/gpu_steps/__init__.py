"""What benches/gpu.py runs: stages in the parent, and the two libraries in child processes."""
