"""What an ensemble says of attributes that belong to one network."""

import copy
import pickle

import pytest
from sklearn.base import clone
from sklearn.utils import get_tags

from skbandit import BanditPrunedMLPRegressor
from skbandit.estimators._docs import ATTRIBUTES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OF_ONE_NETWORK = [name for name, attribute in ATTRIBUTES["regressor"].items() if attribute.of == "network"]


@pytest.fixture(scope="module")
def ensemble(make_data):
    data = make_data("regression")
    return BanditPrunedMLPRegressor((8,), n_members=2, max_iter=2, fine_tune_iter=1, random_state=0).fit(data.X, data.y)


@pytest.mark.parametrize("name", OF_ONE_NETWORK)
def test_an_ensemble_says_where_its_members_have_it(ensemble, name):
    assert not hasattr(ensemble, name)
    with pytest.raises(
        AttributeError, match=rf"'{name}' belongs to one .* has 2: .* estimators_\[i\].{name}\."
    ) as raised:
        getattr(ensemble, name)
    assert (raised.value.name, raised.value.obj) == (name, ensemble)
    assert all(hasattr(member, name) for member in ensemble.estimators_)


@pytest.mark.parametrize("name", ["coefs_", "estimators_", "of_nobody_", "_of_nobody", "__of_nobody__"])
def test_what_is_nowhere_is_a_plain_error(ensemble, name):
    blank = object.__new__(BanditPrunedMLPRegressor)  # as copy and pickle make one
    models = [blank, BanditPrunedMLPRegressor(), BanditPrunedMLPRegressor(n_members=2), clone(ensemble)]
    if "nobody" in name:
        models += [ensemble, ensemble.estimators_[0]]
    for model in models:
        with pytest.raises(AttributeError, match=f"^'BanditPrunedMLPRegressor' object has no attribute '{name}'$"):
            getattr(model, name)


def test_a_method_that_is_not_there_keeps_its_own_error(ensemble):
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as raised:
        ensemble.partial_fit  # noqa: B018
    assert "'n_members' must be 1" in str(raised.value.__cause__)


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
    assert not hasattr(again, "coefs_")
    assert (again.predict(make_data("regression").X) == ensemble.predict(make_data("regression").X)).all()
    assert get_tags(again) == get_tags(ensemble)
    assert "n_members=2" in again._repr_html_()


def test_a_subclass_may_have_an_attribute_of_such_a_name(ensemble):
    class Averaged(BanditPrunedMLPRegressor):
        @property
        def loss_curve_(self):
            return [sum(each) / 2 for each in zip(*(m.loss_curve_ for m in self.estimators_), strict=True)]

    again = Averaged()
    vars(again).update(vars(ensemble))
    assert len(again.loss_curve_) == 2
