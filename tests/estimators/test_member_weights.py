"""The weights of an ensemble's members: chosen on held-out rows, and used wherever predictions are averaged."""

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.estimators import _weighting
from skbandit.estimators._weighting import TENTHS, windows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MIXED = {
    "hidden_layer_sizes": (8,),
    "n_members": 4,
    "numeric_embedding": (None, "piecewise_linear"),
    "member_weights": "held_out",
    "preprocessing": "auto",
    "early_stopping": True,
    "validation_fraction": 0.2,
    "max_iter": 8,
    "dtype": "float64",
}


@pytest.fixture(scope="module")
def steps():
    """Rows whose target jumps: members that embed predict it better."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 3))
    return X, np.sign(np.sin(12 * X[:, 0])) + 0.1 * rng.normal(size=300)


def windows_of(model):
    return [(m._member.split_seed, m._member.split_start) for m in model.estimators_]


def held_out(model, X, y):
    """Which rows each member has held out, bool[n_members, n], by what it says when it is alone."""
    from skbandit._tabular.features.splitting import held_out_rows

    weight, fraction = np.ones(len(X)), model.validation_fraction
    target = model._target
    return np.array(
        [
            held_out_rows(
                X,
                weight,
                fraction,
                seed,
                target.strata(y),
                model.dtype,
                start,
                target.identify(y),
                target.classifies,
            )
            == 1
            for seed, start in windows_of(model)
        ]
    )


# ---------------------------------------------------------------------- windows


@pytest.mark.parametrize(
    ("embeddings", "n_members", "starts"),
    [
        ((None, "periodic"), 4, [0, 0, 0.5, 0.5]),
        ((None, "periodic"), 3, [0, 0, 0.5]),
        ((None, "periodic", "piecewise_linear"), 6, [0, 0, 0, 0.5, 0.5, 0.5]),
        ((None, "periodic", None, "piecewise_linear"), 8, [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5]),
        ((None, None), 4, [0, 0.25, 0.5, 0.75]),
        ("periodic", 2, [0, 0.5]),
        ((None, "periodic"), 1, [0]),
    ],
)
def test_members_of_different_kinds_hold_out_the_same_rows(embeddings, n_members, starts):
    params = {"numeric_embedding": embeddings, "member_weights": "held_out"}
    np.testing.assert_allclose(windows(params, n_members), starts)
    equal = windows(params | {"member_weights": "uniform"}, n_members)
    np.testing.assert_allclose(equal, np.arange(n_members) / n_members)


def test_a_fit_holds_out_these_windows(steps, regressor):
    model = regressor(**MIXED).fit(*steps)
    held = held_out(model, *steps)
    np.testing.assert_array_equal(held[0], held[1])
    np.testing.assert_array_equal(held[2], held[3])
    assert not (held[0] & held[2]).any()
    np.testing.assert_array_equal(np.isfinite(model.oof_prediction_), held.any(axis=0))


# ---------------------------------------------------------------------- the choice


def test_they_minimise_the_loss_on_held_out_rows(steps, regressor):
    X, y = steps
    model = regressor(**MIXED, pruning_ratio=0.0).fit(X, y)
    held = held_out(model, X, y)
    each = np.array([member.predict(X) for member in model.estimators_])

    def loss(share):
        errors = [np.square(share * each[k + 1] + (1 - share) * each[k] - y)[held[k]] for k in (0, 2)]
        return np.concatenate(errors).mean()

    best = min(np.arange(TENTHS + 1) / TENTHS, key=loss)
    np.testing.assert_allclose(model.member_weights_, np.array([1 - best, best, 1 - best, best]) / 2)
    assert best > 0.5


def test_probabilities_are_compared_by_their_log_loss(steps, classifier):
    X, y = steps
    y = np.digitize(X[:, 0], [-0.5, 0.0, 0.5])
    model = classifier(**MIXED, pruning_ratio=0.0).fit(X, y)
    held = held_out(model, X, y)
    each = np.array([member.predict_proba(X) for member in model.estimators_])

    def loss(share):
        p = [(share * each[k + 1] + (1 - share) * each[k])[held[k]] for k in (0, 2)]
        true = np.concatenate([y[held[0]], y[held[2]]])
        return -np.log(np.concatenate(p)[np.arange(len(true)), true]).mean()

    best = min(np.arange(TENTHS + 1) / TENTHS, key=loss)
    np.testing.assert_allclose(model.member_weights_, np.array([1 - best, best, 1 - best, best]) / 2)


@pytest.mark.parametrize("kind", ["regression", "multi-output", "counts", "binary", "multi-class", "multi-label"])
def test_every_mean_is_weighted(kind, make_data, make_estimator, monkeypatch):
    data = make_data(kind)
    weights = np.array([0.35, 0.15, 0.35, 0.15])
    monkeypatch.setattr(_weighting, "weights_of_members", lambda members, task: weights)
    model = make_estimator(kind, **MIXED).fit(data.X, data.y)
    np.testing.assert_array_equal(model.member_weights_, weights)
    members = model.estimators_
    if kind in ("regression", "multi-output", "counts"):
        expected = np.tensordot(weights, [m.predict(data.X_val) for m in members], axes=1)
        np.testing.assert_allclose(model.predict(data.X_val), expected, rtol=1e-10)
        return
    p = np.tensordot(weights, [m.predict_proba(data.X_val) for m in members], axes=1)
    np.testing.assert_allclose(model.predict_proba(data.X_val), p, rtol=1e-10)
    np.testing.assert_allclose(model.predict_log_proba(data.X_val), np.log(p), rtol=1e-8, atol=1e-10)
    decided = (p > 0.5).astype(int) if kind == "multi-label" else model.classes_[p.argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(data.X_val), decided)


def test_a_member_without_weight_is_not_computed(make_data, regressor, monkeypatch):
    data = make_data("regression")
    weights = np.array([0.5, 0.0, 0.5, 0.0])
    monkeypatch.setattr(_weighting, "weights_of_members", lambda members, task: weights)
    model = regressor(**MIXED).fit(data.X, data.y)
    expected = (model.estimators_[0].predict(data.X) + model.estimators_[2].predict(data.X)) / 2
    np.testing.assert_allclose(model.predict(data.X), expected, rtol=1e-10)
    model.estimators_[1]._member.model.coefs[0][...] = np.nan
    assert np.isfinite(model.predict(data.X)).all()
    held = np.isfinite(model.oof_prediction_)
    assert held.any()
    # Of the rows that two members held out, the one with a weight speaks.
    first = held_out(model, data.X, data.y)[0]
    np.testing.assert_allclose(model.oof_prediction_[first], model.estimators_[0].predict(data.X[first]), rtol=1e-8)


# ---------------------------------------------------------------------- where there is nothing to choose


@pytest.mark.parametrize(
    "params",
    [
        {"member_weights": "uniform"},
        {"numeric_embedding": "periodic"},
        {"numeric_embedding": (None, None)},
        {"early_stopping": False},
        {"calibration": "all"},
    ],
    ids=str,
)
def test_equal_weights(params, steps, regressor):
    model = regressor(**MIXED | params).fit(*steps)
    np.testing.assert_array_equal(model.member_weights_, np.full(4, 0.25))


def test_few_rows_of_which_none_is_left_out(make_data, regressor):
    data = make_data("regression")
    model = regressor(**MIXED).fit(data.X[:30], data.y[:30])
    np.testing.assert_array_equal(model.member_weights_, np.full(4, 0.25))


def test_a_tie_is_even(make_data, regressor, monkeypatch):
    data = make_data("regression")
    same = np.zeros((60, 1))
    monkeypatch.setattr(_weighting, "_predicted", lambda model, X, rows, target: same[rows])
    model = regressor(**MIXED).fit(data.X, data.y)
    np.testing.assert_allclose(model.member_weights_, np.full(4, 0.25))


def test_kinds_of_unequal_numbers(steps, regressor):
    model = regressor(**MIXED | {"n_members": 3}).fit(*steps)
    first, second, third = model.member_weights_
    assert first == third
    assert first + second + third == pytest.approx(1)
    assert round(TENTHS * second, 9) == round(TENTHS * second)


def test_one_network_has_no_weights(make_data, regressor):
    data = make_data("regression")
    assert not hasattr(regressor(**MIXED | {"n_members": 1}).fit(data.X, data.y), "member_weights_")


# ---------------------------------------------------------------------- other rows, other calls


def test_rows_that_the_user_holds_out(steps, regressor):
    X, y = steps
    model = regressor(**MIXED, pruning_ratio=0.0).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    each = np.array([member.predict(X[200:]) for member in model.estimators_])
    plain, embeds = each[::2].mean(axis=0), each[1::2].mean(axis=0)
    shares = np.arange(TENTHS + 1) / TENTHS
    best = min(shares, key=lambda share: np.square(share * embeds + (1 - share) * plain - y[200:]).mean())
    np.testing.assert_allclose(model.member_weights_, np.array([1 - best, best, 1 - best, best]) / 2)


def test_weights_count_as_copies(steps, regressor):
    X, y = steps[0][:120], steps[1][:120]
    times = np.random.default_rng(1).integers(0, 3, 120)
    params = MIXED | {"dropout": 0.0}
    weighted = regressor(**params).fit(X, y, sample_weight=times)
    copied = regressor(**params).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_array_equal(weighted.member_weights_, copied.member_weights_)
    np.testing.assert_allclose(weighted.predict(X), copied.predict(X), rtol=1e-6)


def test_pruning_chooses_anew_and_partial_fit_keeps_them(steps, regressor):
    X, y = steps
    model = regressor(**MIXED, pruning_ratio=0.0).fit(X, y)
    before = model.member_weights_.copy()
    pruned = model.prune(X, y, pruning_ratio=0.75)
    held = held_out(model, X, y)
    each = np.array([member.predict(X) for member in pruned.estimators_])
    losses = [
        np.concatenate([np.square(s * each[k + 1] + (1 - s) * each[k] - y)[held[k]] for k in (0, 2)]).mean()
        for s in np.arange(TENTHS + 1) / TENTHS
    ]
    assert pruned.member_weights_[[1, 3]].sum() == pytest.approx(np.argmin(losses) / TENTHS)
    np.testing.assert_array_equal(model.member_weights_, before)
    model.partial_fit(X, y)
    np.testing.assert_array_equal(model.member_weights_, before)
    fresh = regressor(**MIXED).partial_fit(X, y)
    np.testing.assert_array_equal(fresh.member_weights_, np.full(4, 0.25))


def test_pruning_keeps_them_where_members_have_learned_from_these_rows(steps, regressor):
    X, y = steps
    without = regressor(**MIXED | {"early_stopping": False}).fit(X, y)
    again = without.prune(X, y, pruning_ratio="auto", tolerance=0.0, fine_tune_iter=0)
    np.testing.assert_array_equal(again.member_weights_, np.full(4, 0.25))
    fed = regressor(**MIXED).fit(X, y)
    chosen = fed.member_weights_.copy()
    assert np.ptp(chosen) > 0
    for _ in range(3):
        fed.partial_fit(X, y)
    np.testing.assert_array_equal(fed.prune(X, y, pruning_ratio=0.75).member_weights_, chosen)
    # Of other rows, others are held out, and these were trained on.
    part = regressor(**MIXED, pruning_ratio=0.0).fit(X, y)
    kept = part.member_weights_.copy()
    np.testing.assert_array_equal(part.prune(X[:150], y[:150], pruning_ratio=0.75).member_weights_, kept)
    given = regressor(**MIXED, pruning_ratio=0.0).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    same = given.prune(X[:200], y[:200], pruning_ratio=0)
    np.testing.assert_array_equal(same.member_weights_, given.member_weights_)
    np.testing.assert_array_equal(same.predict(X), given.predict(X))


def test_a_path_ends_where_pruning_ends(steps, regressor):
    X, y = steps
    model = regressor(**MIXED, pruning_ratio=0.0).fit(X, y)
    path, pruned = model.prune_path(X, y, pruning_ratio=0.75), model.prune(X, y, pruning_ratio=0.75)
    np.testing.assert_array_equal(path.estimators[-1].member_weights_, pruned.member_weights_)
    np.testing.assert_array_equal(path.estimators[-1].predict(X), pruned.predict(X))
    np.testing.assert_array_equal(path.estimators[0].member_weights_, model.member_weights_)


def test_windows_stay_after_partial_fit(steps, regressor):
    X, y = steps
    model = regressor(**MIXED, warm_start=True).partial_fit(X, y)
    np.testing.assert_allclose([start for _, start in windows_of(model)], [0, 0, 0.5, 0.5])
    assert len({seed for seed, _ in windows_of(model)}) == 1
    model.fit(X, y)
    held = held_out(model, X, y)
    np.testing.assert_array_equal(held[0], held[1])
    # The members have learned from all rows: nothing is out of fold, and nothing tells which kind is better.
    assert not hasattr(model, "oof_prediction_")
    np.testing.assert_array_equal(model.member_weights_, np.full(4, 0.25))


def test_a_warm_fit_on_more_rows_keeps_them(steps, regressor):
    X, y = steps
    model = regressor(**MIXED, warm_start=True, pruning_ratio=0.0).fit(X[:250], y[:250])
    chosen = model.member_weights_.copy()
    assert np.ptp(chosen) > 0
    model.fit(X, y)
    np.testing.assert_array_equal(model.member_weights_, chosen)
    assert not hasattr(model, "oof_prediction_")
    # A cold fit chooses anew.
    model.set_params(warm_start=False, early_stopping=False).fit(X, y)
    np.testing.assert_array_equal(model.member_weights_, np.full(4, 0.25))


@pytest.mark.parametrize("values", [(0, 1), ("a", "b", "c")], ids=["binary", "categories"])
def test_without_numbers_all_members_are_of_one_kind(values, regressor):
    import pandas as pd

    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.choice(values, 200) for name in "abcd"})
    X = X if values[0] == 0 else X.astype("category")
    model = regressor(**MIXED, categorical_features="from_dtype").fit(X, rng.normal(size=200))
    np.testing.assert_array_equal(model.member_weights_, np.full(4, 0.25))
    np.testing.assert_allclose([start for _, start in windows_of(model)], [0, 0.25, 0.5, 0.75])


def test_a_weighted_mean_of_probabilities_is_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)).astype("float32")
    y = (X[:, 0] > 0).astype(int)
    model = BanditPrunedMLPClassifier((8,), n_members=5, max_iter=20, label_smoothing=0.0, random_state=0).fit(X, y)
    for share in np.arange(1, TENTHS) / TENTHS:
        model.member_weights_ = np.array([(1 - share) / 3, share / 2] * 2 + [(1 - share) / 3])
        p = model.predict_proba(1e3 * X)
        assert p.min() >= 0
        assert p.max() <= 1


def test_models_of_before_are_averaged_evenly(make_data, regressor):
    data = make_data("regression")
    model = regressor(**MIXED).fit(data.X, data.y)
    del model.__dict__["member_weights_"]
    del model.__dict__["member_weights"]
    for member in model.estimators_:
        del member.__dict__["member_weights"]
    loaded = pickle.loads(pickle.dumps(model))
    expected = np.mean([member.predict(data.X) for member in loaded.estimators_], axis=0)
    np.testing.assert_allclose(loaded.predict(data.X), expected, rtol=1e-10)
    assert loaded.member_weights == "uniform"
    assert "member_weights='uniform'" in repr(loaded)
    assert clone(loaded).get_params()["member_weights"] == "uniform"
    loaded.prune(data.X, data.y)
    loaded.fit(data.X, data.y)


@pytest.mark.parametrize("cls", [BanditPrunedMLPRegressor, BanditPrunedMLPClassifier])
@pytest.mark.parametrize("value", ["equal", None, [0.5, 0.5], 1])
def test_what_names_no_weights_is_refused(value, cls, make_data):
    data = make_data("binary")
    with pytest.raises(ValueError, match=r"The 'member_weights' parameter .* 'held_out', 'uniform'"):
        cls((4,), max_iter=1, member_weights=value).fit(data.X, data.y)


def test_many_classes_are_probabilities_after_weighting():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = softmax(3 * X @ rng.normal(size=(4, 12)), axis=1).argmax(axis=1)
    model = BanditPrunedMLPClassifier((8,), max_iter=5, random_state=0).fit(X, y)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert model.member_weights_.sum() == pytest.approx(1)
