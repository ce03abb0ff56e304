"""Networks before training that depend on the rows: the same for a weight as for copies, in whatever order."""

import numpy as np
import pytest
from scipy import sparse

from skbandit._tabular.network import initialization
from skbandit.estimators._member import distinct_rows

#: So small a rate, without decay, leaves a network as it was drawn.
AS_DRAWN = {"weight_init": "data_driven", "learning_rate_init": 1e-30, "max_iter": 1, "pruning_ratio": 0}


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_copies_of_a_row_are_one_row_of_their_summed_weight(as_given):
    X = np.array([[1.0, 0], [2, 3], [1, 0], [4, 4], [2, 3]])
    weight = np.array([1.0, 2, 4, 0, 0.5])
    rows, summed = distinct_rows(as_given(X), weight, np.flatnonzero(weight), "float64")
    assert dict(zip(map(tuple, X[rows]), summed, strict=True)) == {(1, 0): 5, (2, 3): 2.5}
    order = np.array([4, 2, 0, 3, 1])
    again, summed_again = distinct_rows(as_given(X[order]), weight[order], np.flatnonzero(weight[order]), "float64")
    np.testing.assert_array_equal(X[order][again], X[rows])
    np.testing.assert_array_equal(summed_again, summed)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_most", [4096, 16])
@pytest.mark.parametrize("params", [{}, {"numeric_embedding": "piecewise_linear", "preprocessing": "auto"}], ids=str)
def test_a_weight_is_a_repeated_row_in_any_order(params, n_most, make_data, regressor, monkeypatch):
    for name in ("MOST_ROWS", "FEWEST_ROWS"):  # where there are more rows, some are drawn
        monkeypatch.setattr(initialization, name, n_most)
    data, rng = make_data("regression"), np.random.default_rng(0)
    counts = rng.integers(0, 4, 60)
    copies = rng.permutation(np.repeat(np.arange(60), counts))
    params = {**AS_DRAWN, **params, "dtype": "float64"}
    weighted = regressor(**params).fit(data.X, data.y, sample_weight=counts)
    repeated = regressor(**params).fit(data.X[copies], data.y[copies])
    # The same rows at other weights draw other networks.
    other = regressor(**params).fit(data.X, data.y, sample_weight=np.where(np.arange(60) % 7 == 0, 9, 1) * counts)
    for u, v in zip(weighted.coefs_[:-1], repeated.coefs_[:-1], strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-9)
    assert np.abs(weighted.coefs_[0] - other.coefs_[0]).max() > 1e-3
