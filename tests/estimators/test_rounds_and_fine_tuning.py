"""How many rounds pruning has, and how long each is fine-tuned: by default, the more the more units leave."""

import jax.numpy as jnp
import pytest

from skbandit._core.pytree import pytree_dataclass
from skbandit.criteria import Magnitude
from skbandit.estimators._callbacks import FitReporter

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

AUTO = {"hidden_layer_sizes": (16,), "max_iter": 5, "n_rounds": "auto", "fine_tune_iter": "auto"}

#: Epochs of fine-tuning after each round, by ratio: one round for each halving and two at least; two epochs after each,
#: but 20 times the ratio after the last. At 0.875 exactly three halvings; at 0.1 there is one unit for one round.
SCHEDULES = {
    0: [],
    0.1: [2],
    0.13: [2, 3],
    0.25: [2, 5],
    0.5: [2, 10],
    0.75: [2, 15],
    0.875: [2, 2, 18],
    0.9: [2, 2, 2, 18],
}


@pytree_dataclass
class Half(Magnitude):
    """Suggests the units whose magnitude is below the median."""

    @property
    def suggests(self):
        return True

    def step(self, key, state, problem, active):
        state, scores = super().step(key, state, problem, active)
        return state, scores._replace(suggested=scores.value > jnp.median(scores.value))


@pytest.fixture
def tuned(monkeypatch):
    """Rounds that are fine-tuned, and for how many epochs."""
    seen, original = [], FitReporter.begin_fine_tuning

    def begin(self, round_, n_epochs):
        seen.append((round_, n_epochs))
        return original(self, round_, n_epochs)

    monkeypatch.setattr(FitReporter, "begin_fine_tuning", begin)
    return seen


@pytest.mark.parametrize("ratio", SCHEDULES)
def test_the_last_round_is_tuned_the_longer_the_more_units_leave(ratio, tuned, make_data, regressor):
    data = make_data("regression")
    model = regressor(**AUTO, pruning_ratio=ratio).fit(data.X, data.y)
    assert tuned == list(enumerate(SCHEDULES[ratio]))
    assert len(model.pruning_history_) == len(tuned)
    assert sum(model.hidden_layer_sizes_) == 16 - int(16 * ratio)


@pytest.mark.parametrize("ratio", [0.25, 0.9])
def test_prune_goes_by_its_own_ratio(ratio, tuned, make_data, regressor):
    data = make_data("regression")
    model = regressor(**AUTO, pruning_ratio=0).fit(data.X, data.y)
    assert tuned == []
    model.prune(data.X, data.y, pruning_ratio=ratio)
    assert tuned == list(enumerate(SCHEDULES[ratio]))


def test_prune_again_counts_from_the_network_that_was_trained(tuned, make_data, regressor):
    data = make_data("regression")
    model = regressor(**AUTO, pruning_ratio=0.5).fit(data.X, data.y)
    del tuned[:]
    path = model.prune_path(data.X, data.y, pruning_ratio=0.75)
    assert tuned == [(0, 2), (1, 15)]
    assert path.hidden_layer_sizes == [(8,), (6,), (4,)]


def test_any_round_of_auto_may_be_the_last(tuned, make_data, regressor):
    data = make_data("regression")
    model = regressor(**AUTO, pruning_ratio="auto", tolerance=1e6).fit(data.X, data.y)
    assert len(model.pruning_history_) > 1
    assert {n_epochs for _, n_epochs in tuned} == {10}


def test_a_set_that_a_criterion_suggests_leaves_in_one_round(tuned, make_data, regressor):
    data = make_data("regression")
    model = regressor(**AUTO, pruning_ratio="auto", policy=Half()).fit(data.X, data.y)
    assert tuned == [(0, 10)]
    assert model.hidden_layer_sizes_ == (8,)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"n_rounds": 1}, [(0, 10)]),
        ({"n_rounds": 3}, [(0, 2), (1, 2), (2, 10)]),
        ({"fine_tune_iter": 3}, [(0, 3), (1, 3)]),
        ({"fine_tune_iter": 0}, []),
        ({"budget": 1}, [(0, 10)]),  # which gives every unit a pull in one round only
    ],
    ids=str,
)
def test_numbers_are_taken_as_they_are(params, expected, tuned, make_data, regressor):
    data = make_data("regression")
    regressor(**{**AUTO, **params}).fit(data.X, data.y)
    assert tuned == expected


def test_each_member_has_these_rounds(tuned, make_data, regressor):
    data = make_data("regression")
    regressor(**AUTO, n_members=2).fit(data.X, data.y)
    assert sorted(tuned) == [(0, 2), (0, 2), (1, 10), (1, 10)]


@pytest.mark.parametrize("name", ["n_rounds", "fine_tune_iter"])
@pytest.mark.parametrize("value", ["all", None, 1.5])
def test_what_is_no_number_of_rounds_or_epochs_is_refused(name, value, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=rf"The '{name}' parameter.*must be.*'auto'"):
        regressor(**{**AUTO, name: value}).fit(data.X, data.y)
