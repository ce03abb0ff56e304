"""Deep networks: what is found prunable in each, against Torch-Pruning: ``python -m benchmarks.deep --help``."""
