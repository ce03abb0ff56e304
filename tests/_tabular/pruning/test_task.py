import numpy as np
import pytest
from scipy import sparse

from skbandit._tabular.pruning import task
from skbandit._tabular.pruning.task import calibration_rows
from skbandit._tabular.types import Rows


def rows(n, first=0):
    number = np.arange(first, first + n)
    return Rows(number[:, None].astype(float), np.zeros((n, 1)), np.ones(n), number.astype(np.uint32))


@pytest.mark.parametrize(
    # 2^25 values, but 2 048 rows at least, and 2^14 at most.
    ("n_features", "n_measured"),
    [(1, 2**14), (2048, 2**14), (4096, 2**13), (2**14, 2**11), (10**6, 2**11)],
)
def test_wide_rows_are_measured_on_in_smaller_numbers(n_features, n_measured):
    found = calibration_rows(rows(20_000), None, "train", np.random.default_rng(0), n_features)
    assert found.X.shape[0] == np.unique(found.row_id).size == n_measured
    np.testing.assert_array_equal(found.X[:, 0], found.row_id)


def test_the_rows_that_are_asked_for(monkeypatch):
    train, held_out = rows(30), rows(10, first=100)
    rng = np.random.default_rng(0)
    assert calibration_rows(train, held_out, "train", rng) is train
    assert calibration_rows(train, held_out, "held_out", rng) is held_out
    assert calibration_rows(train, None, "held_out", rng) is train
    both = calibration_rows(train, held_out, "all", rng)
    np.testing.assert_array_equal(both.row_id, [*range(30), *range(100, 110)])
    thin = [of._replace(X=sparse.csr_array(of.X)) for of in (train, held_out)]
    np.testing.assert_array_equal(calibration_rows(*thin, "all", rng).X.toarray(), both.X)
    monkeypatch.setattr(task, "CALIBRATION_ROWS", 7)
    assert calibration_rows(*thin, "all", rng).X.shape == (7, 1)
