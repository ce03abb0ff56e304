import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.network.accounting import n_macs, n_parameters
from skbandit._tabular.network.initialization import init_params


def test_counts_by_hand():
    # 3 → 5 → 2: weights 15 + 10, biases 5 + 2; a row costs one multiply-accumulate per weight.
    assert n_parameters((3, 5, 2)) == 32
    assert n_macs((3, 5, 2)) == 25


@settings(max_examples=25, deadline=None, derandomize=True)
@given(layer_sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_counts_are_those_of_the_arrays(layer_sizes):
    params = init_params(tuple(layer_sizes), "relu", np.random.RandomState(0), "float32")
    assert n_parameters(layer_sizes) == sum(W.size + b.size for W, b in params)
    assert n_macs(layer_sizes) == sum(W.size for W, _ in params)


def test_counts_are_python_integers_beyond_32_bits():
    assert n_macs((100_000, 100_000)) == 10**10
