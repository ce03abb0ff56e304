"""Whatever the user's settings of JAX: fit, prune, partial_fit and predict work, and give the same numbers."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor, prune, rank_units
from skbandit._core import programs
from skbandit.networks import GatedNetwork, Group, Groups, Slice

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Settings that are read when JAX starts, say where it finds devices and files, or set others.
OF_THE_START = {
    "jax_backend_target",
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_cpu_get_global_topology_timeout_minutes",
    "jax_cpu_get_local_topology_timeout_minutes",
    "jax_cross_host_transfer_socket_address",
    "jax_cross_host_transport_addresses",
    "jax_cuda_visible_devices",
    "jax_debug_log_modules",
    "jax_dump_ir_modes",
    "jax_dump_ir_to",
    "jax_hlo_source_file_canonicalization_regex",
    "jax_mock_gpu_topology",
    "jax_num_cpu_devices",
    "jax_oneapi_visible_devices",
    "jax_persistent_cache_enable_xla_caches",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_pjrt_client_create_options",
    "jax_platform_name",
    "jax_platforms",
    "jax_rocm_visible_devices",
    "jax_source_url_schema",
    "jax_xla_backend",
}
#: JAX's loops do not support these.
REFUSED = {f"jax_error_checking_behavior_{what}" for what in ("nan", "divide", "oob")}
#: What bears upon programs of ours in some way: tried in every run of the tests, and the others in the exhaustive one.
CHECKS = {
    "jax_allow_f16_reductions",
    "jax_check_tracer_leaks",
    "jax_debug_infs",
    "jax_debug_key_reuse",
    "jax_debug_nans",
    "jax_enable_x64",
    "jax_no_execution",
    "jax_no_tracing",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_transfer_guard",
    "jax_transfer_guard_device_to_device",
    "jax_transfer_guard_device_to_host",
    "jax_transfer_guard_host_to_device",
}
NUMBERS = {"jax_default_matmul_precision", "jax_disable_jit", "jax_random_seed_offset", "jax_high_dynamic_range_gumbel"}


def values_of(name):
    """Return every value of a setting but the present one; of numbers, two."""
    kind, given, named = jax.config.meta[name]
    present = jax.config.values[name]
    if kind is bool:
        every = [not present]
    elif kind == "enum":
        every = named.get("enum_values", given and given[0])
    elif kind == "enum_class":
        every = list(named["enum_class"])
    elif name == "jax_default_device":
        every = ["cpu", jax.devices("cpu")[0]]
    else:
        every = [kind(1), kind(2)]
    return [value for value in every if value != present]


def settings(names):
    return [pytest.param(name, value, id=f"{name}={value}") for name in sorted(names) for value in values_of(name)]


OTHERS = set(jax.config.values) - OF_THE_START - REFUSED - CHECKS - NUMBERS


@pytest.fixture
def setting(request):
    """Let a setting have a value for the whole process."""
    name, value = request.param
    before = jax.config.values[name]
    jax.config.update(name, value)
    yield name, value
    jax.config.update(name, before)


def each(names):
    return pytest.mark.parametrize("setting", [pytest.param(p.values, id=p.id) for p in settings(names)], indirect=True)


# --- what is computed ---------------------------------------------------------------------------------------------

PARAMS = {
    **{"hidden_layer_sizes": (4,), "n_members": 1, "max_iter": 3, "n_rounds": 2, "fine_tune_iter": 2},
    "random_state": 0,
}


def estimators(make_data):
    """Return the predictions of estimators that are fitted, pruned and trained on, in both precisions."""
    data, classes = make_data("regression"), make_data("binary")
    found = []
    for dtype in ("float32", "float64"):
        model = BanditPrunedMLPRegressor(**PARAMS, dtype=dtype, dropout=0.1).fit(data.X, data.y)
        found += [model.predict(data.X), model.prune(data.X, data.y, pruning_ratio=0.75).predict(data.X)]
    model = BanditPrunedMLPClassifier(**PARAMS, policy="softmax").partial_fit(classes.X, classes.y, classes=[0, 1])
    found += [model.partial_fit(classes.X, classes.y).predict_proba(data.X)]
    found += [model.prune(classes.X, classes.y).predict_proba(data.X)]
    return [*found, BanditPrunedMLPRegressor(**PARAMS | {"n_members": 2}).fit(data.X, data.y).predict(data.X)]


def masked_output(params, gates, X):
    return jnp.tanh(X @ params["in"] + params["bias"]) * gates[0] @ params["out"]


def loss(params, gates, X, y, weight):
    return jnp.sum(weight * (masked_output(params, gates, X) - y) ** 2) / jnp.sum(weight)


NETWORK = GatedNetwork(loss, Groups([Group("hidden", 4, [Slice("in", 1), Slice("bias", 0)], [Slice("out", 0)])]))


def functions(make_data):
    """Return what the functions for any network return."""
    X, y = make_data("regression").X, make_data("regression").y
    rng = np.random.default_rng(0)
    params = {"in": rng.normal(size=(4, 4)), "bias": rng.normal(size=4), "out": rng.normal(size=4)}
    result = prune(NETWORK, params, X, y, policy="softmax", budget=2, n_rounds=1)
    scores = rank_units(NETWORK, params, X, y, policy="softmax", budget=2)
    return [*result.kept, *result.params.values(), scores.value, scores.damage]


@pytest.fixture(scope="module")
def of_estimators(make_data):
    return estimators(make_data)


@pytest.fixture(scope="module")
def of_functions(make_data):
    return functions(make_data)


def assert_equal(found, expected, rtol=0):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
        assert a.dtype == b.dtype


# --- the tests ----------------------------------------------------------------------------------------------------


@each(CHECKS | NUMBERS)
def test_an_estimator_computes_the_same(of_estimators, setting, make_data):
    assert_equal(estimators(make_data), of_estimators)
    name, value = setting
    assert name == "jax_transfer_guard" or jax.config.values[name] == value


@each(CHECKS | NUMBERS - {"jax_default_matmul_precision", "jax_disable_jit"})
def test_prune_and_rank_units_compute_the_same(of_functions, setting, make_data):
    assert_equal(functions(make_data), of_functions)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*PGLE")  # JAX's own, where it finds no profile
@each(OTHERS)
def test_other_settings_are_the_users(of_estimators, of_functions, setting, make_data):
    # Some say how to optimize a program: its rounding may differ.
    assert_equal(estimators(make_data), of_estimators, rtol=1e-4)
    assert_equal(functions(make_data), of_functions, rtol=1e-4)
    jax.clear_caches()  # most of them are a part of the key of compiled programs, which hold memory maps


@pytest.mark.parametrize(
    "setting", [("jax_disable_jit", True), ("jax_default_matmul_precision", "highest")], indirect=True, ids=str
)
def test_the_precision_of_products_and_running_without_jit_are_the_users_choice(of_functions, setting, make_data):
    assert_equal(functions(make_data), of_functions, rtol=1e-5)


def test_the_precision_of_products_reaches_the_users_loss(of_functions, make_data):
    with jax.default_matmul_precision("F16_F16_F16"):
        coarse = functions(make_data)
    assert 1e-5 < np.abs(coarse[-1] - of_functions[-1]).max() < 1e-1


@each(REFUSED)
def test_what_jax_has_no_scope_for_is_named(setting, make_data):
    name, _ = setting
    for compute in (estimators, functions):
        with pytest.raises(RuntimeError, match=rf"{name}='raise' must be 'ignore' .*jax.config.update\('{name}'"):
            compute(make_data)


def test_no_setting_is_forgotten():
    assert len(OTHERS) > 50
    assert not (CHECKS | NUMBERS | REFUSED) - set(jax.config.values)


STRICT = {
    "jax_numpy_rank_promotion": "raise",
    "jax_numpy_dtype_promotion": "strict",
    "jax_transfer_guard": "disallow",
    "jax_debug_nans": True,
    "jax_enable_x64": True,
    "jax_default_matmul_precision": "bfloat16",
}


def test_no_setting_compiles_anew(make_data, compilations, monkeypatch):
    # Programs of other tests may have been forgotten; those of this one must not be.
    monkeypatch.setattr(programs, "_programs", set())
    expected = estimators(make_data)
    compilations.clear()
    before = {name: jax.config.values[name] for name in STRICT}
    try:
        for name, value in STRICT.items():
            jax.config.update(name, value)
        assert_equal(estimators(make_data), expected)
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    assert compilations == []


def test_settings_of_the_environment_are_no_different(of_estimators, make_data, monkeypatch, python, tmp_path):
    for name, value in STRICT.items():
        monkeypatch.setenv(name.upper(), str(value))
    data = make_data("regression")
    np.savez(tmp_path / "data.npz", X=data.X, y=data.y)
    python(
        """
import sys, warnings
import numpy as np
from skbandit import BanditPrunedMLPRegressor
warnings.simplefilter("ignore")
data = np.load(sys.argv[1] + "/data.npz")
model = BanditPrunedMLPRegressor(**eval(sys.argv[2]), dtype="float32", dropout=0.1).fit(data["X"], data["y"])
np.save(sys.argv[1] + "/found.npy", model.predict(data["X"]))
""",
        tmp_path,
        PARAMS,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), of_estimators[0])


# --- the user's own functions -------------------------------------------------------------------------------------


def test_functions_that_prune_calls_see_the_users_settings(make_data):
    X, y = make_data("regression").X, make_data("regression").y
    rng = np.random.default_rng(0)
    params = {"in": rng.normal(size=(4, 4)), "bias": rng.normal(size=4), "out": rng.normal(size=4)}
    seen = []

    def see(*args):
        seen.append({name: jax.config.values[name] for name in STRICT if name != "jax_transfer_guard"})
        seen[-1]["jax_transfer_guard"] = jax.config.values["jax_transfer_guard_device_to_host"]

    def repair(params, active, removed, emissions):
        see()
        return params

    def fine_tune(params, gates, round_):
        see()
        return params

    with (
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
        jax.transfer_guard("disallow"),
        jax.debug_nans(True),
        jax.enable_x64(True),
        jax.default_matmul_precision("bfloat16"),
    ):
        prune(NETWORK, params, X, y, n_rounds=1, repair=repair, fine_tune=fine_tune, on_round=see)
    assert seen == [STRICT] * 3


def test_a_warning_of_promotion_is_not_about_our_programs(make_data):
    jax.clear_caches()  # JAX warns while it traces
    with warnings.catch_warnings(record=True) as caught, jax.numpy_rank_promotion("warn"):
        warnings.simplefilter("always")
        functions(make_data)
        estimators(make_data)
        n_ours = sum("rank promotion" in str(warning.message) for warning in caught)
        jax.numpy.ones(2) + jax.numpy.ones((2, 2))
    assert n_ours == 0
    assert "rank promotion" in str(caught[-1].message)  # of the user's own code it is


def test_a_loss_that_is_nan_is_named_where_nans_are_looked_for(make_data):
    X, y = make_data("regression").X, make_data("regression").y
    params = {"in": np.full((4, 4), np.nan), "bias": np.zeros(4), "out": np.ones(4)}
    with jax.debug_nans(True), pytest.raises(ValueError, match="loss of the network to prune is nan"):
        prune(NETWORK, params, X, y)
