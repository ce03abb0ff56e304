"""Values that a precision cannot hold, numbers at the ends of floats, and odd objects: finite and right, or refused."""

import datetime
import re

import numpy as np
import optax
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.neural_network import MLPRegressor

from skbandit import BanditPrunedMLPRegressor
from skbandit.estimators._parameters import CONSTRAINTS
from skbandit.policies import UCB1, GaussianThompson

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def of_type(value):
    """Name a case by the type of a value, which may be long."""
    return value if isinstance(value, str) and len(value) < 40 else type(value).__name__


# ---------------------------------------------------------------------- parameters that a precision cannot hold


@pytest.mark.parametrize(
    ("name", "value", "becomes"),
    [
        *((name, 0.99999999, "1") for name in ("beta_1", "beta_2", "dropout", "validation_fraction", "pruning_ratio")),
        *((name, 1e-300, "0") for name in ("epsilon", "learning_rate_init", "validation_fraction")),
        *((name, 1e-40, "0") for name in ("epsilon", "learning_rate_init")),
        *((name, 1e300, "inf") for name in ("alpha", "learning_rate_init", "power_t", "tol", "epsilon", "tolerance")),
    ],
)
@pytest.mark.parametrize("table", ["right", "wrong"])
def test_what_float32_rounds_away_is_named_before_the_data_are_looked_at(
    name, value, becomes, table, make_data, regressor
):
    data = make_data("regression")
    X = data.X if table == "right" else "no table"
    message = (
        rf"The '{name}' parameter of \w+ must be .* Got {re.escape(repr(value))}, which is {becomes} in dtype='float32'"
    )
    for call in (regressor(**{name: value}).fit, regressor(**{name: value}).partial_fit):
        with pytest.raises(ValueError, match=message):
            call(X, data.y)


def test_label_smoothing_that_float32_rounds_to_1(make_data, classifier):
    data = make_data("binary")
    with pytest.raises(ValueError, match=r"'label_smoothing' .* Got 0.99999999, which is 1 in dtype='float32'"):
        classifier(label_smoothing=0.99999999).fit(data.X, data.y)


@pytest.mark.parametrize(
    "params",
    [
        {"epsilon": 1e-300, "beta_1": 0.99999999, "alpha": 1e-300},
        {"learning_rate_init": 1e-300, "tol": 1e300, "tolerance": 1e300, "validation_fraction": 0.99999999},
        {"policy": UCB1(exploration=1e300)},
    ],
)
def test_float64_takes_what_it_holds(params, make_data, regressor):
    data = make_data("regression")
    model = regressor(dtype="float64", **params).fit(data.X, data.y)
    assert np.isfinite(model.predict(data.X)).all()
    with pytest.raises(ValueError, match=r"in dtype='float32'\."):
        regressor(**params).fit(data.X, data.y)


def test_fields_of_a_policy_are_judged_in_the_precision_of_the_estimator(make_data, regressor):
    data = make_data("regression")
    for policy in (UCB1(exploration=1e300), GaussianThompson(scale=1e-300)):
        with pytest.raises(ValueError, match=rf"of {type(policy).__name__} must be .* in dtype='float32'"):
            regressor(policy=policy).fit(data.X, data.y)
    fitted = regressor(pruning_ratio=0).fit(data.X, data.y)
    with pytest.raises(ValueError, match=r"'exploration' parameter of UCB1 .* which is inf in dtype='float32'"):
        fitted.prune(data.X, data.y, policy__exploration=1e300)


def test_every_number_among_the_parameters_refuses_ints_beyond_floats(make_data, regressor, classifier):
    numbers = {name for name, allowed in CONSTRAINTS.items() if any(type(of).__name__ == "Number" for of in allowed)}
    assert len(numbers) > 20
    for make, kind in ((regressor, "regression"), (classifier, "binary")):
        data, known = make_data(kind), make().get_params()
        for name in numbers & set(known):
            for value in (10**400, -(10**400)):
                with pytest.raises(ValueError, match=rf"^The '{name}' parameter") as caught:
                    make(**{name: value}).fit(data.X, data.y)
                assert len(str(caught.value)) < 300


def test_large_counts_mean_no_limit(make_data, regressor):
    data = make_data("regression")
    model = regressor(n_iter_no_change=10**18, n_rounds=10**18, max_fun=10**18).fit(data.X, data.y)
    np.testing.assert_array_equal(
        model.predict(data.X), regressor(n_iter_no_change=np.inf, n_rounds=1000).fit(data.X, data.y).predict(data.X)
    )


def test_fractions_are_floats(make_data, regressor):
    from fractions import Fraction

    data = make_data("regression")
    names = ("validation_fraction", "momentum", "dropout", "pruning_ratio", "learning_rate_init")
    fitted = [
        regressor(early_stopping=True, solver="sgd", **dict.fromkeys(names, half)).fit(data.X, data.y).predict(data.X)
        for half in (0.5, Fraction(1, 2), np.float16(0.5), np.float64(0.5))
    ]
    for other in fitted[1:]:
        np.testing.assert_array_equal(other, fitted[0])


# ---------------------------------------------------------------------- parameters of other kinds


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        bytearray(b"xy"),
        memoryview(b"xy"),
        {4, 3},
        frozenset({4}),
        {4: 3},
        {4: 3}.keys(),
        iter([4]),
        map(int, "4"),
    ],
)
def test_sizes_are_a_sequence_of_ints(value, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=r"'hidden_layer_sizes' .* non-empty sequence of positive ints"):
        regressor(hidden_layer_sizes=value).fit(data.X, data.y)


@pytest.mark.parametrize("value", [[8], (np.int32(8),), np.array([8]), range(8, 9), pd.Series([8]), np.int64(8)])
def test_sizes_may_be_any_sequence(value, make_data, regressor):
    data = make_data("regression")
    model = clone(regressor(hidden_layer_sizes=value, pruning_ratio=0)).fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (8,)


@pytest.mark.parametrize("sizes", [10**18, (10**10, 10**10), (2, 10**15, 2)])
def test_a_network_beyond_memory_is_refused_before_it_is_drawn(sizes, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(MemoryError, match=r"With 'hidden_layer_sizes'=.* parameters, which take .* GB"):
        regressor(hidden_layer_sizes=sizes).fit(data.X, data.y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", type),
        ("learning_rate", float),
        ("solver", type),
        ("solver", optax.adam),
        ("categorical_features", np.array(0.5)),
        ("categorical_features", iter(["a"])),
        ("categorical_features", [2.5]),
        ("memory", "\0"),
        ("memory", 3),
        ("memory", type),
        ("n_iter_no_change", pd.NA),
        ("n_iter_no_change", np.array([np.inf])),
        ("n_members", 10**400),
        ("n_members", 10**9),
        ("device", ""),
        ("device", "x" * 10**6),
        ("verbose", 10**400),
        ("policy", "x" * 10**6),
    ],
    ids=of_type,
)
def test_a_value_of_another_kind_is_named(name, value, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=f"'{name}'") as caught:
        regressor(**{name: value}).fit(data.X, data.y)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        (lambda step: None, "Got nan for step 0"),
        (lambda step: "a", "could not convert string to float"),
        (lambda step: np.nan, "Got nan for step 0"),
        (lambda step: np.where(step < 3, 0.1, np.inf), "Got inf for step 3"),
        (lambda step: np.ones((3, 7)), "cannot reshape"),
        (lambda step: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_schedule_that_gives_no_rates_is_named(rate, why, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=rf"^The 'learning_rate' parameter must return .*{why}"):
        regressor(learning_rate=rate).fit(data.X, data.y)


@pytest.mark.parametrize(
    ("init", "update", "why"),
    [
        (lambda p: None, lambda g, s, p: None, "TypeError"),
        (lambda p: 1 / 0, lambda g, s, p: (g, s), "ZeroDivisionError"),
        (lambda p: (), lambda g, s, p: ((), s), "must return updates of the shapes"),
        (lambda p: (), lambda g, s, p: (g, (1.0,)), "must return a state of the shapes"),
    ],
)
def test_a_transformation_that_is_none_is_named(init, update, why, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=rf"^The 'solver' parameter .*{why}"):
        regressor(solver=optax.GradientTransformation(init, update)).fit(data.X, data.y)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({0: 10**400}, "must be non-negative"),
        ({0: "a"}, "must be non-negative"),
        ({0: [1.0]}, "must be non-negative"),
        ({0: np.nan, 1: 1.0}, "must be non-negative"),
        ({0: np.inf}, "must be non-negative"),
        ({0: 0.0, 1: 0.0}, "must be non-negative, and positive for some class"),
        ({7: 1.0}, "has classes that y has not"),
        ({0: 1e300, 1: 1e300}, "sum up to inf in float32"),
        ({0: 1e-300, 1: 1e-300}, "sum up to 0.0 in float32"),
        ({0: 1e-41, 1: 1e-41}, "sum up to 0.0 in float32"),
        ([{0: 1.0}], "is for multi-label targets"),
    ],
)
def test_weights_of_classes_that_are_none(value, why, make_data, classifier):
    data = make_data("binary")
    with pytest.raises(ValueError, match=rf"class_weight.*{why}"):
        classifier(class_weight=value).fit(data.X, data.y)


@pytest.mark.parametrize("value", [{0: iter("ab")}, {0: [[1], [2]]}, {0: {"a": 1}}, {0: 3}])
def test_categories_that_are_none(value, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=r"^'categories' "):
        regressor(categories=value).fit(data.X, data.y)


def test_a_set_of_categories_has_one_order(make_data, regressor):
    data = make_data("regression")
    X = pd.DataFrame(data.X, columns=list("abcd")).assign(a=["x", "y", "z"] * 20)
    models = [regressor(categories={"a": values}).fit(X, data.y) for values in ({"z", "x", "y"}, ["x", "y", "z"])]
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))


def test_fields_of_a_parameter_that_has_none(regressor):
    with pytest.raises(ValueError, match=r"Invalid parameter 'hidden_layer_sizes__x' .* 'hidden_layer_sizes' has no"):
        regressor().set_params(hidden_layer_sizes__x=3)


def test_what_is_taken_over_is_compared_whatever_it_is(make_data):
    data = make_data("regression")
    mlp = (
        MLPRegressor((4,), max_iter=2).fit(data.X, data.y)
        if False
        else MLPRegressor(hidden_layer_sizes=(4,), max_iter=2)
    )
    mlp.fit(data.X, data.y)
    for value in (np.array([4, 3]), np.array(4), np.empty(0), pd.NA):
        with pytest.raises(ValueError, match="'hidden_layer_sizes'"):
            BanditPrunedMLPRegressor.from_sklearn(mlp, hidden_layer_sizes=value)
    assert BanditPrunedMLPRegressor.from_sklearn(mlp, hidden_layer_sizes=np.array([4])).hidden_layer_sizes_ == (4,)


@pytest.mark.parametrize("value", [[], {}, 3, "x" * 10**5], ids=of_type)
def test_a_preset_that_is_none(value):
    with pytest.raises(ValueError, match="The preset must be one of") as caught:
        BanditPrunedMLPRegressor.from_preset(value)
    assert len(str(caught.value)) < 300


# ---------------------------------------------------------------------- numbers at the ends of floats


@pytest.mark.parametrize("power", [-1010, -500, -150, 150, 500, 1020])
@pytest.mark.parametrize("table", [np.asarray, sparse.csr_array])
def test_the_scale_of_a_column_does_not_matter_up_to_the_ends_of_floats(power, table, make_data, regressor):
    data = make_data("regression")
    X = np.where(np.abs(data.X) > 0.5, data.X, 0.0)
    fitted = [
        regressor(preprocessing="auto").fit(table(scale * X), data.y).predict(table(scale * X))
        for scale in (1.0, 2.0**power)
    ]
    np.testing.assert_array_equal(*fitted)


def test_columns_of_the_largest_numbers_are_read_without_a_warning(make_data, regressor):
    data = make_data("regression")
    X = 1.7e308 * np.clip(data.X, -1, 1)
    model = regressor(preprocessing="auto").fit(X, data.y)
    assert model.score(X, data.y) > 0.3


@pytest.mark.parametrize(
    "params",
    [{}, {"solver": "lbfgs"}, {"weight_init": "data_driven"}, {"numeric_embedding": "periodic"}, {"policy": "obs"}],
)
@pytest.mark.parametrize("scale", [1e39, 1e300])
def test_unscaled_columns_beyond_the_precision_are_an_error_without_a_warning(scale, params, make_data, regressor):
    data = make_data("regression")
    dense = regressor(**params).fit(data.X, data.y)
    for call in (regressor(**params).fit, regressor(pruning_ratio=0, **params).fit, dense.prune):
        with pytest.raises(ValueError, match=r"non-finite parameter weights|The loss of the network to prune is"):
            call(scale * data.X, data.y)


@pytest.mark.parametrize("offset", [1e30, 1e200, 1.7e308])
def test_a_target_far_from_0_that_does_not_vary(offset, make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y + offset if offset < 1e308 else np.full(60, offset))
    np.testing.assert_allclose(model.predict(data.X), offset, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e150, 1e300, 1.7e308])
def test_a_target_of_a_spread_beyond_the_precision(scale, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(
        ValueError, match=r"The values of y spread by .*, which dtype='float32' cannot hold\. Rescale y"
    ):
        regressor().fit(data.X, scale * np.sign(data.y))


def test_a_power_that_no_float_holds_makes_a_rate_of_0(make_data, regressor):
    data = make_data("regression")
    model = regressor(solver="sgd", learning_rate="invscaling", power_t=1e30).fit(data.X, data.y)
    assert np.isfinite(model.predict(data.X)).all()


# ---------------------------------------------------------------------- rows and targets of odd kinds


def test_masked_values_are_missing(make_data, regressor):
    data = make_data("regression")
    mask = data.X > 1.5
    masked, filled = np.ma.masked_array(data.X, mask), np.where(mask, np.nan, data.X)
    models = [regressor(preprocessing="auto").fit(X, data.y) for X in (masked, filled)]
    np.testing.assert_array_equal(models[0].predict(masked), models[1].predict(filled))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        regressor().fit(masked, data.y)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor().fit(data.X, np.ma.masked_array(data.y, data.y > 11))
    with pytest.raises(ValueError, match="Input sample_weight contains NaN"):
        regressor().fit(data.X, data.y, np.ma.masked_array(np.ones(60), data.y > 11))
    ints = np.ma.masked_array(np.arange(60), mask=np.arange(60) > 50)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor().fit(data.X, ints)


@pytest.mark.parametrize(
    "X",
    [
        *("a table", b"a table", 3, {"a": [1.0]}, np.ones((60, 2)) + 1j, np.zeros(60, [("a", float)]), iter([[1.0]])),
        *([[10**400, 1]] * 60, [[1.0], [1.0, 2.0]], [[{}]] * 60, np.full((60, 1), 1j, object)),
        pd.DataFrame({"a": [datetime.date(2020, 1, 1)] * 60}),
    ],
)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_what_is_no_table_of_numbers_is_called_x(X, make_data, regressor):
    data = make_data("regression")
    fitted = regressor().fit(data.X, data.y)
    for call in (lambda: regressor().fit(X, data.y), lambda: fitted.predict(X), lambda: fitted.prune(X, data.y)):
        with pytest.raises((ValueError, TypeError), match=r"\bX\b") as caught:
            call()
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "y",
    [
        *("a target", 3.0, {"a": 1.0}, (v for v in range(60)), np.ones(60) + 1j, np.zeros(60, [("a", float)])),
        *([10**400] * 60, [{}] * 60, [object()] * 60, [[1], [1, 2]] * 30, sparse.csr_array(np.ones((60, 1)) + 1j)),
    ],
)
@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_what_is_no_target_is_called_y(y, kind, make_data, make_estimator):
    data = make_data(kind)
    with pytest.raises((ValueError, TypeError), match=r"\by\b") as caught:
        make_estimator(kind).fit(data.X, y)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "weight",
    ["balanced", ["a"] * 60, np.ones(60) + 1j, [10**400] * 60, np.ones((60, 1)), [{}] * 60, np.full(60, 1e308)],
)
def test_what_are_no_weights_is_called_sample_weight(weight, make_data, regressor):
    data = make_data("regression")
    with pytest.raises((ValueError, TypeError), match=r"\bsample_weight\b"):
        regressor().fit(data.X, data.y, weight)


@pytest.mark.parametrize("weight", [1e-320, 1e-42])
def test_weights_that_the_precision_takes_for_0(weight, make_data, regressor):
    data = make_data("regression")
    for call in (regressor().fit, regressor().partial_fit):
        with pytest.raises(ValueError, match=r"\(sample_weight times class_weight\) sum up to 0\.0 in float32"):
            call(data.X, data.y, np.full(60, weight))


@pytest.mark.parametrize(
    "labels", [["a", 1], [b"a", "b"], np.array(["a", 1], object), np.array(["a", True], object), pd.Series(["a", 1.5])]
)
def test_classes_of_text_and_of_numbers_do_not_mix(labels, make_data, classifier):
    data = make_data("binary")
    y = np.array(list(labels), object)[data.y]
    for given in (y, y.tolist()):
        with pytest.raises(ValueError, match="y has classes of several kinds"):
            classifier().fit(data.X, given)
    with pytest.raises(ValueError, match="classes has classes of several kinds"):
        classifier().partial_fit(data.X, data.y, classes=labels)
    model = classifier().fit(data.X, data.y)
    with pytest.raises(ValueError, match="y has classes of several kinds"):
        model.prune(data.X, y)


@pytest.mark.parametrize("classes", [(), 3, "ab", [np.nan], [[0, 1]], object()])
def test_classes_that_are_none(classes, make_data, classifier):
    data = make_data("binary")
    with pytest.raises((ValueError, TypeError), match="classes"):
        classifier().partial_fit(data.X, data.y, classes=classes)


def test_columns_of_one_name_are_named(make_data):
    data = make_data("regression")
    X = pd.DataFrame(data.X, columns=["a", "b", "a", "c"])
    model = BanditPrunedMLPRegressor(n_members=1, max_iter=1)
    with pytest.raises(ValueError, match=r"X has several columns of the same name: \['a'\]"):
        model.fit(X, data.y)
