"""Training: plans, solvers, and the loop over epochs."""
