"""Every policy and criterion on an MLP and on a convolution: it runs, or says first what the network lacks."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit import prune, rank_units
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import (
    CRITERIA,
    Bandit,
    Criterion,
    Submodular,
    WarmRacing,
    pytree_dataclass,
    resolve,
    scores_without_pulls,
)
from skbandit.criteria.base import needs_of
from skbandit.networks import (
    ACTIVATIONS,
    COSTS,
    DENSE_LAYERS,
    FAST_DAMAGES,
    GATES_BY_ROW,
    OUTGOING,
    PRUNABLE,
    SQUARED_ERRORS,
    GatedNetwork,
    Group,
    Groups,
    Slice,
    offers,
    require,
)
from skbandit.policies import CSAR, POLICIES, UCB1

NAMES = [*POLICIES, *CRITERIA]
SHOWN = ["apoz", "activation_variance", "greedy_activation_variation", "obs", "submodular"]
CONVOLVE = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC")}


def layers(params, gates, X):
    """What two layers of filters give out."""
    first = jax.nn.relu(jax.lax.conv_general_dilated(X, params["first"], **CONVOLVE) + params["bias"]) * gates[0]
    return first, jax.nn.relu(jax.lax.conv_general_dilated(first, params["second"], **CONVOLVE)) * gates[1]


def conv_loss(params, gates, X, y, weight):
    """Behind a flatten each filter has sixteen rows of the last weights."""
    prediction = layers(params, gates, X)[1].reshape(X.shape[0], -1) @ params["out"]
    return jnp.sum(weight * jnp.sum(jnp.square(prediction - y), axis=1))


def conv_activations(params, gates, X):
    return tuple(layer.mean(axis=(1, 2)) for layer in layers(params, gates, X))


GROUPS = Groups(
    [
        Group("first", 4, incoming=[Slice("first", 3), Slice("bias", 0)], outgoing=[Slice("second", 2)]),
        Group("second", 3, incoming=[Slice("second", 3)], outgoing=[Slice("out", 0, np.tile(np.arange(3), 16))]),
    ]
)
SILENT = GatedNetwork(conv_loss, GROUPS)
SPEAKING = GatedNetwork(conv_loss, GROUPS, conv_activations)
DENSE = MLP((3, 4, 3, 1), "tanh", "squared_error")


def case(network):
    rng = np.random.default_rng(0)
    if network is DENSE:
        params = init_params(DENSE.layer_sizes, "tanh", np.random.RandomState(0), "float32")
        return params, rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    params = {
        "first": rng.normal(size=(3, 3, 1, 4)),
        "bias": rng.normal(size=4),
        "second": rng.normal(size=(3, 3, 4, 3)),
        "out": rng.normal(size=(48, 2)),
    }
    return params, rng.normal(size=(20, 4, 4, 1)), rng.normal(size=(20, 2))


def quick(name):
    criterion = resolve(name)
    return dataclasses.replace(criterion, n_steps=3) if "n_steps" in criterion.constraints else criterion


def rank(network, policy):
    return rank_units(network, *case(network), policy=policy, budget=2, batch_size=8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("network", [DENSE, SPEAKING], ids=["mlp", "convolution"])
def test_every_policy_and_criterion_runs_or_says_what_is_missing(network, name):
    if network is SPEAKING and name == "stable_units":
        with pytest.raises(ValueError, match=r"^stable_units needs a network that is a chain of dense layers"):
            rank(network, quick(name))
        return
    # No output of tanh is zero, so that all units have as many.
    says = pytest.warns(UserWarning, match="does not tell one unit from another")
    with says if network is DENSE and name == "apoz" else contextlib.nullcontext():
        scores = rank(network, quick(name))
    assert scores.value.shape == (7,)
    assert np.isfinite(scores.value).all()


@pytest.mark.parametrize("name", SHOWN)
def test_a_network_that_shows_no_activations_is_refused_before_any_work(name):
    def never(*args):
        raise AssertionError("the loss was called")

    message = rf"^{name} needs a network that shows its activations: GatedNetwork\(\.\.\., activations=\.\.\.\)"
    for function in (rank_units, prune):
        with pytest.raises(ValueError, match=message):
            function(GatedNetwork(never, GROUPS), *case(SILENT), policy=name)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in [*SHOWN, "stable_units", "bip", "iss"]])
def test_all_others_need_a_loss_and_groups_only(name):
    assert needs_of(resolve(name)) == ()


@pytest.mark.parametrize(
    ("policy", "who"),
    [
        (Submodular(form="asymmetric"), r"Submodular\(form='asymmetric', budgets='share'\)"),
        (Submodular(budgets="accuracy"), r"Submodular\(form='layer', budgets='accuracy'\)"),
        (CSAR(multiplications=0.5), r"CSAR\(multiplications=0.5\)"),
        (WarmRacing(prior=CRITERIA["stable_units"]()), "WarmRacing"),
    ],
)
def test_what_is_needed_goes_by_the_fields(policy, who):
    with pytest.raises(ValueError, match=rf"^{who}.* needs a network that is a chain of dense layers"):
        rank(SPEAKING, policy)


def test_several_missing_things_are_named_together():
    with pytest.raises(ValueError, match=r"^x needs .* takes gates for each row: .* and knows what a row costs: .*"):
        require(SILENT, [PRUNABLE, GATES_BY_ROW, COSTS], "x")


@pytest.mark.parametrize("capability", [FAST_DAMAGES, ACTIVATIONS, GATES_BY_ROW, COSTS, DENSE_LAYERS, SQUARED_ERRORS])
def test_an_mlp_offers_everything(capability):
    assert offers(DENSE, capability)
    assert not offers(SILENT, capability)


def test_a_loss_of_another_kind_has_no_squared_errors():
    assert not offers(MLP((3, 4, 2), "tanh", "log_loss"), SQUARED_ERRORS)


def test_a_convolution_loses_filters_and_what_reads_them():
    params, X, y = case(SPEAKING)
    result = prune(SPEAKING, params, X, y, policy="leave_one_out", n_rounds=1, batch_size=8)
    first, second = (len(kept) for kept in result.kept)
    assert first + second == 4  # three of seven are gone
    assert result.params["second"].shape == (3, 3, first, second)
    assert result.params["out"].shape == (16 * second, 2)
    small, gates = jax.tree.map(jnp.asarray, result.params), (np.ones(first), np.ones(second))
    loss = conv_loss(small, gates, X, y, np.full(20, 1 / 20))
    assert float(loss) == pytest.approx(result.loss, rel=1e-5)


@pytest.mark.parametrize(
    "name", ["activation_variance", "greedy_activation_variation", "obs", "submodular", "bip", "iss"]
)
def test_groups_whose_readers_are_not_listed_are_refused_where_they_are_read(name):
    """With no outgoing slices, the mask scores of bip would never move."""
    groups = [dataclasses.replace(g, incoming=g.slices, outgoing=()) for g in GROUPS.groups]
    network = GatedNetwork(conv_loss, groups, conv_activations)
    assert not offers(network, OUTGOING)
    with pytest.raises(ValueError, match=rf"^{name}.* needs a network that lists the slices that read the units"):
        rank(network, name)
    assert np.isfinite(rank(network, "magnitude").value).all()  # its norms are those of all slices


@pytree_dataclass
class Own(Criterion):
    """A criterion with a field that has no default, which may be an array."""

    strength: object

    def step(self, key, state, problem, active):
        return state, scores_without_pulls(jnp.zeros(problem.n_units) + jnp.arange(problem.n_units) * self.strength)


@pytree_dataclass
class OwnBandit(Bandit):
    """A bandit that looks at activations as well."""

    needs = (ACTIVATIONS,)


@pytree_dataclass
class OwnPolicy(UCB1):
    exploration: float = 1.0
    bonus: object = None


@pytest.mark.parametrize("policy", [Own(2.0), Own(np.arange(7.0)), Bandit(policy=OwnPolicy(bonus=np.ones(7)))])
def test_fields_without_a_default_and_arrays_are_no_obstacle(policy):
    assert rank(SILENT, policy).value.shape == (7,)
    assert "Own" in policy.label


def test_a_bandits_class_may_need_something_of_its_own():
    with pytest.raises(ValueError, match=r"^OwnBandit.* needs a network that shows its activations"):
        rank(SILENT, OwnBandit())
    assert rank(SPEAKING, OwnBandit()).value.shape == (7,)


def test_a_criterion_that_does_not_say_what_it_needs_is_told():
    @pytree_dataclass
    class Forgets(Criterion):
        def step(self, key, state, problem, active):
            return state, scores_without_pulls(
                jnp.concatenate([h[0] for h in problem.activations(problem.batches.X[0])])
            )

    with pytest.raises(ValueError, match=r"^Problem.activations needs a network that shows its activations"):
        rank(SILENT, Forgets())


def test_labels_are_names_where_fields_are_the_defaults():
    labels = [resolve("ucb1").label, Bandit(policy=UCB1(exploration=2)).label, resolve("warm_racing").label]
    assert labels == ["ucb1", "UCB1(exploration=2)", "warm_racing"]


@pytest.mark.parametrize("wrong", [None, (), jnp.ones((20, 4)), (jnp.ones((8, 3)), jnp.ones((8, 4)))], ids=str)
def test_activations_of_other_shapes_are_refused(wrong):
    network = GatedNetwork(conv_loss, GROUPS, lambda params, gates, X: wrong)
    with pytest.raises(
        ValueError, match=r"'activations' of a network must return an array for each group, of the shapes"
    ):
        rank(network, "apoz")


@pytest.mark.parametrize("wrong", [None, 1.0, jnp.ones(1), (jnp.ones(()), None)], ids=str)
def test_a_loss_that_is_no_scalar_is_refused(wrong):
    with pytest.raises(ValueError, match=r"'loss' of a GatedNetwork must return a scalar array\. It returned"):
        rank(GatedNetwork(lambda *args: wrong, GROUPS), "leave_one_out")


def test_an_arm_that_is_negative_is_an_empty_slot():
    @pytree_dataclass
    class Idle(UCB1):
        def select(self, key, state, active, k):
            return -jnp.ones(k, jnp.int32), jnp.ones(k)

    scores = rank_units(SILENT, *case(SILENT), policy=Idle(), budget=3, batch_size=8)
    assert scores.n_pulls == 7  # the opening sweep; without a guard the last unit would have been pulled again


def test_pruning_within_a_transformation_is_refused():
    params, X, y = case(SILENT)
    with pytest.raises(ValueError, match="call it outside of jit"):
        jax.jit(lambda p: rank_units(SILENT, p, X, y).value)(params)
