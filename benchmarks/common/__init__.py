"""What all benchmarks share: data sets, timing, the machine, records and tables."""
