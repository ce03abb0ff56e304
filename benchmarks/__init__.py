"""Benchmarks: not part of the package, and they use its public names only."""
