"""Tables of many columns, sparse and dense: the same networks, in bounded memory."""

import tracemalloc
from unittest import mock

import numpy as np
import pytest
from scipy import sparse

from skbandit._core import memory
from skbandit._tabular.features import encoder, hashing, statistics

#: Two epochs of training, one of fine-tuning, two rounds: networks that a wrong split or scale would change.
SHORT = {"hidden_layer_sizes": (4,), "max_iter": 2, "fine_tune_iter": 1, "n_rounds": 2, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def words(n, n_columns, seed=0, per_row=12):
    """A bag of words, of which one is in most rows, and the target of two classes."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(n), per_row), rng.integers(0, n_columns, n * per_row)
    X = sparse.csr_array((rng.integers(1, 4, n * per_row).astype(float), place), (n, n_columns))
    X = sparse.hstack([X, (rng.random((n, 1)) < 0.8) * rng.random((n, 1))], format="csr")
    return X, np.asarray(X[:, : n_columns // 2].sum(axis=1)).ravel() > per_row


def make(classifier, preset, **params):
    return type(classifier()).from_preset(preset, **SHORT, **{"n_members": 1, **params})


def assert_same_networks(first, second):
    networks = (getattr(model, "estimators_", [model]) for model in (first, second))
    for one, other in zip(*networks, strict=True):
        for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("preset", "params"), [("plain", {}), ("fast", {}), ("strong", {"n_members": 2})])
def test_sparse_rows_make_the_network_of_the_dense_ones_bit_for_bit(classifier, preset, params):
    X, y = words(90, 60)
    X = sparse.hstack([X, 1.7e9 + np.arange(90.0)[::-1, None]], format="csr")  # time stamps: float32 has 24 bits
    tables = X, X.toarray()
    models = [make(classifier, preset, **params).fit(rows, y) for rows in tables]
    assert_same_networks(*models)
    again = {"pruning_ratio": 0.75, "calibration": "all"}
    pruned = [model.prune(rows, y, **again) for model, rows in zip(models, tables, strict=True)]
    assert_same_networks(*pruned)
    for model in (models[0], pruned[0]):
        np.testing.assert_allclose(model.predict_proba(X), model.predict_proba(X.toarray()), rtol=1e-9)


def test_sparse_batches_train_as_dense_ones(classifier):
    X, y = words(60, 40)
    one, other = make(classifier, "fast"), make(classifier, "fast")
    for _ in range(2):
        one.partial_fit(X, y, classes=[False, True])
        other.partial_fit(X.toarray(), y, classes=[False, True])
    assert_same_networks(one, other)


def test_rows_of_weight_zero_are_not_there_in_a_sparse_table(classifier):
    X, y = words(60, 40)
    weight = np.repeat([1.0, 0.0], 30)
    one = make(classifier, "fast").fit(X, y, weight)
    assert_same_networks(one, make(classifier, "fast").fit(X[:30], y[:30]))


def test_held_out_rows_may_be_sparse(classifier):
    X, y = words(90, 40)
    X, X_val = X[:60], X[60:]
    one = make(classifier, "fast").fit(X, y[:60], X_val=X_val, y_val=y[60:])
    other = make(classifier, "fast").fit(X.toarray(), y[:60], X_val=X_val.toarray(), y_val=y[60:])
    assert_same_networks(one, other)


def test_a_sparse_table_of_the_user_stays_as_it_is(classifier):
    X, y = words(60, 40)
    # Two entries of each place.
    twice = sparse.csr_matrix((X.data.repeat(2).astype("float32"), X.indices.repeat(2), 2 * X.indptr), X.shape)
    before = twice.data.copy()
    model = make(classifier, "fast").fit(twice, y)
    np.testing.assert_array_equal(twice.data, before)
    assert_same_networks(model, make(classifier, "fast").fit(twice.toarray(), y))


@pytest.mark.parametrize("preset", ["plain", "fast"])
def test_a_sparse_table_is_dense_on_the_device_alone(classifier, preset):
    X, y = words(1200, 8000)
    copy = X.shape[0] * X.shape[1] * 4
    make(classifier, preset).fit(X, y)  # compiled
    model = make(classifier, preset)
    tracemalloc.start()
    model.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    model.predict(X)
    predicted = tracemalloc.get_traced_memory()[1] - tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    # What JAX takes over is counted here: with their padding, 1.07 copies to train on, and as many to measure on (of a
    # larger table, a part). A chunk of dense rows on the host takes .44, and entries of float64 the rest.
    assert peak < 3.0 * copy
    assert predicted < copy


def test_a_sparse_table_that_does_not_fit_into_memory_is_refused(classifier, monkeypatch):
    X, y = words(60, 40)
    model = make(classifier, "fast").fit(X, y)
    before = vars(model).copy()
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    for call in (model.fit, model.partial_fit, model.prune):
        with pytest.raises(MemoryError, match=r"sparse table of shape \(60, 41\).*TruncatedSVD.*partial_fit"):
            call(X, y)
    assert vars(model) == before
    model.predict(X)  # a chunk of rows at a time
    make(classifier, "fast").fit(X.toarray(), y)  # what is dense has its memory


def test_columns_are_not_looked_at_one_by_one(classifier):
    # Blocks as large as the table: one look for each kind, whatever the number of columns.
    X, y = words(60, 1000)
    with mock.patch.object(statistics, "_of_block", wraps=statistics._of_block) as looks:
        make(classifier, "fast").fit(X.toarray(), y)
        assert looks.call_count == 1
        make(classifier, "fast").fit(X, y)
        assert looks.call_count == 2
    assert X.shape[1] <= encoder.CHUNK_VALUES
    with mock.patch.object(hashing, "_as_bits", wraps=hashing._as_bits) as conversions:
        hashing.row_ranks(X.toarray(), 0)
        assert conversions.call_count == 1
