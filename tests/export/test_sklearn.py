"""A fitted network as scikit-learn's own MLP."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-output", "counts", "binary", "multi-class", "multi-label")
CLASSIFICATION = KINDS[3:]


def predictions(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.mark.parametrize("kind", KINDS)
def test_to_sklearn_predicts_the_same(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind).fit(data.X, data.y)
    plain = model.to_sklearn()
    assert type(plain) is (MLPClassifier if kind in CLASSIFICATION else MLPRegressor)
    np.testing.assert_allclose(predictions(plain, data.X_val), predictions(model, data.X_val), rtol=1e-5, atol=1e-7)
    if kind in CLASSIFICATION:
        np.testing.assert_array_equal(plain.predict(data.X_val), model.predict(data.X_val))
    assert plain.predict(data.X_val).shape == model.predict(data.X_val).shape
    assert plain.score(data.X_val, data.y_val) == pytest.approx(model.score(data.X_val, data.y_val), rel=1e-6)
    assert plain.hidden_layer_sizes == (4,)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh"])
def test_to_sklearn_knows_the_activations_of_both(activation, make_data, regressor):
    data = make_data("regression")
    model = regressor(activation=activation, max_iter=100, pruning_ratio=0).fit(data.X, data.y)
    assert model.score(data.X, data.y) > (0.15 if activation == "identity" else 0.6)
    np.testing.assert_allclose(model.to_sklearn().predict(data.X_val), model.predict(data.X_val), rtol=1e-5)


def test_decoupled_weight_decay_is_not_handed_over_as_a_penalty(make_data, regressor):
    data = make_data("regression")
    alphas = [regressor(solver=s, alpha=0.3).fit(data.X, data.y).to_sklearn().alpha for s in ("sgd", "adamw")]
    assert alphas == [0.3, MLPRegressor().alpha]


@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_to_sklearn_refuses_what_scikit_learn_does_not_have(activation, make_data, regressor):
    data = make_data("regression")
    model = regressor(activation=activation).fit(data.X, data.y)
    assert model.score(data.X, data.y) > 0.6
    with pytest.raises(ValueError, match=f"MLPRegressor cannot do .*: its activation is '{activation}' "):
        model.to_sklearn()


#: What stands in the way, by what brings it about.
OBSTACLES = {
    "its activation is 'mish'": {"activation": "mish"},
    "its activations have slopes": {"parametric_activation": True},
    "it scales, clips or encodes its inputs": {"preprocessing": "auto"},
    "it embeds its inputs": {"numeric_embedding": "periodic"},
    "it clips its predictions": {"clip_predictions": True},
}


def test_to_sklearn_lists_every_obstacle(make_data, regressor):
    data = make_data("regression")
    all_of_them = {name: value for params in OBSTACLES.values() for name, value in params.items()}
    with pytest.raises(ValueError, match="from_preset\\('plain'\\)") as error:
        regressor(**all_of_them).fit(data.X, data.y).to_sklearn()
    assert [words for words in OBSTACLES if words not in str(error.value)] == []


@pytest.mark.parametrize("words", OBSTACLES)
def test_one_obstacle_is_enough(words, make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=2, fine_tune_iter=0, **OBSTACLES[words]).fit(data.X, data.y)
    with pytest.raises(ValueError, match=words):
        model.to_sklearn()


@pytest.mark.parametrize(
    "params",
    [
        {"input_scaling": True},
        {"parametrization": "ntk", "learning_rate": "coslog4", "dropout": 0.2},
        {
            "weight_init": "data_driven",
            "solver": "adamw",
            "early_stopping": True,
            "batch_size": 50,
            "n_iter_no_change": float("inf"),
        },
    ],
    ids=["scaling", "training", "start"],
)
def test_what_only_trains_is_no_obstacle(params, make_data, regressor):
    data = make_data("regression")
    model = regressor(n_rounds=1, **params).fit(data.X, data.y)
    plain = model.to_sklearn()
    np.testing.assert_allclose(plain.predict(data.X_val), model.predict(data.X_val), rtol=1e-5)
    plain.fit(data.X, data.y)  # its parameters are valid ones


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_the_preset_plain_converts(kind, make_data, make_estimator):
    data = make_data(kind)
    model = type(make_estimator(kind)).from_preset("plain", hidden_layer_sizes=(8,), max_iter=3).fit(data.X, data.y)
    np.testing.assert_allclose(predictions(model.to_sklearn(), data.X_val), predictions(model, data.X_val), rtol=1e-5)


def test_an_ensemble_hands_over_its_members(make_data, regressor):
    data = make_data("regression")
    model = regressor(n_members=2, max_iter=3).fit(data.X, data.y)
    with pytest.raises(ValueError, match=r"it averages 2 networks \(hand over one of estimators_\)"):
        model.to_sklearn()
    member = model.estimators_[1]
    np.testing.assert_allclose(member.to_sklearn().predict(data.X_val), member.predict(data.X_val), rtol=1e-5)


def test_to_sklearn_keeps_names_of_classes_and_features(make_data, classifier):
    data = make_data("multi-class")
    table = pd.DataFrame(data.X, columns=list("abcd"))
    model = classifier().fit(table, np.array(["low", "mid", "high"])[data.y])
    plain = model.to_sklearn()
    np.testing.assert_array_equal(plain.predict(table), model.predict(table))
    np.testing.assert_array_equal(plain.classes_, model.classes_)
    assert plain.feature_names_in_.tolist() == list("abcd")


def test_to_sklearn_carries_parameters_and_curves(make_data, regressor):
    data = make_data("regression")
    model = regressor(alpha=0.5, solver="lion", learning_rate="cosine", tol=1e-3).fit(data.X, data.y)
    plain = model.to_sklearn()
    assert (plain.alpha, plain.max_iter, plain.tol) == (0.5, 30, 1e-3)
    assert (plain.solver, plain.learning_rate) == ("adam", "constant")  # it knows no others
    assert plain.loss_curve_ == model.loss_curve_
    assert plain.n_iter_ == model.n_iter_
    plain.fit(data.X, data.y)  # its parameters are valid ones


def test_to_sklearn_shares_no_array(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    before = model.predict(data.X)
    for array in (plain := model.to_sklearn()).coefs_ + plain.intercepts_:
        array[...] = 0
    np.testing.assert_array_equal(model.predict(data.X), before)


def test_only_a_fitted_network_can_be_handed_over(regressor):
    with pytest.raises(NotFittedError):
        regressor().to_sklearn()


@pytest.mark.parametrize("kind", ["multi-output", "multi-label"])
def test_the_network_of_to_sklearn_needs_neither_jax_nor_skbandit(kind, make_data, make_estimator, python, tmp_path):
    data = make_data(kind)
    model = make_estimator(kind).fit(data.X, data.y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model.to_sklearn()))
    np.save(tmp_path / "X.npy", data.X_val)
    python(
        "import sys; sys.modules.update(jax=None, skbandit=None)\n"
        "import numpy as np, pickle\n"
        "model = pickle.load(open('model.pkl', 'rb'))\n"
        "predict = getattr(model, 'predict_proba', model.predict)\n"
        "np.save('p.npy', predict(np.load('X.npy')))"
    )
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), predictions(model, data.X_val), rtol=1e-5)
