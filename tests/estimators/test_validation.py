"""Bad input: an error that names the parameter, the value and what is allowed; never a wrong network in silence."""

import numpy as np
import optax
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-class")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("hidden_layer_sizes", (), "a positive int or a non-empty sequence of positive ints"),
        ("hidden_layer_sizes", 0, "a positive int or a non-empty sequence of positive ints"),
        ("hidden_layer_sizes", (10, -1), "a positive int or a non-empty sequence of positive ints"),
        ("hidden_layer_sizes", (10, 0), "a positive int or a non-empty sequence of positive ints"),
        ("hidden_layer_sizes", (2.5,), "a positive int or a non-empty sequence of positive ints"),
        ("hidden_layer_sizes", "a", "a positive int or a non-empty sequence of positive ints"),
        ("hidden_layer_sizes", None, "a positive int or a non-empty sequence of positive ints"),
        ("activation", "swish", "one of 'gelu', 'identity', 'logistic', 'mish', 'relu', 'selu', 'silu', 'tanh'"),
        ("activation", None, "one of 'gelu', 'identity'"),
        ("solver", "adagrad", "one of 'adam', .*'sgd' or an optax.GradientTransformation"),
        ("solver", "sgd_nesterov", "one of 'adam'"),
        ("solver", dict, "an optax.GradientTransformation"),
        ("alpha", -1e-3, r"a float in the range \[0, inf\)"),
        ("batch_size", 0, r"'auto' or an int in the range \[1, inf\)"),
        ("batch_size", 2.5, r"an int in the range \[1, inf\)"),
        ("batch_size", "all", "'auto' or an int"),
        ("learning_rate", "linear", "one of 'constant', 'invscaling', 'adaptive', 'cosine', 'coslog4' or a schedule"),
        ("learning_rate", 0.1, "one of 'constant'"),
        ("learning_rate_init", 0, r"a float in the range \(0, inf\)"),
        ("learning_rate_init", np.nan, r"a float in the range \(0, inf\)"),
        ("power_t", -1, r"a float in the range \[0, inf\)"),
        ("max_iter", 0, r"an int in the range \[1, inf\)"),
        ("max_iter", 10.0, r"an int in the range \[1, inf\)"),
        ("max_iter", "all", "'auto'"),
        ("parametric_activation", 1, "a bool"),
        ("balanced_batches", "yes", "a bool"),
        ("preprocessing", "standard", "None or 'auto'"),
        ("preprocessing", True, "None or 'auto'"),
        ("numeric_embedding", "plr", "None or one of 'periodic', 'piecewise_linear'"),
        ("input_scaling", None, "a bool"),
        ("parametrization", "mup", "one of 'standard', 'ntk'"),
        ("weight_init", "he", "one of 'glorot_uniform', 'normal', 'data_driven'"),
        ("dropout", 1.0, r"a float in the range \[0, 1\)"),
        ("dropout", None, r"a float in the range \[0, 1\)"),
        ("regularization_schedule", "coslog4", "one of 'constant', 'cosine', 'flat_cosine'"),
        ("clip_predictions", "yes", "a bool"),
        ("validation_metric", "r2", "one of 'score', 'loss'"),
        ("n_members", 0, r"an int in the range \[1, 100000\]"),
        ("n_members", 2.0, r"an int in the range \[1, 100000\]"),
        ("calibration", "test", "one of 'train', 'held_out', 'all'"),
        ("shuffle", "yes", "a bool"),
        ("tol", -1, r"a float in the range \[0, inf\)"),
        ("verbose", "loud", "a bool or an int"),
        ("warm_start", 1, "a bool"),
        ("momentum", 1.1, r"a float in the range \[0, 1\]"),
        ("nesterovs_momentum", None, "a bool"),
        ("early_stopping", "yes", "a bool"),
        ("validation_fraction", 0, r"a float in the range \(0, 1\)"),
        ("validation_fraction", 1.0, r"a float in the range \(0, 1\)"),
        ("beta_1", 1.0, r"a float in the range \[0, 1\)"),
        ("beta_2", -0.1, r"a float in the range \[0, 1\)"),
        ("epsilon", 0, r"a float in the range \(0, inf\)"),
        ("n_iter_no_change", 0, r"an int in the range \[1, inf\) or inf"),
        ("max_fun", 0, r"an int in the range \[1, inf\)"),
        ("budget", -1, r"a float in the range \[1, 1e\+09\]"),
        ("budget", 0.5, r"a float in the range \[1, 1e\+09\]"),
        ("budget", np.inf, r"a float in the range \[1, 1e\+09\]"),
        ("budget", np.nan, r"a float in the range \[1, 1e\+09\]"),
        ("budget", "8", r"a float in the range \[1, 1e\+09\]"),
        ("budget", True, r"a float in the range \[1, 1e\+09\]"),
        ("pruning_ratio", 1.0, r"a float in the range \[0, 1\) or 'auto'"),
        ("pruning_ratio", -0.1, r"a float in the range \[0, 1\) or 'auto'"),
        ("pruning_ratio", "al", r"a float in the range \[0, 1\) or 'auto'"),
        ("pruning_ratio", np.nan, r"a float in the range \[0, 1\) or 'auto'"),
        ("pruning_ratio", None, r"a float in the range \[0, 1\) or 'auto'"),
        ("tolerance", -0.1, r"a float in the range \[0, inf\)"),
        ("scope", "local", "one of 'auto', 'global', 'layer'"),
        ("n_rounds", 0, r"an int in the range \[1, inf\)"),
        ("ablation", "median", "one of 'zero', 'mean'"),
        ("compensate", 1, "a bool"),
        ("fine_tune_iter", -1, r"an int in the range \[0, inf\)"),
        ("dtype", "float16", "one of 'float32', 'float64'"),
        ("dtype", np.float32, "one of 'float32', 'float64'"),
        ("device", 0, "None or a str"),
    ],
)
def test_a_parameter_out_of_bounds(name, value, allowed, make_data, regressor):
    data = make_data("regression")
    model = regressor(**{name: value})
    message = rf"(?s)The '{name}' parameter of BanditPrunedMLPRegressor must be .*{allowed}.* Got .* instead"
    with pytest.raises(ValueError, match=message):
        model.fit(data.X, data.y)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(data.X, data.y)


def test_parameters_of_one_estimator_only(make_data, regressor, classifier):
    data = make_data("regression")
    with pytest.raises(ValueError, match=r"The 'loss' parameter of .* must be one of 'squared_error', 'poisson'"):
        regressor(loss="absolute").fit(data.X, data.y)
    data = make_data("binary")
    with pytest.raises(ValueError, match=r"The 'class_weight' parameter of .* must be None or 'balanced' or a dict"):
        classifier(class_weight="even").fit(data.X, data.y)
    with pytest.raises(
        ValueError, match=r"The 'label_smoothing' parameter of .* must be a float in the range \[0, 1\)"
    ):
        classifier(label_smoothing=1).fit(data.X, data.y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"solver": optax.sgd(0.1), "learning_rate": "coslog4"}, "brings its own learning rate, so 'learning_rate'"),
        ({"solver": optax.sgd(0.1), "parametrization": "ntk"}, "'constant' and 'parametrization' 'standard'"),
        ({"learning_rate": "adaptive", "n_iter_no_change": np.inf}, "'n_iter_no_change' epochs, which must be"),
    ],
    ids=["rate", "ntk", "adaptive"],
)
def test_parameters_that_do_not_go_together(params, message, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=message):
        regressor(**params).fit(data.X, data.y)


@pytest.mark.parametrize("value", ["a", -1, 2.5, True, 2**32, np.array([1, 2]), np.random.default_rng(0)])
def test_a_bad_random_state(value, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=r"'random_state' .* an int in the range \[0, 4294967295\] or a RandomState"):
        regressor(random_state=value).fit(data.X, data.y)


def test_numpy_numbers_are_numbers(make_data, regressor):
    data = make_data("regression")
    params = {
        "budget": np.float32(4),
        "n_rounds": np.int64(2),
        "pruning_ratio": np.float64(0.5),
        "max_iter": np.int32(5),
    }
    assert regressor(shuffle=np.bool_(True), **params).fit(data.X, data.y).hidden_layer_sizes_ == (4,)


def test_an_unknown_parameter_is_refused_by_the_constructor(regressor):
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_layers'"):
        regressor(n_layers=3)


# ---------------------------------------------------------------------- rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_rows_must_be_finite(kind, value, word, make_data, make_estimator):
    data = make_data(kind)
    X = data.X.copy()
    X[3, 1] = value
    with pytest.raises(ValueError, match=f"Input X contains {word}"):
        make_estimator(kind).fit(X, data.y)
    model = make_estimator(kind).fit(data.X, data.y)
    with pytest.raises(ValueError, match=f"Input X contains {word}"):
        model.predict(X)
    with pytest.raises(ValueError, match=f"Input X contains {word}"):
        model.prune(X, data.y)
    with pytest.raises(ValueError, match=f"Input X contains {word}"):
        make_estimator(kind, early_stopping=True).fit(data.X, data.y, X_val=X, y_val=data.y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_targets_must_be_finite(value, make_data, regressor):
    data = make_data("regression")
    y = data.y.copy()
    y[3] = value
    with pytest.raises(ValueError, match=r"Input y contains (NaN|infinity)"):
        regressor().fit(data.X, y)


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("dtype", [object, str])
def test_a_regression_target_of_strings_is_refused(dtype, column, loss, make_data, regressor):
    data = make_data("regression")
    y = np.array(["red", "green", "blue"] * 20, dtype)
    y = y[:, None] if column else y
    with pytest.raises(ValueError, match=r"could not convert string to float: .*'red'"):
        regressor(loss=loss).fit(data.X, y)


@pytest.mark.parametrize("dtype", [object, str])
def test_numbers_written_out_are_numbers(dtype, make_data, regressor):
    # As scikit-learn takes a target of dtype object.
    data = make_data("regression")
    written = regressor().fit(data.X, np.array([repr(float(v)) for v in data.y], dtype))
    np.testing.assert_array_equal(written.predict(data.X), regressor().fit(data.X, data.y).predict(data.X))


def test_a_frame_with_a_column_of_many_texts_is_refused(make_data, regressor):
    data = make_data("regression")
    table = pd.DataFrame(data.X, columns=list("abcd")).assign(a=[f"red {i}" for i in range(60)])
    with pytest.raises(ValueError, match=r"Column 'a' of X must hold numbers, but .*'red 0'.*'categorical_features'"):
        regressor().fit(table, data.y)


@pytest.mark.parametrize(
    "of",
    [
        *(lambda X: X, lambda X: X.tolist(), lambda X: X.astype(str), lambda X: X.astype("S5")),
        *(lambda X: pd.DataFrame(X), lambda X: X[:1].tolist()),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_text_is_refused_with_the_number_of_its_column(of, kind, make_data, make_estimator):
    data = make_data(kind)
    X = data.X.astype(object)
    X[:, 2] = [f"red {i}" for i in range(60)]
    X = of(X)
    message = r"Column 2 of X must hold numbers, but .*'red 0'.* declare the column in 'categorical_features'"
    with pytest.raises(ValueError, match=message):
        make_estimator(kind).fit(X, data.y[: len(X)])
    model = make_estimator(kind).fit(data.X, data.y)
    with pytest.raises(ValueError, match=message):
        model.predict(X)
    with pytest.raises(ValueError, match=message):
        model.prune(X, data.y[: len(X)])


def test_numbers_as_text_are_numbers_in_an_array(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    written = np.array([[repr(float(value)) for value in row] for row in data.X])
    for X in (written, written.tolist(), written.astype(object)):
        np.testing.assert_allclose(model.predict(X), model.predict(data.X), rtol=1e-6)


LABELS = [None, "a", "b", "a"] * 15
MISSING = {
    "list": LABELS,
    "list of NaN": [np.nan if label is None else label for label in LABELS],
    "tuple": tuple(LABELS),
    "object": np.array(LABELS, dtype=object),
    "column": np.array(LABELS, dtype=object)[:, None],
    "columns": np.array([LABELS, LABELS], dtype=object).T,
    "Series": pd.Series(LABELS),
    "Series of objects": pd.Series(LABELS, dtype=object),
    "Series of strings": pd.Series(LABELS, dtype="string"),
    "Series of categories": pd.Series(LABELS, dtype="category"),
    "Categorical": pd.Categorical(LABELS),
    "frame": pd.DataFrame({"a": LABELS, "b": "a"}),
    "frame of like names": pd.concat([pd.Series(LABELS, name="a")] * 2, axis=1),
    "NA": [pd.NA, *LABELS[1:]],
    "NaT": pd.to_datetime(pd.Series([None, "2020-01-01"] * 30)),
    "Int64": pd.Series([None, 1] * 30, dtype="Int64"),
    "boolean": pd.Series([None, True] * 30, dtype="boolean"),
    "polars": pl.Series(LABELS),
    "polars of categories": pl.Series(LABELS, dtype=pl.Categorical),
    "polars frame": pl.DataFrame({"a": LABELS, "b": LABELS}),
    "polars numbers": pl.Series([None, 1] * 30),
}


@pytest.mark.parametrize("name", MISSING)
@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_a_missing_label_is_called_missing(name, kind, make_data, make_estimator):
    data, y = make_data(kind), MISSING[name]
    model = make_estimator(kind).fit(data.X, data.y)
    calls = [
        lambda: make_estimator(kind).fit(data.X, y),
        lambda: make_estimator(kind).fit(data.X, data.y, X_val=data.X, y_val=y),
        lambda: make_estimator(kind, solver="adam").partial_fit(data.X, y),
        lambda: model.prune(data.X, y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="Input y contains NaN"):
            call()


def test_a_missing_label_is_counted_and_placed(make_data, classifier):
    data = make_data("binary")
    y = ["a", "b", None] * 20
    with pytest.raises(ValueError, match=r"20 of 60 values are missing, the first one \(None\) at position 2"):
        classifier().fit(data.X, y)
    with pytest.raises(ValueError, match=r"Input classes contains NaN: 1 of 3 values are missing"):
        classifier().partial_fit(data.X, data.y, classes=["a", "b", None])


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_a_lazy_frame_is_to_be_collected(kind, make_data, make_estimator):
    data = make_data(kind)
    X, y = pl.LazyFrame(data.X), pl.LazyFrame({"y": data.y})
    model = make_estimator(kind).fit(data.X, data.y)
    for call in (lambda: make_estimator(kind).fit(X, data.y), lambda: model.predict(X), lambda: model.prune(X, data.y)):
        with pytest.raises(ValueError, match=r"X is a LazyFrame, .* call \.collect\(\) first"):
            call()
    with pytest.raises(ValueError, match=r"y is a LazyFrame, .* call \.collect\(\) first"):
        make_estimator(kind).fit(data.X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_must_agree(kind, make_data, make_estimator):
    data = make_data(kind)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 59\]"):
        make_estimator(kind).fit(data.X, data.y[1:])
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(59,\), expected \(60,\)"):
        make_estimator(kind).fit(data.X, data.y, sample_weight=np.ones(59))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_must_make_sense(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        model.fit(data.X, data.y, sample_weight=np.linspace(-1, 1, 60))
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero number"):
        model.fit(data.X, data.y, sample_weight=np.zeros(60))
    with pytest.raises(ValueError, match="Input sample_weight contains NaN"):
        model.fit(data.X, data.y, sample_weight=np.full(60, np.nan))


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_features(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind).fit(data.X, data.y)
    message = r"X has 3 features, but BanditPrunedMLP\w+ is expecting 4 features as input"
    with pytest.raises(ValueError, match=message):
        model.predict(data.X[:, :3])
    with pytest.raises(ValueError, match=message):
        model.prune(data.X[:, :3], data.y)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(data.X[:, :3], data.y)
    with pytest.raises(ValueError, match=message):
        model.fit(data.X, data.y, X_val=data.X_val[:, :3], y_val=data.y_val)


def test_one_class_is_none(make_data, classifier):
    data = make_data("binary")
    with pytest.raises(ValueError, match=r"at least 2 classes in y; it has only one class: 3\."):
        classifier().fit(data.X, np.full(60, 3))


def test_a_classifier_refuses_a_continuous_target(make_data, classifier):
    data = make_data("regression")
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier().fit(data.X, data.y)


def test_a_classifier_refuses_several_targets_of_several_classes(make_data, classifier):
    data = make_data("multi-class")
    with pytest.raises(ValueError, match=r"2 columns of several classes each .* Fit one for each column"):
        classifier().fit(data.X, np.column_stack([data.y, data.y[::-1]]))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_only_a_fitted_network_predicts(method, make_data, classifier):
    with pytest.raises(NotFittedError):
        getattr(classifier(), method)(make_data("binary").X)


# ---------------------------------------------------------------------- what must work


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ratio", [0.5, "auto"])
def test_a_few_rows_are_enough(kind, ratio, make_data, make_estimator):
    data = make_data(kind)
    rows = [0, 1, 2, 3, 4, 5, 6]
    model = make_estimator(kind, pruning_ratio=ratio).fit(data.X[rows], data.y[rows])
    assert model.predict(data.X_val).shape == (40,)
    if ratio == 0.5:
        assert model.hidden_layer_sizes_ == (4,)


def test_one_row_is_enough_for_a_regressor(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X[:1], data.y[:1])
    assert np.isfinite(model.predict(data.X_val)).all()


# ---------------------------------------------------------------------- divergence


def test_a_diverging_training_is_an_error_that_says_why(make_data, regressor):
    data = make_data("regression")
    model = regressor(solver="sgd", learning_rate_init=1e10)
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*'learning_rate_init'=10000000000"):
        model.fit(data.X, data.y)
    assert not hasattr(model, "coefs_")


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("kind", KINDS)
def test_rows_beyond_the_precision_are_an_error(kind, make_data, make_estimator):
    data = make_data(kind)
    with pytest.raises(
        ValueError, match=r"non-finite parameter weights or .* The input data .* may contain large values"
    ):
        make_estimator(kind).fit(1e39 * data.X, data.y)


def test_a_diverging_partial_fit_leaves_the_network_as_it_was(make_data, regressor):
    data = make_data("regression")
    model = regressor(solver="sgd", batch_size=16).partial_fit(data.X, data.y)
    before = model.predict(data.X)
    model.set_params(learning_rate_init=1e30)
    with pytest.raises(ValueError, match="non-finite"):
        model.partial_fit(data.X, data.y)
    np.testing.assert_array_equal(model.predict(data.X), before)


def test_a_diverging_fine_tuning_is_not_taken(make_data, regressor):
    data = make_data("regression")
    dense = regressor(pruning_ratio=0).fit(data.X, data.y)
    dense.set_params(solver="sgd", learning_rate_init=1e20)
    model = dense.prune(data.X, data.y, pruning_ratio=0.5)
    assert not any(record["fine_tuned"] for record in model.pruning_history_)
    assert model.score(data.X, data.y) > 0.5


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, np.ndarray.tolist])
def test_complex_rows_are_told_so_without_their_values(form, make_data, regressor):
    data = make_data("regression")
    X = form(data.X + 0j)
    message = "^Complex data not supported: X has dtype complex128.$"
    model = regressor(categorical_features=None).fit(data.X, data.y)
    for call in (lambda: model.predict(X), lambda: regressor(categorical_features=None).fit(X, data.y)):
        with pytest.raises(ValueError, match=message):
            call()
