"""The network: its formulas, its evaluator of arms, and prediction in NumPy."""
