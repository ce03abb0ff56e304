"""Tables as they come: categories, missing values, embeddings; and the options of training that go with them."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit._tabular.pruning import task
from skbandit.estimators._settings import n_epochs
from skbandit.presets import PRESETS, preset_params

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: The recipe of the defaults with a small network, on sixty rows: one step an epoch.
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 40, "n_rounds": 1, "fine_tune_iter": 2, "random_state": 0}
CITIES = [f"city {i:02}" for i in range(12)]
EMBEDDINGS = (None, "periodic", "piecewise_linear")


def small(cls=BanditPrunedMLPRegressor, **params):
    return cls(**{**SMALL, "n_members": 1, **params})


def input_params(model):
    return model._member.model.input_params


def read(library, columns):
    """Make a frame as a file is read: text is text."""
    return (pd if library == "pandas" else pl).DataFrame(columns)


def table_of(library, columns):
    """Make a frame; a column of text is one of categories."""
    text = {name: isinstance(values[1], str) for name, values in columns.items()}
    if library == "pandas":
        return pd.DataFrame({name: pd.Categorical(v) if text[name] else v for name, v in columns.items()})
    return pl.DataFrame(
        {name: pl.Series(v, dtype=pl.Categorical if text[name] else None) for name, v in columns.items()}
    )


@pytest.fixture(scope="module")
def columns():
    """Numbers with gaps, three colours, two answers and twelve cities, of sixty rows; and the target that they make."""
    rng = np.random.default_rng(0)
    age, income = 40 + 10 * rng.standard_normal(60), np.exp(rng.standard_normal(60))
    colour, city = rng.integers(3, size=60), np.arange(60) % 12
    answer = rng.integers(2, size=60)
    y = age / 10 + np.array([0, 3, -3])[colour] + 4.0 * (city % 3) + answer
    age[::7] = np.nan
    colours = ["red", "green", "blue"]
    return {
        "age": age,
        "colour": [colours[c] for c in colour[:-1]] + [None],
        "income": income,
        "answer": [["no", "yes"][a] for a in answer],
        "city": [CITIES[c] for c in city],
    }, y


@pytest.fixture(params=["pandas", "polars"])
def library(request):
    return request.param


@pytest.fixture
def table(columns, library):
    return table_of(library, columns[0]), columns[1]


# ---------------------------------------------------------------------- tables


def test_a_table_with_categories_and_gaps_is_learned_from(columns):
    X, y = table_of("pandas", columns[0]), columns[1]
    model = small(max_iter=100).fit(X, y)
    assert model.score(X, y) > 0.8
    numbers = X[["age", "income"]]
    assert small(max_iter=100).fit(numbers, y).score(numbers, y) < 0.5
    # Two numbers, an answer, an indicator of missing ages, three colours and one for none, eight numbers for a city.
    assert model.coefs_[0].shape == (2 + 1 + 1 + 4 + 8, 4)
    sizes = [W.size + b.size for W, b in zip(model.coefs_, model.intercepts_, strict=True)]
    # Twelve cities, unknown ones, and padding; and a slope for each unit.
    assert model.n_parameters_[1] == sum(sizes) + 16 * 8 + 4
    assert model.feature_names_in_.tolist() == list(columns[0])


def test_frames_of_every_kind_are_the_same_table(columns):
    y = columns[1]
    first, second = (small().fit(table_of(library, columns[0]), y) for library in ("pandas", "polars"))
    predictions = [m.predict(table_of(lib, columns[0])) for m in (first, second) for lib in ("pandas", "polars")]
    for prediction in predictions[1:]:
        np.testing.assert_array_equal(prediction, predictions[0])


def test_a_classifier_reads_tables_too(table):
    X, y = table
    labels = np.where(y > np.median(y), "high", "low")
    model = small(BanditPrunedMLPClassifier, hidden_layer_sizes=(32,)).fit(X, labels)
    assert model.score(X, labels) > 0.85
    assert model.predict_proba(X).shape == (60, 2)


def test_unknown_categories_are_missing_ones(columns, library):
    model = small().fit(table_of(library, columns[0]), columns[1])

    def predicted(city, colour):
        """Change every fifth row."""
        changed = {name: list(values) for name, values in columns[0].items()}
        changed["city"][::5], changed["colour"][::5] = [city] * 12, [colour] * 12
        changed["city"][1], changed["colour"][1] = CITIES[0], "red"
        return model.predict(table_of(library, changed))

    unknown, missing, known = predicted("city 99", "pink"), predicted(None, None), predicted("city 05", "blue")
    np.testing.assert_array_equal(unknown, missing)
    assert (unknown[::5] != known[::5]).all()
    others = np.arange(60) % 5 > 0
    np.testing.assert_array_equal(unknown[others], known[others])


def test_categories_come_back_in_other_types(columns):
    """As CSV and JSON give them: whole numbers as text or as floats, truth values as text, text as it is."""
    y = columns[1]
    X = pd.DataFrame({"age": columns[0]["age"], "room": np.arange(60) % 4, "paid": np.arange(60) % 3 == 0})
    X = X.astype({"room": "category", "paid": "category"})
    model = small().fit(X, y)
    served = X.assign(room=X["room"].astype(str), paid=X["paid"].astype(str).str.lower())
    np.testing.assert_array_equal(model.predict(served), model.predict(X))
    served = X.assign(room=X["room"].astype(float), paid=X["paid"].astype(int))
    np.testing.assert_array_equal(model.predict(served), model.predict(X))
    np.testing.assert_allclose(model.predict(pd.read_json(io.StringIO(X.to_json()))), model.predict(X), rtol=1e-9)


def test_columns_of_few_texts_are_categories(columns, library):
    X, y = columns
    model, declared = small().fit(read(library, X), y), small().fit(table_of(library, X), y)
    np.testing.assert_array_equal(model.predict(read(library, X)), declared.predict(table_of(library, X)))


def test_columns_must_be_those_of_the_fit(columns):
    X = table_of("pandas", columns[0])
    model = small().fit(X, columns[1])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[list(X.columns[::-1])])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.drop(columns="city"))


def test_arrays_and_lists_can_hold_categories(columns):
    y, rows = columns[1], list(zip(*columns[0].values(), strict=True))
    model = small(categorical_features=[1, 3, 4]).fit(rows, y)
    as_frame = small().fit(table_of("pandas", columns[0]), y)
    np.testing.assert_array_equal(model.predict(rows), as_frame.predict(table_of("pandas", columns[0])))
    np.testing.assert_array_equal(model.predict(np.array(rows, object)), model.predict(rows))
    with pytest.raises(ValueError, match=r"Column 1 of X must hold numbers, but .*'blue'.* 'categorical_features'"):
        small().fit(rows, y)
    with pytest.raises(ValueError, match=r"X has 4 features, but .* 5 features"):
        model.predict([row[:4] for row in rows])


def test_tables_go_through_pipelines_searches_and_cross_validation(table, library):
    X, y = table
    select = FunctionTransformer(lambda frame: frame[["age", "colour", "city"]])
    pipeline = make_pipeline(select, small(max_iter=5))
    assert pipeline.fit(X, y).predict(X).shape == (60,)
    assert pipeline[-1].n_features_in_ == 3
    # A search over recipes: parameters like any others.
    tiny = {"hidden_layer_sizes": [(8,)], "max_iter": [5], "n_members": [2]}
    grid = [
        {name: [value] for name, value in preset_params(preset, "regression").items()} | tiny
        for preset in PRESETS
        if preset != "plain"  # which refuses missing values
    ]
    search = GridSearchCV(small(), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.n_members_ == 2
    assert np.isfinite(cross_val_score(small(max_iter=5), X, y, cv=3)).all()


def test_later_calls_read_tables_as_the_fit_did(table):
    X, y = table
    dense = small(pruning_ratio=0, warm_start=True, max_iter=10).fit(X, y)
    assert dense.prune(X, y, pruning_ratio=0.5).hidden_layer_sizes_ == (4,)
    few = X[:20]  # not every city
    dense.fit(few, y[:20])
    assert dense.predict(few).shape == (20,)
    model = small(early_stopping=False)
    for rows in (slice(0, 40), slice(40, 60)):
        model.partial_fit(X[rows], y[rows])
    assert np.isfinite(model.predict(X)).all()


def test_an_ensemble_reads_a_table_once_for_all(table):
    X, y = table
    model = small(n_members=2, max_iter=20).fit(X, y)
    each = [member.predict(X) for member in model.estimators_]
    np.testing.assert_allclose(model.predict(X), model.member_weights_ @ np.array(each), rtol=1e-5)


# ---------------------------------------------------------------------- missing and sparse numbers


def test_missing_numbers_are_read_or_refused(make_data):
    data = make_data("regression")
    X = data.X.copy()
    X[::5, 0] = np.nan
    model = small().fit(X, data.y)
    assert model.coefs_[0].shape[0] == 4 + 1  # an indicator
    assert np.isfinite(model.predict(X)).all()
    far = X.copy()
    far[0, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.predict(far)
    for numbers in (None, "periodic"):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            small(preprocessing=None, numeric_embedding=numbers).fit(X, data.y)
    plain = small(preprocessing=None).fit(data.X, data.y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        plain.predict(X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        plain.partial_fit(X, data.y)


def test_without_preprocessing_categories_may_be_missing_but_not_numbers(columns):
    X, y = table_of("pandas", columns[0]), columns[1]
    with pytest.raises(ValueError, match="Input X contains NaN"):
        small(preprocessing=None).fit(X, y)
    assert np.isfinite(small(preprocessing=None).fit(X.drop(columns="age"), y).predict(X.drop(columns="age"))).all()


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_sparse_rows_are_dense_rows(embedding, make_data):
    data = make_data("regression")
    X = np.where(np.abs(data.X) < 0.7, 0, data.X)
    dense = small(numeric_embedding=embedding, dtype="float64").fit(X, data.y)
    thin = small(numeric_embedding=embedding, dtype="float64").fit(sparse.csr_array(X), data.y)
    np.testing.assert_array_equal(thin.predict(X), dense.predict(X))
    for rows in (sparse.csr_array(X), sparse.csc_array(X)):
        np.testing.assert_allclose(dense.predict(rows), dense.predict(X), rtol=1e-12)


def test_scale_and_place_of_a_column_do_not_matter(make_data):
    data = make_data("regression")
    moved = data.X * [1e3, 1e-3, 8, 2] + [0, 5, -1e3, 1]
    # Which rows are held out, which ones weights are drawn from, and what drops out on each, is decided by what they
    # hold: here nothing is.
    params = {"early_stopping": False, "dropout": 0.0, "weight_init": "normal", "dtype": "float64"}
    predicted = small(**params).fit(data.X, data.y).predict(data.X)
    np.testing.assert_allclose(small(**params).fit(moved, data.y).predict(moved), predicted, rtol=1e-6)
    plain = [small(preprocessing=None, **params).fit(X, data.y).predict(X) for X in (data.X, moved)]
    assert np.abs(plain[0] - plain[1]).max() > 0.1


# ---------------------------------------------------------------------- weights


@pytest.mark.parametrize("params", [{}, {"pruning_ratio": "auto"}, {"numeric_embedding": "periodic"}], ids=str)
def test_a_weight_is_a_repeated_row_in_the_default_recipe(params, columns):
    counts = np.random.default_rng(1).integers(0, 4, 60)
    X, y = table_of("pandas", columns[0]), columns[1]
    repeated = np.repeat(np.arange(60), counts)
    weighted = small(dtype="float64", **params).fit(X, y, sample_weight=counts)
    copies = small(dtype="float64", **params).fit(X.iloc[repeated], y[repeated])
    # Forty steps of Adam on sums in another order.
    np.testing.assert_allclose(weighted.predict(X), copies.predict(X), rtol=1e-6)
    assert weighted.kept_units_[0].tolist() == copies.kept_units_[0].tolist()


@pytest.mark.parametrize("params", [{"weight_init": "data_driven"}, {"numeric_embedding": "piecewise_linear"}], ids=str)
def test_a_row_without_weight_is_no_row_in_any_recipe(params, columns):
    weight = (np.arange(60) % 12 > 3).astype(float)  # four cities are gone
    X, y = table_of("pandas", columns[0]), columns[1]
    there = weight > 0
    weighted = small(dtype="float64", **params).fit(X, y, sample_weight=weight)
    alone = small(dtype="float64", **params).fit(X[there], y[there])
    np.testing.assert_allclose(weighted.predict(X), alone.predict(X), rtol=1e-6)


# ---------------------------------------------------------------------- what is trained is what predicts

RECIPES = {
    "plain": {},
    "scaled": {"input_scaling": True, "parametrization": "ntk"},
    "clipped": {"preprocessing": "auto", "input_scaling": True},
    "periodic": {"preprocessing": "auto", "numeric_embedding": "periodic", "input_scaling": True},
    "bins": {"numeric_embedding": "piecewise_linear", "parametric_activation": True},
    "strong": {
        "activation": "mish",
        "preprocessing": "auto",
        "numeric_embedding": "periodic",
        "parametric_activation": True,
        "input_scaling": True,
        "parametrization": "ntk",
        "weight_init": "data_driven",
        "solver": "adamw",
        "alpha": 0.02,
        "dropout": 0.15,
        "regularization_schedule": "flat_cosine",
        "learning_rate": "coslog4",
    },
}
RECIPE = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@RECIPE
@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_the_network_that_predicts_is_the_one_that_was_trained(kind, recipe, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, pruning_ratio=0, early_stopping=True, **recipe)
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    # JAX says one, NumPy the other; float32.
    assert model.best_validation_score_ == pytest.approx(model.score(data.X_val, data.y_val), abs=2e-5)
    assert max(model.validation_scores_) > min(model.validation_scores_)


@RECIPE
def test_the_network_that_predicts_is_the_one_that_was_pruned(recipe, make_data, regressor):
    data = make_data("regression")
    dense = regressor(pruning_ratio=0, **recipe).fit(data.X, data.y)
    model = regressor(**recipe).fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (4,)
    residual = (model.predict(data.X) - data.y) / data.y.std()
    assert model.pruning_history_[-1]["loss_after"] == pytest.approx(0.5 * np.mean(residual**2), rel=1e-4)
    # From then on the inputs are a fixed map.
    for name, value in input_params(model).items():
        if name != "scale":
            np.testing.assert_array_equal(value, input_params(dense)[name])
    assert (model.activation_slopes_ is None) == ("parametric_activation" not in recipe)
    again = dense.prune(data.X, data.y, pruning_ratio=0.5)
    residual = (again.predict(data.X) - data.y) / data.y.std()
    assert again.pruning_history_[-1]["loss_after"] == pytest.approx(0.5 * np.mean(residual**2), rel=1e-4)
    assert again.hidden_layer_sizes_ == (4,)


@RECIPE
def test_counts_are_those_of_the_arrays(recipe, make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=2, fine_tune_iter=0, **recipe).fit(data.X, data.y)
    arrays = [*model.coefs_, *model.intercepts_, *(model.activation_slopes_ or [])]
    arrays += [value for name, value in input_params(model).items() if name != "scale"]
    assert model.n_parameters_[1] == sum(a.size for a in arrays)
    assert model.n_macs_[1] == sum(W.size for W in model.coefs_)


@pytest.mark.parametrize(
    "recipe", [recipe for name, recipe in RECIPES.items() if name != "strong"], ids=list(RECIPES)[:-1]
)
@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_goes_on_as_if_it_had_never_stopped(how, recipe, make_data, regressor):
    # The scale goes into the first layer when a call ends, and out of it when the next begins.
    data = make_data("regression")
    params = {"pruning_ratio": 0, "shuffle": False, "batch_size": 20, "tol": 0.0, "dtype": "float64", **recipe}
    whole = regressor(**{**params, "max_iter": 4}).fit(data.X, data.y)
    parts = regressor(**{**params, "max_iter": 2, "warm_start": True})
    for _ in range(4 if how == "partial_fit" else 2):
        getattr(parts, "fit" if how == "warm_start" else how)(data.X, data.y)
    np.testing.assert_allclose(parts.predict(data.X), whole.predict(data.X), rtol=1e-9)
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-9)
    for name, value in input_params(whole).items():
        np.testing.assert_allclose(input_params(parts)[name], value, rtol=1e-9)


def test_a_scale_of_0_does_not_come_back_as_nan(make_data, regressor):
    data = make_data("regression")
    model = regressor(input_scaling=True, pruning_ratio=0, warm_start=True, max_iter=2).fit(data.X, data.y)
    scale = np.array([1.0, 0.0, 1.0, 1.0], np.float32)
    input_params(model)["scale"] = scale
    model.coefs_[0] = model.coefs_[0] * scale[:, None]  # the list is the network's own
    model.fit(data.X, data.y)
    assert np.isfinite(model.predict(data.X)).all()


# ---------------------------------------------------------------------- other options


@pytest.mark.parametrize("kind", ["regression", "multi-output", "counts"])
def test_clipped_predictions_stay_within_what_was_seen(kind, make_data, make_estimator):
    data = make_data(kind)
    free = make_estimator(kind).fit(data.X, data.y)
    model = make_estimator(kind, clip_predictions=True).fit(data.X, data.y)
    low, high = data.y.min(axis=0), data.y.max(axis=0)
    far = 3 * data.X
    assert not ((free.predict(far) >= low) & (free.predict(far) <= high)).all()
    np.testing.assert_allclose(model.predict(far), np.clip(free.predict(far), low, high), rtol=1e-6)


def test_later_calls_of_partial_fit_widen_the_range(make_data, regressor):
    data = make_data("regression")
    model = regressor(clip_predictions=True)
    for rows in np.array_split(np.argsort(data.y), 3):
        model.partial_fit(data.X[rows], data.y[rows])
        highest = data.y[rows].max()
        assert model.predict(100 * data.X).max() <= highest * (1 + 1e-6)
    np.testing.assert_allclose(model._target.y_range.ravel(), [data.y.min(), data.y.max()])


def test_the_validation_metric_chooses_the_epoch(make_data, classifier):
    data = make_data("multi-class")
    params = {"pruning_ratio": 0, "early_stopping": True, "max_iter": 60, "n_iter_no_change": float("inf")}
    by_score, by_loss = (
        classifier(learning_rate_init=0.1, validation_metric=metric, **params).fit(
            data.X, data.y, X_val=data.X_val, y_val=data.y_val
        )
        for metric in ("score", "loss")
    )
    assert by_score.validation_scores_ == by_loss.validation_scores_  # the epochs are the same
    losses = [-np.mean(m.predict_log_proba(data.X_val)[np.arange(40), data.y_val]) for m in (by_score, by_loss)]
    assert losses[1] < losses[0]
    assert by_loss.score(data.X_val, data.y_val) < by_score.score(data.X_val, data.y_val)
    assert by_score.score(data.X_val, data.y_val) == pytest.approx(by_score.best_validation_score_)


def test_label_smoothing_makes_probabilities_less_extreme(make_data, classifier):
    data = make_data("multi-class")
    params = {"max_iter": 300, "pruning_ratio": 0, "tol": 0.0, "alpha": 0.0}
    sharp, smooth = (classifier(label_smoothing=s, **params).fit(data.X, data.y) for s in (0.0, 0.3))
    assert sharp.predict_proba(data.X).max(axis=1).mean() > 0.97
    # The best that a network can do is 1 - 0.3 · 2/3 = 0.8 for the label.
    assert smooth.predict_proba(data.X).max(axis=1).mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("calibration", "n_rows"), [("train", 60), ("held_out", 40), ("all", 100)])
def test_calibration_says_which_rows_pruning_measures_on(calibration, n_rows, make_data, regressor, monkeypatch):
    data = make_data("regression")
    seen = []
    original = task.Calibration
    monkeypatch.setattr(task, "Calibration", lambda X, *args: seen.append(len(X)) or original(X, *args))
    model = regressor(calibration=calibration, early_stopping=True)
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    assert seen == [n_rows]
    assert model.hidden_layer_sizes_ == (4,)
    # Where no rows are held out there are no others.
    regressor(calibration=calibration).fit(data.X, data.y)
    assert seen[1:] == [60]


def test_auto_epochs_are_some_eight_thousand_steps(make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter="auto", batch_size=50, n_iter_no_change=1, tol=1e3).fit(data.X, data.y)

    def epochs(n_rows):
        return n_epochs(model.get_params(), n_rows)

    # 60 rows are 2 steps an epoch: 4 000 epochs, which are too many; 5 000 rows are 100; 10^6 rows are 20 000.
    assert [epochs(n) for n in (60, 5000, 10**6)] == [256, 80, 48]
    assert epochs(5001) == 80  # 8 000 / 101 = 79.2


def test_by_default_training_runs_to_its_end_and_does_not_warn(make_data):
    data = make_data("regression")
    model = small(max_iter=5)  # a ConvergenceWarning is an error, but for the mark of this module
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: pytest.fail(f"warned: {args[0]}"))
        model.fit(data.X, data.y)
    assert (model.training_status_, model.n_iter_) == ("completed", 5)


def test_partial_fit_knows_no_end_and_so_no_waves(make_data):
    # "coslog4" has its first rate at 0, and its end after max_iter epochs.
    data = make_data("regression")
    params = {"hidden_layer_sizes": (8,), "n_members": 1, "random_state": 0, "dtype": "float64"}
    waves = BanditPrunedMLPRegressor(learning_rate_init=0.05, **params)
    constant = BanditPrunedMLPRegressor(learning_rate="constant", learning_rate_init=0.005, **params)
    for _ in range(3):
        waves.partial_fit(data.X, data.y)
        constant.partial_fit(data.X, data.y)
    np.testing.assert_allclose(waves.predict(data.X), constant.predict(data.X), rtol=1e-12)


def test_an_early_stopping_estimator_learns_in_calls_too(make_data):
    data = make_data("binary")
    model = BanditPrunedMLPClassifier((8,), n_members=1, random_state=0)
    assert model.early_stopping
    for _ in range(60):
        model.partial_fit(data.X, data.y, classes=[0, 1])
    assert model.score(data.X_val, data.y_val) > 0.85
    assert model.validation_scores_ is None


@pytest.mark.parametrize("unit", ["D", "ns"])
def test_dates_are_no_numbers(make_data, regressor, unit):
    data = make_data("regression")
    model = regressor().fit(data.X[:, :1], data.y)
    dates = np.arange(60).astype("datetime64[D]").astype(f"datetime64[{unit}]")[:, None]
    for X in (dates, pd.DataFrame(dates, columns=["day"])):
        with pytest.raises(ValueError, match=r"Column .* of X must hold numbers, but it is of dtype datetime64"):
            model.predict(X)
        with pytest.raises(ValueError, match="of X must hold numbers, but"):
            regressor().fit(X, data.y)


@pytest.mark.parametrize("value", [1e-9, -3e-20, 0.0, 1e12])
def test_a_constant_target_of_any_size_is_predicted(make_data, regressor, value):
    data = make_data("regression")
    predicted = regressor(max_iter=3).fit(data.X, np.full(60, value)).predict(data.X_val)
    np.testing.assert_allclose(predicted, value, rtol=1e-4, atol=1e-5 if value == 0 else 0)
