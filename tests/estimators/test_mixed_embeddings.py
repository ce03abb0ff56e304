"""Ensembles whose members embed numbers in different ways, or not at all; they read the same columns."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit._tabular.features.embeddings import WIDTH
from skbandit._tabular.model import SMALL_CALL, raw_outputs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EMBEDDINGS = (None, "piecewise_linear", "periodic")
MIXED = {"n_members": 3, "numeric_embedding": EMBEDDINGS, "preprocessing": "auto", "max_iter": 5}
BOTH_WAYS = pytest.mark.parametrize("how", ["partial_fit", "fit"])


def inputs(model):
    return [member._member.model.architecture.inputs for member in model.estimators_]


def embeddings(model):
    return [each.embedding for each in inputs(model)]


def assert_reads_once(model):
    """Assert that all members have one encoder, and the ensemble too."""
    encoder = model._architecture.encoder
    assert encoder is not None
    for member in model.estimators_:
        assert member._member.model.architecture.encoder is member._architecture.encoder is encoder


def assert_is_mean(model, X):
    expected = np.mean([member.predict(X) for member in model.estimators_], axis=0)
    # An ensemble computes in the lowest precision of its members.
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-5)


def assert_same(a, b):
    for u, v in zip(a.estimators_, b.estimators_, strict=True):
        for x, y in zip([*u.coefs_, *u.intercepts_], [*v.coefs_, *v.intercepts_], strict=True):
            np.testing.assert_array_equal(x, y)


# ---------------------------------------------------------------------- who embeds


def test_by_default_every_second_member_embeds(make_data):
    data = make_data("regression")
    for cls, y in ((BanditPrunedMLPRegressor, data.y), (BanditPrunedMLPClassifier, data.y > 10)):
        model = cls((4,), max_iter=1, fine_tune_iter=0, random_state=0).fit(data.X, y)
        assert embeddings(model) == [None, "piecewise_linear"] * 2


@pytest.mark.parametrize("n_members", [2, 3, 4])
def test_members_take_turns(n_members, make_data, regressor):
    data = make_data("regression")
    model = regressor(**{**MIXED, "n_members": n_members}).fit(data.X, data.y)
    expected = [*EMBEDDINGS, None][:n_members]
    assert embeddings(model) == [member.numeric_embedding for member in model.estimators_] == expected
    for member, embedding in zip(model.estimators_, expected, strict=True):
        assert member._member.model.coefs[0].shape[0] == (4 if embedding is None else 4 * WIDTH)
        params = member._member.model.input_params
        assert ("edges" in params) == (embedding == "piecewise_linear")
        assert ("frequency" in params) == (embedding == "periodic")


def test_one_encoder_reads_for_all(make_data, regressor):
    data = make_data("regression")
    model = regressor(**MIXED).fit(data.X, data.y)
    assert_reads_once(model)
    again = pickle.loads(pickle.dumps(model))
    assert_reads_once(again)
    np.testing.assert_array_equal(again.predict(data.X), model.predict(data.X))


@pytest.mark.parametrize("value", [list(EMBEDDINGS), np.array(EMBEDDINGS, object)], ids=["list", "array"])
def test_any_sequence_names_them(value, make_data, regressor):
    data = make_data("regression")
    model = regressor(**{**MIXED, "numeric_embedding": value}).fit(data.X, data.y)
    assert_same(model, regressor(**MIXED).fit(data.X, data.y))


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_sequence_of_one_is_what_it_holds(embedding, make_data, regressor):
    data = make_data("regression")
    models = [
        regressor(**{**MIXED, "numeric_embedding": value}).fit(data.X, data.y) for value in ((embedding,), embedding)
    ]
    assert_same(*models)


@pytest.mark.parametrize("value", [("periodic", None), (None, "periodic")])
def test_one_network_takes_the_first_entry(value, make_data, regressor):
    data = make_data("regression")
    params = {**MIXED, "n_members": 1}
    model = regressor(**{**params, "numeric_embedding": value}).fit(data.X, data.y)
    first = regressor(**{**params, "numeric_embedding": value[0]}).fit(data.X, data.y)
    np.testing.assert_array_equal(model.predict(data.X), first.predict(data.X))
    assert model.n_parameters_ == first.n_parameters_


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_member_is_the_network_that_it_would_be_alone(dtype, make_data, regressor):
    data = make_data("regression")
    model = regressor(**MIXED, input_scaling=True, dropout=0.2, dtype=dtype).fit(data.X, data.y)
    for member in model.estimators_:
        np.testing.assert_array_equal(clone(member).fit(data.X, data.y).predict(data.X), member.predict(data.X))


# ---------------------------------------------------------------------- the parameter


@pytest.mark.parametrize(
    "value",
    [(), [], ("sine",), (None, "sine"), (None, 3), (None, ("periodic",)), "sine", {"periodic"}, {None: 1}, 3],
    ids=str,
)
def test_what_names_no_embeddings_is_refused(value, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=r"The 'numeric_embedding' parameter .*sequence of None, 'periodic' and"):
        regressor(**{**MIXED, "numeric_embedding": value}).fit(data.X, data.y)


def test_it_is_a_parameter_like_others(make_data, regressor):
    model = regressor(**MIXED)
    assert model.get_params()["numeric_embedding"] is EMBEDDINGS
    assert clone(model).numeric_embedding == EMBEDDINGS
    data = make_data("regression")
    values = [None, "periodic", (None, "piecewise_linear"), ["periodic", None]]
    search = GridSearchCV(model.set_params(max_iter=2), {"numeric_embedding": values}, cv=2).fit(data.X, data.y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_params_["numeric_embedding"] in values


def test_a_network_that_is_trained_on_keeps_it(make_data, regressor):
    data = make_data("regression")
    model = regressor(**MIXED, warm_start=True).fit(data.X, data.y)
    model.set_params(numeric_embedding=list(EMBEDDINGS)).fit(data.X, data.y)
    with pytest.raises(ValueError, match=r"The 'numeric_embedding' parameter was .* when the network was made"):
        model.set_params(numeric_embedding=(None, "periodic")).fit(data.X, data.y)


# ---------------------------------------------------------------------- predictions


def test_predictions_are_means_over_the_members(make_data, make_estimator):
    for kind in ("regression", "multi-output", "counts"):
        data = make_data(kind)
        model = make_estimator(kind, **MIXED).fit(data.X, data.y)
        assert_is_mean(model, data.X_val)
        assert_is_mean(model, data.X_val[:1])
        assert_is_mean(model, np.tile(data.X, (50, 1)))
    data = make_data("multi-class")
    model = make_estimator("multi-class", **MIXED).fit(data.X, data.y)
    each = [member.predict_proba(data.X_val) for member in model.estimators_]
    np.testing.assert_allclose(model.predict_proba(data.X_val), np.mean(each, axis=0), rtol=1e-4, atol=1e-6)


def test_in_float64_predictions_are_exactly_means(make_data, regressor):
    data = make_data("regression")
    model = regressor(**MIXED, dtype="float64").fit(data.X, data.y)
    expected = np.mean([member.predict(data.X_val) for member in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict(data.X_val), expected, rtol=1e-12)


def test_an_ensemble_computes_in_the_lowest_precision_of_its_members(make_data, regressor, classifier):
    data = make_data("regression")
    model = regressor(**MIXED).fit(data.X, data.y)
    networks = [member._member.model for member in model.estimators_]
    assert data.X.dtype == np.float64
    assert [each.precision(data.X.dtype) for each in networks] == ["float64", "float32", "float32"]
    X = np.resize(data.X, (SMALL_CALL + 1, data.X.shape[1]))
    together = raw_outputs(networks, X).whole()
    for out, network in zip(together, networks, strict=True):
        np.testing.assert_allclose(out, network.raw_output(X), rtol=0, atol=1e-5 * data.y.std())
    assert np.abs(together[0] - networks[0].raw_output(X)).max() > 1e-9 * data.y.std()  # alone, in float64
    assert {out.dtype for out in together} == {np.dtype("float64")}
    labels = make_data("multi-class")
    p = classifier(**MIXED).fit(labels.X, labels.y).predict_proba(labels.X)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)


def test_in_a_small_call_a_row_has_the_same_result_whatever_its_neighbours_are(make_data, regressor, classifier):
    data = make_data("regression")
    X = np.resize(data.X, (SMALL_CALL, data.X.shape[1]))
    model = regressor(**MIXED).fit(data.X, data.y)
    alone = np.concatenate([model.predict(X[i : i + 1]) for i in range(0, SMALL_CALL, 9)])
    np.testing.assert_allclose(model.predict(X)[::9], alone, rtol=1e-12)
    labels = make_data("multi-class")
    model, few = classifier(**MIXED).fit(labels.X, labels.y), labels.X[:SMALL_CALL]
    np.testing.assert_allclose(model.predict_proba(few[::-1])[::-1], model.predict_proba(few), rtol=1e-12)
    # Rows of float32 stay so.
    assert model.predict_proba(labels.X[:9].astype("float32")).dtype == np.float32


def test_sparse_rows_are_dense_rows(make_data, regressor):
    data = make_data("regression")
    X = np.where(np.abs(data.X) < 0.7, 0, data.X)
    model = regressor(**MIXED).fit(sparse.csr_array(X), data.y)
    assert_same(model, regressor(**MIXED).fit(X, data.y))
    np.testing.assert_allclose(model.predict(sparse.csr_array(X)), model.predict(X), rtol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "categories", "both"])
def test_where_there_is_nothing_to_embed_no_member_does(kind, make_data, regressor):
    data = make_data("regression")
    numbers = pd.DataFrame((data.X[:, :2] > 0).astype(float), columns=["p", "q"])
    letters = pd.DataFrame({"k": pd.Categorical(np.where(data.X[:, 0] > 0, "a", np.where(data.X[:, 1] > 0, "b", "c")))})
    X = {"binary": numbers, "categories": letters, "both": numbers.join(letters)}[kind]
    model = regressor(**MIXED, categorical_features="from_dtype").fit(X, data.y)
    assert [each.n_embedded for each in inputs(model)] == [0, 0, 0]
    assert len({member._member.model.coefs[0].shape[0] for member in model.estimators_}) == 1
    assert_is_mean(model, X)
    assert_is_mean(model.prune(X, data.y, pruning_ratio=0.75), X)


# ---------------------------------------------------------------------- pruned


def test_members_are_pruned_by_themselves(make_data, regressor):
    data = make_data("regression")
    dense = regressor(**MIXED, pruning_ratio=0).fit(data.X, data.y)
    path = dense.prune_path(data.X, data.y, pruning_ratio=0.75, n_rounds=2)
    assert path.hidden_layer_sizes == [[(size,)] * 3 for size in (8, 4, 2)]
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.75, n_rounds=2)
    np.testing.assert_array_equal(path.estimators[-1].predict(data.X_val), pruned.predict(data.X_val))
    for model in path.estimators:
        assert_reads_once(model)
        assert embeddings(model) == [*EMBEDDINGS]
        assert_is_mean(model, data.X_val)
    assert model.n_parameters_ == tuple(np.sum([m.n_parameters_ for m in model.estimators_], axis=0))


# ---------------------------------------------------------------------- later rows

RNG = np.random.default_rng(0)
LATER = pd.DataFrame(RNG.normal(size=(150, 4)), columns=["w", "x", "y", "z"])
LATER = LATER.assign(b=np.resize([0.0, 1.0, 2.0], 150), k=pd.Categorical(RNG.choice(list("abcd"), 150)))
LATER.loc[::7, "x"] = np.nan
#: One value of w, two of b, which are not embedded then; nothing missing; two categories.
FIRST = LATER.assign(w=7.0, x=LATER.x.fillna(0.0), b=np.resize([0.0, 1.0], 150), k=np.resize(["a", "b"], 150))[:100]
FIRST = FIRST.astype({"k": "category"})
TARGET = (LATER.y - LATER.z**2).to_numpy()


@BOTH_WAYS
@pytest.mark.parametrize("first", EMBEDDINGS)
def test_what_later_rows_bring_changes_no_prediction(how, first, regressor):
    order = [first, *(embedding for embedding in EMBEDDINGS if embedding != first)]
    params = {**MIXED, "numeric_embedding": order, "pruning_ratio": 0, "categorical_features": ["k"]}
    model = regressor(**params, warm_start=True, dtype="float64")
    for _ in range(5):
        getattr(model, how)(FIRST, TARGET[:100])
    before = [model.predict(FIRST), *(member.predict(FIRST) for member in model.estimators_)]
    # x, y and z.
    assert [each.n_embedded for each in inputs(model)] == [3 if embedding else 0 for embedding in order]
    model.set_params(learning_rate_init=1e-12, max_iter=1)
    getattr(model, how)(LATER, TARGET)
    assert_reads_once(model)
    assert embeddings(model) == order
    # Now w varies, and b has three values.
    assert [each.n_embedded for each in inputs(model)] == [5 if embedding else 0 for embedding in order]
    after = [model.predict(FIRST), *(member.predict(FIRST) for member in model.estimators_)]
    for u, v in zip(after, before, strict=True):
        np.testing.assert_allclose(u, v, atol=1e-6 * TARGET.std())
    assert_is_mean(model, LATER)


@BOTH_WAYS
def test_what_later_rows_bring_is_learned(how, regressor):
    params = {**MIXED, "pruning_ratio": 0, "categorical_features": ["k"], "max_iter": 60, "batch_size": 20}
    model = regressor(**params, hidden_layer_sizes=(16,), warm_start=True)
    y = TARGET + 3 * LATER.k.isin(["c", "d"]).to_numpy()
    getattr(model, how)(FIRST, TARGET[:100])
    for _ in range(60 if how == "partial_fit" else 1):
        getattr(model, how)(LATER, y)
    assert model.score(LATER, y) > 0.9
    for member in model.estimators_:
        assert member.score(LATER, y) > 0.85


@pytest.mark.parametrize("news", [False, True])
@pytest.mark.parametrize("k", range(3))
def test_a_member_goes_on_by_itself(k, news, regressor):
    model = regressor(**MIXED, pruning_ratio=0, categorical_features=["k"]).fit(FIRST, TARGET[:100])
    member, before = model.estimators_[k], [each.predict(FIRST) for each in model.estimators_]
    X, y = (LATER, TARGET) if news else (FIRST[:20], TARGET[:20])  # few rows move no scale
    member.set_params(learning_rate_init=1e-9).partial_fit(X, y)
    assert member._architecture is member._member.model.architecture
    assert member._architecture.inputs.embedding == EMBEDDINGS[k]
    assert np.isfinite(member.predict(X)).all()
    assert_is_mean(model, FIRST)  # where there are news, the members read X in ways of their own
    for now, then in zip(model.estimators_, before, strict=True):
        np.testing.assert_allclose(now.predict(FIRST), then, atol=1e-3 * TARGET.std())
    if news:
        with pytest.raises(ValueError, match=r"Some members of this ensemble .* were trained further"):
            model.partial_fit(FIRST, TARGET[:100])


# ---------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_training_moves_an_embedding_but_not_its_edges(how, make_data, regressor):
    data = make_data("regression")
    params = {**MIXED, "n_members": 1, "numeric_embedding": "piecewise_linear", "pruning_ratio": 0}
    # So small a rate leaves the start as it was drawn.
    start = getattr(regressor(**{**params, "learning_rate_init": 1e-30}), how)(data.X, data.y)
    model = getattr(regressor(**params, alpha=0.1, solver="adamw"), how)(data.X, data.y)
    drawn, learned = (each._member.model.input_params for each in (start, model))
    np.testing.assert_array_equal(learned["edges"], drawn["edges"])
    for name in ("weight", "bias"):
        assert (learned[name] != drawn[name]).any()
