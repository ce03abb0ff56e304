"""Junk for every parameter of every public function: an answer, or an error that names the parameter.

What is public is found by a walk over ``__all__``: a function that is new must be added to the tables below, or the
test of the tables fails. The estimators have a fuzzer of their own.
"""

import dataclasses
import importlib
import inspect

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from junk_values import JUNK
from verdicts import Verdict, counts, faults, judge

import skbandit
from skbandit import criteria, networks, policies, presets, prune, pruning, rank_units, rewards, stats
from skbandit.networks import GatedNetwork, Group, Groups, Slice, TracedNetwork
from skbandit.plotting import CriticalDifferenceDisplay
from skbandit.pruning import FineTuning

PACKAGES = ["", "criteria", "networks", "plotting", "policies", "presets", "pruning", "rewards", "stats"]


def loss(params, gates, X, y, weight):
    hidden = jnp.tanh(X @ params["in"]) * gates[0]
    return jnp.sum(weight * (hidden @ params["out"] - y) ** 2) / jnp.sum(weight)


GROUPS = Groups([Group("hidden", 4, [Slice("in", 1)], [Slice("out", 0)])])
NETWORK = GatedNetwork(loss, GROUPS, lambda params, gates, X: (jnp.tanh(X @ params["in"]) * gates[0],))
RNG = np.random.default_rng(0)
PARAMS = {"in": RNG.normal(size=(3, 4)), "out": RNG.normal(size=4)}
X = RNG.normal(size=(20, 3))
ROWS = {
    "network": NETWORK,
    "params": PARAMS,
    "X": X,
    "y": X[:, 0],
    "sample_weight": None,
    "policy": "ucb1",
    "rank_by": None,
}
#: What is for functions as they are, where a network has gates of its own.
OF_NETWORK = {"loss": None, "groups": None, "state": None, "max_rows": 100}
SCORES = RNG.normal(size=(6, 3))
TABLE = {"scores": SCORES, "higher_is_better": True, "names": None, "decimals": None}


def apply(params, X):
    return jnp.tanh(X @ params["in"]) @ params["out"]


def apply_with_state(params, state, X):
    return apply(params, X) + state["shift"]


def squared(outputs, y):
    return (outputs - y) ** 2


def of_a_function(call, **given):
    if given["state"] is None:
        return call(**given)
    return call(**given | {"network": apply_with_state if given["network"] is apply else given["network"]})


def prune_a_function(**options):
    return of_a_function(prune, **options)


def rank_units_of_a_function(**options):
    return of_a_function(rank_units, **options)


def infer(apply, params, example, **options):
    if options["state"] is not None and apply is globals()["apply"]:
        apply = apply_with_state
    return networks.infer_groups(apply, params, example, **options)


def traced(**fields):
    state = fields["state"]
    if state is not None and fields["apply"] is apply:
        fields["apply"] = apply_with_state
    network = TracedNetwork.of(**fields)
    given = PARAMS if state is None else networks.Variables(PARAMS, state)
    return rank_units(network, given, X, X[:, 0], policy="magnitude")


def fine_tuned(**fields):
    return prune(apply, PARAMS, X, X[:, 0], **FUNCTION, fine_tune=FineTuning(**fields), policy="magnitude", n_rounds=1)


def draw(**plot):
    import matplotlib.pyplot as plt

    display = CriticalDifferenceDisplay([1.5, 1.5], names=["a", "b"], cliques=[(0, 1)], critical_difference=0.5)
    try:
        display.plot(**plot)
    finally:
        plt.close("all")


def draw_of(mean_ranks, **fields):
    import matplotlib.pyplot as plt

    try:
        CriticalDifferenceDisplay(mean_ranks, **fields).plot()
    finally:
        plt.close("all")


def draw_scores(scores, **options):
    import matplotlib.pyplot as plt

    try:
        CriticalDifferenceDisplay.from_scores(scores, **options)
    finally:
        plt.close("all")


FOUND = networks.infer_groups(apply, PARAMS, X[:2])
PLAN = TracedNetwork.of(apply, FOUND, squared, PARAMS, X[:2]).plan
FUNCTION = {"loss": squared, "groups": FOUND, "state": None, "max_rows": 100}
OF_FUNCTION = ROWS | {"network": apply} | FUNCTION
#: Function -> how to call it by name, and valid values of all its parameters.
VALID = {
    prune: (
        prune,
        ROWS
        | {"budget": 4.0, "pruning_ratio": 0.5, "tolerance": 0.1, "scope": "global", "n_rounds": 1, "held_out": None}
        | {"max_pruning_ratio": 1.0}
        | {"repair": None, "fine_tune": None, "on_round": None, "batch_size": 16, "random_state": 0}
        | OF_NETWORK,
    ),
    prune_a_function: (prune_a_function, OF_FUNCTION | {"fine_tune": None, "n_rounds": 1}),
    rank_units: (
        rank_units,
        ROWS
        | {"budget": 4.0, "pruning_ratio": 0.5, "scope": "global", "active": None, "emissions": None}
        | {"batch_size": 16, "random_state": 0}
        | OF_NETWORK,
    ),
    rank_units_of_a_function: (rank_units_of_a_function, OF_FUNCTION),
    networks.infer_groups: (
        infer,
        {"apply": apply, "params": PARAMS, "example": X[:2], "state": None, "also": (), "include": (), "freeze": ()}
        | {"verify": False},
    ),
    TracedNetwork: (
        lambda **fields: rank_units(TracedNetwork(**fields), PARAMS, X, X[:, 0], policy="magnitude"),
        {"apply": apply, "groups": FOUND, "loss": squared, "plan": PLAN, "version": ""},
    ),
    TracedNetwork.of: (
        traced,
        {"apply": apply, "groups": FOUND, "loss": squared, "params": PARAMS, "X": X[:2], "state": None},
    ),
    FineTuning: (
        fine_tuned,
        {"optimizer": optax.sgd(1e-2), "epochs": 1, "batch_size": 16, "train_apply": None, "opt_state": None}
        | {"data": None, "loss": None},
    ),
    skbandit.disable_compilation_cache: (skbandit.disable_compilation_cache, {}),
    skbandit.enable_compilation_cache: (skbandit.enable_compilation_cache, {"path": "cache"}),
    criteria.resolve: (criteria.resolve, {"policy": "ucb1"}),
    policies.get: (policies.get, {"name": "ucb1"}),
    presets.preset_params: (presets.preset_params, {"name": "fast", "task": "regression"}),
    presets.param_distributions: (presets.param_distributions, {"task": "regression", "prefix": ""}),
    networks.offers: (networks.offers, {"network": NETWORK, "capability": networks.PRUNABLE}),
    networks.demand: (networks.demand, {"network": NETWORK, "capability": networks.PRUNABLE, "who": "x"}),
    networks.require: (networks.require, {"network": NETWORK, "needs": [networks.PRUNABLE], "who": "x"}),
    GatedNetwork: (
        lambda loss, groups, activations, gates_by_row: rank_units(
            GatedNetwork(loss, groups, activations, gates_by_row), PARAMS, X, X[:, 0], policy="magnitude"
        ),
        {"loss": loss, "groups": GROUPS, "activations": None, "gates_by_row": False},
    ),
    Group: (
        lambda **fields: Groups([Group(**fields)]).check(PARAMS),
        {"name": "g", "size": 4, "incoming": [Slice("in", 1)], "outgoing": []},
    ),
    Groups: (
        lambda groups, **fields: str(Groups(groups, **fields).check(PARAMS)) + str(Groups(groups, **fields)),
        {"groups": GROUPS.groups, "refused": (), "verified": None, "costs": ()},
    ),
    Slice: (
        lambda **fields: Groups([Group("g", 4, [Slice(**fields)])]).check(PARAMS),
        {"path": "in", "axis": 1, "labels": [0, 1, 2, 3]},
    ),
    CriticalDifferenceDisplay: (
        draw_of,
        {"mean_ranks": [1.5, 1.5], "names": ["a", "b"], "cliques": [(0, 1)], "critical_difference": 0.5}
        | {"caption": ""},
    ),
    CriticalDifferenceDisplay.plot: (draw, {"ax": None, "width": 4.0, "crossbar_kw": None, "text_kw": None}),
    CriticalDifferenceDisplay.from_scores: (
        draw_scores,
        TABLE | {"test": "wilcoxon-holm", "alpha": 0.05, "ax": None, "width": 4.0, "text_kw": None},
    ),
    stats.mean_ranks: (stats.mean_ranks, TABLE),
    stats.friedman: (stats.friedman, {name: TABLE[name] for name in ("scores", "higher_is_better", "decimals")}),
    stats.nemenyi: (stats.nemenyi, TABLE | {"alpha": 0.05}),
    stats.compare_with_control: (stats.compare_with_control, TABLE | {"control": 0, "alpha": 0.05}),
    stats.holm: (stats.holm, {"p_values": [0.1, 0.2]}),
    stats.wilcoxon_holm: (stats.wilcoxon_holm, TABLE | {"control": None, "zero_method": "pratt", "exact": None}),
    stats.cliques: (stats.cliques, {"mean_ranks": [1.2, 1.8], "p_values": [[1, 0.3], [0.3, 1]], "alpha": 0.05}),
    stats.critical_difference: (
        stats.critical_difference,
        {"n_methods": 3, "n_data_sets": 5, "alpha": 0.05, "test": "nemenyi"},
    ),
    stats.bayesian_signed_rank: (
        stats.bayesian_signed_rank,
        {name: TABLE[name] for name in ("scores", "higher_is_better", "names")}
        | {"rope": 0.1, "prior_strength": 0.5, "n_samples": 50, "random_state": 0},
    ),
    stats.bootstrap_interval: (
        stats.bootstrap_interval,
        TABLE
        | {"statistic": "mean", "control": 0, "confidence_level": 0.9, "interval": "percentile", "n_resamples": 20}
        | {"random_state": 0},
    ),
}
#: Called with these names in messages, where they are not the parameter's own.
ALSO = {
    "X": ("X", "loss", "'apply'"),
    "y": ("y", "loss"),
    "params": ("'params'", "parameters", "group", "'apply'"),
    "incoming": ("incoming", "own nothing", "group 'g'"),
    "outgoing": ("outgoing", "belong to a unit"),
    "path": ("path", "no axis"),
    "axis": ("axis",),
    "size": ("size", "units"),
    "groups": ("Group", "'groups'", "groups"),
    "labels": ("labels", "own nothing"),
    "network": ("'network'", "'apply'", "needs a network"),
    "name": ("name", "preset must be"),
    "margin": ("margin", "needs a network"),
    # A class is callable, and says itself that it is not so.
    "example": ("example", "'apply'"),
    "state": ("'state'", "'apply'"),
    "data": ("data", "to fine-tune on", "FineTuning"),
    **{name: (f"'{name}'", "type") for name in ("repair", "fine_tune", "on_round", "loss")},
}
#: What only people who write policies and criteria call, with values of JAX's while a program is traced.
FOR_AUTHORS = {
    *(criteria.static, criteria.pytree_dataclass, criteria.scores_without_pulls),
    *(criteria.Number, criteria.OneOf, criteria.Where, networks.Capability),
}


def public():
    """Return all public callables, by their names."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(f"skbandit.{package}".rstrip("."))
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
        found |= {f"{package}.{name}": value for name in names if callable(value := getattr(module, name))}
    return found


def is_record(value):
    """Say whether it is a class without checks of its own: a result, a state, an interface."""
    if not inspect.isclass(value):
        return False
    is_result = issubclass(value, (tuple, str)) or value in (criteria.Problem, networks.Refusal)
    return is_result or inspect.isabstract(value) or getattr(value, "_is_protocol", False)


def is_configuration(value):
    kinds = (policies.Policy, criteria.Criterion, rewards.Reward)
    return inspect.isclass(value) and issubclass(value, kinds) and not inspect.isabstract(value)


def of_fields(cls, run):
    """Return how to make an object of a policy, criterion or reward, and use it; and its fields, at their defaults."""

    def call(**fields):
        made = cls(**fields)
        policy = criteria.Bandit(reward=made) if isinstance(made, rewards.Reward) else made
        return run(policy)

    return call, {field.name: field.default for field in dataclasses.fields(cls)}


def cases(functions, run=criteria.resolve):
    """Yield the function, the parameter, the name of the junk, and the call."""
    for function in functions:
        call, valid = VALID[function] if function in VALID else of_fields(function, run)
        for parameter in valid:
            for name, make in JUNK.items():
                if (function, parameter, name) == (FineTuning, "data", "hostile"):
                    continue  # what a loader raises when it is gone through is passed on
                yield function, parameter, name, lambda c=call, v=valid, p=parameter, m=make: c(**v | {p: m()})


def arrays_of(value):
    """Return the arrays of a result that must be finite."""
    if isinstance(value, pruning.PruneResult):
        return [*value.params.values(), np.float64(value.loss)]
    if isinstance(value, criteria.Scores):
        return [value.value]
    # NaN and infinity have a meaning there: pairs that are not compared, and F where all data sets agree.
    if isinstance(value, (stats.PairwiseWilcoxon, stats.Friedman)):
        return [np.float64(value.f_p_value)] if isinstance(value, stats.Friedman) else []
    if isinstance(value, float):
        return [np.float64(value)]
    is_result = isinstance(value, tuple) and hasattr(value, "_fields")
    return [part for part in value if isinstance(part, np.ndarray)] if is_result else []


def check(found):
    verdicts: dict[str, Verdict] = {}
    for function, parameter, name, call in found:
        about = ALSO.get(parameter, (parameter,))
        verdicts[f"{function.__qualname__}({parameter}={name})"] = judge(call, about, arrays_of)
    print(len(verdicts), counts(verdicts))
    assert faults(verdicts) == []


@pytest.fixture(autouse=True)
def beside_the_files_of_the_test(tmp_path, monkeypatch, cache_settings):
    monkeypatch.chdir(tmp_path)  # a path of "x" is a folder
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_every_public_function_is_in_a_table():
    estimators = {skbandit.BanditPrunedMLPClassifier, skbandit.BanditPrunedMLPRegressor}
    missing = [
        name
        for name, value in public().items()
        if not (value in VALID or value in FOR_AUTHORS or value in estimators)
        and not (is_record(value) or is_configuration(value))
    ]
    assert missing == []


def test_every_parameter_is_in_a_table():
    for function, (_, valid) in VALID.items():
        names = [name for name in inspect.signature(function).parameters if name not in ("self", "options")]
        assert set(names) <= set(valid), function


@pytest.mark.parametrize("function", VALID, ids=lambda function: function.__qualname__)
def test_valid_values_are_valid(function):
    call, valid = VALID[function]
    assert judge(lambda: call(**valid), finite=arrays_of) == Verdict("ok")


def test_junk_is_answered_or_named():
    check(cases(VALID))


def test_junk_in_a_policy_is_answered_or_named():
    check(cases(value for value in public().values() if is_configuration(value)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name, value in public().items() if is_configuration(value)])
def test_pruning_with_what_is_accepted_is_finite(name):
    check(cases([public()[name]], lambda policy: prune(**ROWS | {"policy": policy, "n_rounds": 1})))
