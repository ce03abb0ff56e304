"""Speed, side by side with the peers that a user would otherwise take: ``python -m benchmarks.speed --help``."""
