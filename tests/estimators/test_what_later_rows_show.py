"""What the first rows lacked: scales, categories, missing values and the target's scale come in with later ones."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skbandit import BanditPrunedMLPRegressor
from skbandit.estimators._incremental import FEW_ROWS, N_QUANTILES, SAMPLE_ROWS, Sample

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:'batch_size'=20 is larger than the"),
]

RNG = np.random.default_rng(0)
#: Columns of other sizes, and a target of another.
X = RNG.normal(size=(300, 4)) * [1, 10, 0.1, 1] + [0, 50, 3, 0]
Y = 1000 + 200 * (X[:, 0] + (X[:, 1] - 50) / 10 * X[:, 3])
LETTERS = RNG.choice(list("abcdefghijkl"), 300)
TABLE = pd.DataFrame(X, columns=["w", "x", "y", "z"]).assign(k=pd.Categorical(LETTERS))
EFFECT = Y + 300 * np.array([ord(letter) - 97 for letter in LETTERS])


@pytest.fixture
def tabular(regressor):
    """Return a function to a small network that scales its columns and reads categories."""

    def make(**params):
        defaults = {"preprocessing": "auto", "batch_size": 20, "hidden_layer_sizes": (16,), "pruning_ratio": 0}
        return regressor(**{**defaults, **params})

    return make


def fed(model, X, y, n_calls=60, **params):
    for _ in range(n_calls):
        model.partial_fit(X, y, **params)
    return model


# ---------------------------------------------------------------------- few rows


@pytest.mark.parametrize("n_first", [1, 2, 5])
@pytest.mark.parametrize("preset", ["plain", "fast"])
def test_a_first_batch_of_few_rows_does_not_decide_what_is_learned(n_first, preset):
    def score(n_first):
        model = BanditPrunedMLPRegressor.from_preset(
            preset, hidden_layer_sizes=(16,), batch_size=20, learning_rate_init=0.05, random_state=0
        )
        table = (X - X.mean(axis=0)) / X.std(axis=0)
        return fed(model.partial_fit(table[:n_first], Y[:n_first]), table, Y, 80).score(table, Y)

    assert score(n_first) > score(300) - 0.03 > 0.8


def test_a_network_of_few_rows_is_made_anew_of_all_rows_so_far(tabular):
    parts = tabular().partial_fit(X[:3], Y[:3]).partial_fit(X[3:10], Y[3:10]).partial_fit(X[10:60], Y[10:60])
    whole = tabular().partial_fit(X[:60], Y[:60])
    for a, b in zip(parts.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (parts.t_, len(parts.loss_curve_)) == (60, 3)


def test_the_rows_of_a_network_are_kept_as_long_as_they_are_few(tabular):
    model = tabular().partial_fit(X[: FEW_ROWS - 1], Y[: FEW_ROWS - 1])
    assert len(model._seen.few.weight) == FEW_ROWS - 1
    fed(model, X, Y, 3)
    assert model._seen.few is None
    assert len(model._seen.sample.weight) == SAMPLE_ROWS
    np.testing.assert_allclose(model._seen.sample.weight.sum(), FEW_ROWS - 1 + 900)


def test_a_pruned_network_of_few_rows_is_not_made_anew(tabular):
    pruned = tabular().partial_fit(X[:5], Y[:5]).prune(X[:5], Y[:5], pruning_ratio=0.5)
    assert pruned.partial_fit(X, Y).hidden_layer_sizes_ == (8,)


# ---------------------------------------------------------------------- the function stays


def at_a_standstill(tabular, how, first, y_first, second, y_second, **params):
    """Return predictions for the first rows, before and after a call that can hardly change the weights."""
    model = tabular(warm_start=True, dtype="float64", **params)
    getattr(model, how)(first, y_first)
    for _ in range(20):
        getattr(model, how)(first, y_first)
    before = model.predict(first)
    model.set_params(learning_rate_init=1e-12, max_iter=1)
    getattr(model, how)(second, y_second)
    return before, model.predict(first), model


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
@pytest.mark.parametrize("solver", ["adamw", "sgd", "lion", "rmsprop"])
def test_another_mean_and_spread_of_the_target_change_no_prediction(how, solver, tabular):
    rates = {"learning_rate_init": 0.001 if solver == "sgd" else 0.01}
    before, after, model = at_a_standstill(tabular, how, X, Y, X, 1e5 * Y - 3e8, solver=solver, **rates)
    np.testing.assert_allclose(after, before, atol=1e-3 * Y.std())
    assert model._target.y_scale[0] > 100 * Y.std()


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
@pytest.mark.parametrize("embedding", [None, "periodic", "piecewise_linear"])
def test_a_column_that_begins_to_vary_changes_no_prediction_for_what_was_there(how, embedding, tabular):
    first, second = X[:100].copy(), X[100:150].copy()
    first[:, 0] = 7.0
    second[::7, 1] = np.nan
    before, after, model = at_a_standstill(
        tabular, how, first, Y[:100], second, Y[100:150], numeric_embedding=embedding
    )
    np.testing.assert_allclose(after, before, atol=1e-6 * Y.std())
    assert model._architecture.encoder.indicators.tolist() == [1]


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
@pytest.mark.parametrize("n_first", [1, 2, 3, 8, 10])
def test_a_new_category_is_predicted_as_an_unknown_one_was(how, n_first, tabular):
    first = TABLE.k.isin(list("abcdefghijkl")[:n_first]).to_numpy()
    params = {"categorical_features": ["k"]}
    model = tabular(warm_start=True, dtype="float64", **params)
    getattr(model, how)(TABLE[first], EFFECT[first])
    before = model.predict(TABLE.assign(k=pd.Categorical(np.where(first, LETTERS, None))))  # what is unknown is missing
    model.set_params(learning_rate_init=1e-12, max_iter=1)
    getattr(model, how)(TABLE, EFFECT)
    np.testing.assert_allclose(model.predict(TABLE), before, atol=1e-6 * Y.std())


# ---------------------------------------------------------------------- what comes in is learned


@pytest.mark.parametrize(("how", "n_members"), [("partial_fit", 1), ("fit", 1), ("fit", 2)])
def test_new_categories_are_learned(how, n_members, tabular):
    first = np.isin(LETTERS, ["a", "b"])
    model = tabular(warm_start=True, categorical_features=["k"], n_members=n_members, max_iter=60)
    getattr(model, how)(TABLE[first], EFFECT[first])
    for _ in range(60 if how == "partial_fit" else 1):
        getattr(model, how)(TABLE, EFFECT)
    assert model.score(TABLE, EFFECT) > 0.97
    for member in getattr(model, "estimators_", []):  # each serves alone
        assert member.score(TABLE, EFFECT) > 0.95


@pytest.mark.parametrize("embedding", [None, "periodic", "piecewise_linear"])
def test_a_warm_fit_goes_on_from_a_single_row(embedding, tabular):
    params = {"warm_start": True, "numeric_embedding": embedding, "max_iter": 60, "hidden_layer_sizes": (32,)}
    fresh = tabular(**params).fit(X, Y)
    model = tabular(**params).fit(X[:1], Y[:1]).fit(X, Y)
    assert model.score(X, Y) > fresh.score(X, Y) - 0.03 > 0.9
    assert len(model.loss_curve_) > len(fresh.loss_curve_)


def test_a_warm_fit_of_the_same_rows_writes_nothing_anew(tabular):
    model = tabular(warm_start=True, categorical_features=["k"]).fit(TABLE, EFFECT)
    before = model._architecture
    model.fit(TABLE, EFFECT)
    assert model._architecture is before


def test_a_warm_fit_of_few_rows_keeps_the_scales_of_many(tabular):
    model = tabular(warm_start=True).fit(X, Y)
    before = model._architecture
    model.fit(10 * X[:60], Y[:60])
    assert model._architecture is before
    model.fit(10 * X, Y)
    assert (model._architecture.encoder.scale[4:] < before.encoder.scale).all()  # on a second scale


def test_a_sorted_stream_is_scaled_by_all_of_it(tabular):
    order = np.argsort(X[:, 0])
    model = tabular()
    for rows in np.array_split(order, 15):
        model.partial_fit(X[rows], Y[rows])
    encoder = model._architecture.encoder
    whole = tabular().partial_fit(X, Y)._architecture.encoder
    assert abs(encoder.centre[0] - whole.centre[0]) * whole.scale[0] < 0.75
    np.testing.assert_allclose(encoder.scale, whole.scale, rtol=0.75)


def test_sparse_columns_that_were_empty_are_learned(tabular):
    table = sparse.random_array((300, 10), density=0.3, rng=0, format="csr")
    y = np.asarray(table.sum(axis=1)).ravel()
    model = tabular().partial_fit(sparse.csr_array((50, 10)), y[:50])
    assert fed(model, table, y).score(table, y) > 0.9
    assert sparse.issparse(model._seen.sample.X)


def test_a_row_of_weight_0_brings_nothing(tabular):
    model = tabular(categorical_features=["k"])
    first = np.isin(LETTERS, ["a", "b"])
    model.partial_fit(TABLE[first], EFFECT[first])
    before = model._architecture
    extreme = TABLE.assign(w=1e6 * TABLE.w)
    model.partial_fit(extreme, EFFECT, sample_weight=first.astype(float))
    assert model._columns.n_known == (0, 0, 0, 0, 2)
    assert model._architecture is before or model._architecture.encoder.codes.size == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stream_goes_on_after_pickling(dtype, tabular):
    def run(between):
        model = tabular(categorical_features=["k"], dtype=dtype)
        for rows in np.array_split(np.argsort(LETTERS), 12):
            model = between(model.partial_fit(TABLE.iloc[rows], EFFECT[rows]))
        return model.predict(TABLE)

    np.testing.assert_array_equal(run(lambda model: pickle.loads(pickle.dumps(model))), run(lambda model: model))


def test_what_stays_of_the_rows_of_a_fit_is_no_row(tabular):
    seen = tabular(warm_start=True).fit(X, Y)._seen
    assert seen.few is None
    assert len(seen.sample.weight) == N_QUANTILES
    np.testing.assert_array_equal(seen.sample.X, np.sort(seen.sample.X, axis=0))
    assert not (seen.sample.X[:, None] == X).all(axis=2).any()


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
@pytest.mark.parametrize(("shift", "width"), [(0, 0.001), (0, 10), (3, 1), (1000, 1)])
def test_rows_of_another_range_do_not_blur_what_was_learned(how, shift, width, tabular):
    model = tabular(warm_start=True, hidden_layer_sizes=(32,), max_iter=100, dtype="float64").fit(X, Y)
    before = model.predict(X)
    others = X.mean(axis=0) + shift * X.std(axis=0) + width * (X - X.mean(axis=0))
    model.set_params(learning_rate_init=1e-12, max_iter=1)
    for _ in range(5):
        getattr(model, how)(others, Y)
    # What is left is of the clip, where a line stands for it.
    assert np.sqrt(np.mean((model.predict(X) - before) ** 2)) < 0.1 * before.std()


def test_a_call_that_fails_leaves_the_categories_as_they_were(tabular):
    first = np.isin(LETTERS, ["a", "b"])
    model = tabular(categorical_features=["k"]).partial_fit(TABLE[first], EFFECT[first])
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(TABLE, np.where(first, EFFECT, np.nan))
    assert model._columns.n_known == (0, 0, 0, 0, 2)


def test_another_optimizer_of_the_users_goes_on(tabular):
    optax = pytest.importorskip("optax")
    first = np.isin(LETTERS, ["a", "b"])
    model = tabular(categorical_features=["k"], solver=optax.adam(0.03)).partial_fit(TABLE[first], EFFECT[first])
    assert fed(model, TABLE, EFFECT).score(TABLE, EFFECT) > 0.95


# ---------------------------------------------------------------------- named beforehand


SIZES = pd.DataFrame({"size": ["M", "S", "M"] * 20, "x": RNG.normal(size=60)})
PRICE = np.where(SIZES["size"] == "M", 2.0, 1.0) + 0.01 * SIZES["x"].to_numpy()


@pytest.mark.parametrize("key", ["size", 0])
@pytest.mark.parametrize("features", [None, "from_dtype", ["size"]])
def test_categories_that_are_named_have_the_order_of_the_list(key, features, tabular):
    model = tabular(categories={key: ["S", "M", "L"]}, categorical_features=features).fit(SIZES, PRICE)
    assert model._columns.reader.values == (("S", "M", "L"), ())
    assert model._architecture.encoder.one_hot_sizes.tolist() == [3]
    assert model.score(SIZES, PRICE) > 0.9
    assert np.isfinite(model.predict(pd.DataFrame({"size": ["L"], "x": [0.0]}))).all()


def test_a_named_category_that_comes_later_needs_no_other_columns(tabular):
    model = tabular(categories={"size": ["S", "M", "L"]}).partial_fit(SIZES, PRICE)
    inputs = model._architecture.inputs
    later = SIZES.replace("M", "L")
    fed(model, later, PRICE + (later["size"] == "L"), 40)
    assert model._architecture.inputs == inputs
    assert model.score(later, PRICE + (later["size"] == "L")) > 0.9


def test_categories_are_named_for_the_columns_of_an_array(tabular):
    table = np.column_stack([np.arange(60) % 2, RNG.normal(size=60)])
    model = tabular(categories={0: range(4)}).fit(table, table[:, 0])
    assert model._columns.categories == (4, 0)


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_a_value_that_is_not_named_is_an_error(how, tabular):
    model = tabular(categories={"size": ["S", "L"]}, warm_start=True)
    with pytest.raises(ValueError, match=r"Column 'size' of X has values that 'categories' does not name.*\['M'\]"):
        getattr(model, how)(SIZES, PRICE)
    good = SIZES[SIZES["size"] == "S"]
    getattr(model, how)(good, PRICE[good.index])
    with pytest.raises(ValueError, match="does not name"):
        getattr(model, how)(SIZES, PRICE)


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        (["S", "M"], "'categories'.*must be.*dict from columns to their values"),
        (
            {"colour": ["red"]},
            r"'categories' has a column 'colour', which X has not. Its columns are 0 to 1, or \['size'",
        ),
        ({2: ["red"]}, "'categories' has a column 2"),
        ({"size": "SML"}, "'categories' must give a list of values for Column 'size' of X. Got 'SML'"),
        ({"size": []}, "at least one"),
        ({"size": ["S", None]}, "none that is missing"),
        ({"size": ["S", "M", "S"]}, r"'categories' has values of Column 'size' of X more than once: \['S'\]"),
        ({"size": ["S", "M"], 0: ["S", "M"]}, "'categories' names column 'size' of X twice"),
    ],
)
def test_what_is_named_is_checked(categories, message, tabular):
    with pytest.raises(ValueError, match=message):
        tabular(categories=categories).fit(SIZES, PRICE)


def test_named_categories_need_a_dense_table(tabular):
    with pytest.raises(ValueError, match=r"'categories'={0: \[1\]} needs a dense X"):
        tabular(categories={0: [1]}).fit(sparse.eye_array(60, format="csr"), np.arange(60.0))


def test_a_network_keeps_the_categories_that_were_named(tabular):
    model = tabular(categories={"size": ["S", "M"]}, warm_start=True).fit(SIZES, PRICE)
    model.set_params(categories={"size": ["S", "M", "L"]})
    with pytest.raises(ValueError, match="The 'categories' parameter was"):
        model.fit(SIZES, PRICE)


@pytest.mark.parametrize("n_most", [32, 256])
def test_a_sample_does_not_go_by_the_order_of_the_rows(n_most):
    # Of a grid in its order, rows at equal steps would all have one value of a column.
    grid = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij"), axis=-1).reshape(-1, 2)
    order = np.random.default_rng(0).permutation(len(grid))
    one, other = (Sample(X, np.ones(len(X))).thinned(n_most, 10**6) for X in (grid, grid[order]))
    np.testing.assert_array_equal(one.X, other.X)
    assert one.weight.sum() == pytest.approx(len(grid))
    # Means of n_most draws from 0..63: 5 standard deviations.
    np.testing.assert_allclose(one.X.mean(axis=0), 31.5, atol=5 * 18.5 / np.sqrt(n_most))


@pytest.mark.parametrize("width", [1000, 100])
def test_a_warm_fit_is_scaled_by_its_own_rows(width, tabular):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(400, 3)), rng.normal(size=(150, 3))
    params = {"warm_start": True, "max_iter": 60, "hidden_layer_sizes": (16,)}
    model = tabular(**params).fit(first, first @ [1, 2, -1])
    model.fit(width * second, second @ [1, -2, -1])
    fresh = rng.normal(size=(400, 3))
    assert model.score(width * fresh, fresh @ [1, -2, -1]) > 0.9
