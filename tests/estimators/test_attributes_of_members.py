"""What an ensemble says of attributes that belong to one network."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import get_tags

from skbandit import BanditPrunedMLPRegressor
from skbandit.estimators._docs import ATTRIBUTES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def read_as(how):
    return [name for name, attribute in ATTRIBUTES["regressor"].items() if attribute.of_members == how]


LISTS = ["coefs_", "intercepts_", "activation_slopes_", "kept_units_", "pruning_history_"]
MEANS = ["best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_"]


@pytest.fixture(scope="module")
def ensemble(make_data):
    data = make_data("regression")
    return BanditPrunedMLPRegressor((8,), n_members=2, max_iter=2, fine_tune_iter=1, random_state=0).fit(data.X, data.y)


@pytest.fixture
def unequal(make_data, regressor):
    """Three members that were trained for unequal numbers of epochs."""
    data = make_data("regression")
    params = {"n_members": 3, "early_stopping": True, "validation_fraction": 1 / 3}
    model = regressor(**params, max_iter=40, n_iter_no_change=3, tol=0.01).fit(data.X, data.y)
    assert len({member.n_iter_ for member in model.estimators_}) > 1
    return model


def test_these_belong_to_one_network():
    assert (sorted(read_as("list")), sorted(read_as("mean"))) == (sorted(LISTS), sorted(MEANS))


@pytest.mark.parametrize("name", LISTS)
def test_what_each_member_has_is_a_list(ensemble, name):
    values = getattr(ensemble, name)
    assert type(values) is list
    assert len(values) == 2
    assert all(value is getattr(member, name) for value, member in zip(values, ensemble.estimators_, strict=True))


def test_numbers_and_curves_of_members_are_averaged(make_data, regressor):
    data = make_data("regression")
    model = regressor(n_members=2, max_iter=4, tol=0).fit(data.X, data.y)
    curves = [member.loss_curve_ for member in model.estimators_]
    assert curves[0] != curves[1]
    assert type(model.loss_curve_) is list
    np.testing.assert_allclose(model.loss_curve_, np.mean(curves, axis=0))
    assert model.best_loss_ == pytest.approx(np.mean([member.best_loss_ for member in model.estimators_]))
    assert model.loss_ == pytest.approx(model.loss_curve_[-1])


def test_without_early_stopping_there_are_no_scores(make_data, regressor):
    data = make_data("regression")
    model = regressor(n_members=2, max_iter=4).fit(data.X, data.y)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert model.activation_slopes_ is None


def test_with_early_stopping_there_is_no_best_loss(unequal):
    assert unequal.best_loss_ is None
    best = [member.best_validation_score_ for member in unequal.estimators_]
    assert unequal.best_validation_score_ == pytest.approx(np.mean(best))


@pytest.mark.parametrize("name", ["loss_curve_", "validation_scores_"])
def test_curves_are_means_over_the_members_that_were_trained_for_so_long(unequal, name):
    curves, mean = [getattr(member, name) for member in unequal.estimators_], getattr(unequal, name)
    assert len(mean) == max(map(len, curves)) == unequal.n_iter_
    for epoch, value in enumerate(mean):
        assert value == pytest.approx(np.mean([curve[epoch] for curve in curves if len(curve) > epoch]))


def test_slopes_are_those_of_each_member(ensemble):
    assert ensemble.parametric_activation
    assert [[slope.shape for slope in slopes] for slopes in ensemble.activation_slopes_] == [[(4,)], [(4,)]]


@pytest.mark.parametrize("name", ["coefs_", "estimators_", "of_nobody_", "_of_nobody", "__of_nobody__"])
def test_what_is_nowhere_is_a_plain_error(ensemble, name):
    blank = object.__new__(BanditPrunedMLPRegressor)  # as copy and pickle make one
    models = [blank, BanditPrunedMLPRegressor(), BanditPrunedMLPRegressor(n_members=1), clone(ensemble)]
    if "nobody" in name:
        models += [ensemble, ensemble.estimators_[0]]
    for model in models:
        with pytest.raises(AttributeError, match=f"^'BanditPrunedMLPRegressor' object has no attribute '{name}'$"):
            getattr(model, name)


def test_sizes_are_there_for_one_network_and_for_several(ensemble, make_data, regressor):
    assert ensemble.hidden_layer_sizes_ == [(4,), (4,)] == [m.hidden_layer_sizes_ for m in ensemble.estimators_]
    assert ensemble.n_units_ == (16, 8)
    assert [m.n_units_ for m in ensemble.estimators_] == [(8, 4), (8, 4)]
    data = make_data("regression")
    auto = regressor(hidden_layer_sizes=(6, 2)).partial_fit(data.X, data.y)
    assert (auto.hidden_layer_sizes_, auto.n_units_) == ((6, 2), (8, 8))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_say_the_same(ensemble, make_data, copied):
    again = copied(ensemble)
    for name in MEANS:
        assert getattr(again, name) == getattr(ensemble, name)
    for u, v in zip(again.coefs_, ensemble.coefs_, strict=True):
        np.testing.assert_array_equal(u[0], v[0])
    assert (again.predict(make_data("regression").X) == ensemble.predict(make_data("regression").X)).all()
    assert get_tags(again) == get_tags(ensemble)
    assert "n_members=2" in again._repr_html_()


def test_a_subclass_may_have_an_attribute_of_such_a_name(ensemble):
    class Longest(BanditPrunedMLPRegressor):
        @property
        def loss_curve_(self):
            return max((m.loss_curve_ for m in self.estimators_), key=len)

    again = Longest()
    vars(again).update(vars(ensemble))
    assert again.loss_curve_ is ensemble.estimators_[0].loss_curve_
