"""The network is written anew for other columns, and computes the same."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.features.embeddings import NUMERIC_EMBEDDINGS, Inputs
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.renewal import renewed
from skbandit._tabular.model import Architecture, Model
from skbandit._tabular.reparametrization import Reparametrization

NAN = np.nan


def architecture(encoder, embedding=None):
    rows = tuple(1 << (n - 1).bit_length() for n in encoder.cardinalities)
    inputs = Inputs(encoder.n_dense, encoder.n_embeddable, embedding, rows, scaled=True)
    return Architecture(encoder, inputs, (5, 3), 2, "tanh", False, "squared_error")


def network(architecture, X, weight, rng):
    """Return a network of random weights, in float64."""
    inputs = architecture.inputs
    params = inputs.init(rng, "float64", architecture.encode(X), weight)
    params["scale"] = rng.uniform(0.5, 2, inputs.n_features)
    sizes = architecture.layer_sizes()
    layers = [(rng.normal(size=s) / 3, rng.normal(size=s[1])) for s in pairwise(sizes)]
    return Model.of_layers(architecture, params, layers, dtype="float64")


def written_anew(model, X_before, X, categories, embedding=None, *, rescale=True, clip=True):
    """Return the model for an encoder that has seen the rows of both calls."""
    X_both = np.concatenate([X_before, X])
    latest = FeatureEncoder.fit(X_both, None, categories, clip=clip, embed=embedding is not None)
    past, both = ((rows, np.ones(len(rows))) for rows in (X_before, X_both))
    encoder = renewed(model.architecture.encoder, latest, *past, rescale=rescale)
    after = architecture(encoder, embedding)
    return Reparametrization.of(model.architecture, after, past, both).model(model, np.random.RandomState(1))


def made(X, categories=(), embedding=None, *, clip=True, seed=0):
    encoder = FeatureEncoder.fit(X, None, categories, clip=clip, embed=embedding is not None)
    return network(architecture(encoder, embedding), X, np.ones(len(X)), np.random.RandomState(seed))


def assert_same_function(after, before, X, n_known=None):
    """Assert that two networks compute the same; of column 0 the first one knows so many categories."""
    X_before = X.copy()
    if n_known is not None:
        X_before[X_before[:, 0] >= n_known, 0] = NAN  # as a reader gives unknown ones
    np.testing.assert_allclose(after.raw_output(X), before.raw_output(X_before), rtol=0, atol=1e-9)


# ---------------------------------------------------------------------- categories


@given(
    before=st.integers(1, 12),
    more=st.integers(0, 12),
    missing=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=80, deadline=None)
def test_a_new_category_is_at_first_what_an_unknown_one_was(before, more, missing, seed):
    rng = np.random.default_rng(seed)

    def rows(n_categories, with_missing):
        codes = np.append(np.arange(n_categories), rng.integers(n_categories, size=20)).astype(float)
        codes = np.append(codes, NAN) if with_missing else codes
        return np.column_stack([codes, rng.normal(size=codes.size)])

    first, second = rows(before, missing[0]), rows(before + more, missing[1])
    model = made(first, (before, 0), seed=seed)
    after = written_anew(model, first, second, (before + more, 0), rescale=False)
    everything = np.column_stack([np.append(np.arange(float(before + more)), NAN), np.zeros(before + more + 1)])
    assert_same_function(after, model, everything, before)
    # The encoder has a place of its own for each.
    encoded = after.architecture.encode(everything[:-1])
    assert len(np.unique(encoded, axis=0)) == before + more or before + more == 1


def test_categories_grow_from_one_kind_of_columns_to_the_next():
    rng = np.random.default_rng(0)
    kinds, seen = [], np.column_stack([np.zeros(5), rng.normal(size=5)])
    model = first = made(seen, (1, 0))
    for n in (2, 3, 8, 9, 20):
        rows = np.column_stack([np.arange(n, dtype=float), np.zeros(n)])
        model = written_anew(model, seen, rows, (n, 0), rescale=False)
        seen = np.concatenate([seen, rows])
        encoder = model.architecture.encoder
        kinds.append("two" if encoder.columns.size == 2 else "one-hot" if encoder.one_hot.size else "code")
        assert_same_function(model, first, seen, 1)
    assert kinds == ["two", "one-hot", "one-hot", "code", "code"]


# ---------------------------------------------------------------------- numbers


def test_a_number_that_is_not_clipped_is_the_same_on_any_scale():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(20, 3)), 100 + 50 * rng.normal(size=(40, 3))
    model = made(first, clip=False)
    after = written_anew(model, first, second, (), clip=False)
    assert (after.architecture.encoder.scale < 0.1 * model.architecture.encoder.scale).all()
    assert_same_function(after, model, np.concatenate([first, second]))


@pytest.mark.parametrize("embedding", [None, *NUMERIC_EMBEDDINGS])
def test_a_number_that_is_clipped_is_nearly_the_same_on_another_scale(embedding):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(500, 3)), 1.6 * rng.normal(size=(2000, 3)) + 0.3
    model = made(first, embedding=embedding)
    after = written_anew(model, first, second, (), embedding)
    assert (after.architecture.encoder.scale < model.architecture.encoder.scale).all()
    before, now = model.raw_output(first), after.raw_output(first)
    assert np.sqrt(np.mean((before - now) ** 2)) < 0.1 * before.std()


def test_a_scale_that_is_about_right_stays():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(1000, 3)), rng.normal(size=(2000, 3))
    model = made(first)
    latest = FeatureEncoder.fit(np.concatenate([first, second]), embed=False)
    assert renewed(model.architecture.encoder, latest) is model.architecture.encoder


@pytest.mark.parametrize("embedding", [None, *NUMERIC_EMBEDDINGS])
@pytest.mark.parametrize("lone", [0.0, 5.0, NAN])
def test_what_varies_for_the_first_time_does_not_change_the_function(lone, embedding):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    first[:, 1] = lone
    second[::3, 1] = NAN
    model = made(first, embedding=embedding)
    after = written_anew(model, first, second, (), embedding, rescale=False)
    assert_same_function(after, model, np.concatenate([first, second]))
    of_column = after.architecture.encode(second)[:, after.architecture.encoder.columns.tolist().index(1)]
    assert of_column.std() > 0.3


@pytest.mark.parametrize("embedding", [None, *NUMERIC_EMBEDDINGS])
@pytest.mark.parametrize("before", [False, True])
def test_a_missing_number_stays_what_it_was_when_the_median_is_another(before, embedding):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 1)), 0.5 + 1.5 * rng.normal(size=(200, 1))
    second[::3] = NAN
    if before:
        first[::5] = NAN
    model = made(first, embedding=embedding)
    after = written_anew(model, first, second, (), embedding)
    assert after.architecture.encoder.centre != model.architecture.encoder.centre
    assert_same_function(after, model, np.array([[NAN]]))
