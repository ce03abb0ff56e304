"""Who chooses best: policies and criteria against the exact answer, simulated and on trained networks."""
