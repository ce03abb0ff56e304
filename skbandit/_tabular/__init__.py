"""The multilayer perceptron that the estimators train, on tables. Free of scikit-learn: NumPy in, NumPy out."""
