"""A compiled function with a folder of programs: what is loaded, what is compiled and kept, what JAX gets as it is."""

import functools
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.experimental.serialize_executable
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core import executables, keys, programs, store
from skbandit._core.programs import compiled
from skbandit._tabular.network.mlp import MLP

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no store on this system")

RELU, TANH = (MLP((2, 3, 1), name, "squared_error") for name in ("relu", "tanh"))


@pytest.fixture
def folder(own_store, tmp_path, monkeypatch):
    """A folder of programs, empty."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(programs, "_jitted", [])
    return own_store(tmp_path)


@pytest.fixture
def traced():
    """A list with an item for each time that `scaled` was traced."""
    return []


@pytest.fixture
def scaled(folder, traced):
    """A function, and the shapes that it returns."""

    @compiled(static_argnames=("network", "power"))
    def scaled(x, by=2.0, *, network=None, power=1):
        """Scale."""
        traced.append(x)
        if network is not None:
            x = network.activate(x)
        return {"scaled": x**power * by, "pair": (x, None)}

    return scaled


def anew(function):
    """Forget what is in memory, as another process would not have it."""
    function.clear_cache()
    return function


def test_a_program_is_traced_once_and_then_found(scaled, traced, folder):
    x = np.array([1.0, 2.0], np.float32)
    first = scaled(x, power=3)
    again = anew(scaled)(x, power=3)
    assert len(traced) == 1
    assert len(os.listdir(folder)) == 1
    assert jax.tree.structure(first) == jax.tree.structure(again)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        assert (a.dtype, a.weak_type, a.committed) == (b.dtype, b.weak_type, b.committed)
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again["scaled"], [2, 16])


#: Calls of which each is a program of its own.
X = np.array([1.0, 2.0], np.float32)
CALLS = {
    "base": lambda f: f(X),
    "another shape": lambda f: f(X[:1]),
    "another rank": lambda f: f(X[None]),
    "another dtype": lambda f: f(X.astype(np.int32)),
    "a static value": lambda f: f(X, power=2),
    "another static value": lambda f: f(X, power=3),
    "a static object": lambda f: f(X, network=RELU),
    "another static object": lambda f: f(X, network=TANH),
    "a number with a type": lambda f: f(X, np.float32(2)),
    "a number without one": lambda f: f(X, 2.0),
    "an int": lambda f: f(X, 2),
    "by name": lambda f: f(X, by=2.0),
    "a weak type": lambda f: f(jnp.asarray(1.0)),
    "a strong type": lambda f: f(jnp.asarray(1.0, jnp.float32)),
    "committed": lambda f: f(jax.device_put(X, jax.devices()[0])),
    "precision": lambda f: jax.default_matmul_precision("highest")(f)(X),
    "float64": lambda f: jax.enable_x64(True)(f)(X.astype(np.float64)),
}


def test_each_ingredient_makes_another_program(scaled, traced, folder):
    expected = {}
    for i, (name, call) in enumerate(CALLS.items()):
        expected[name] = call(scaled)
        assert len(os.listdir(folder)) == i + 1, name
    n_traced = len(traced)  # what is committed to a device is compiled from the same trace
    assert n_traced == len(CALLS) - 1
    for call in CALLS.values():  # in memory
        call(scaled)
    anew(scaled)
    for name, call in CALLS.items():  # and on disk
        for a, b in zip(jax.tree.leaves(expected[name]), jax.tree.leaves(call(scaled)), strict=True):
            assert (a.dtype, a.weak_type) == (b.dtype, b.weak_type)
            np.testing.assert_array_equal(a, b)
    assert len(traced) == n_traced


def test_numbers_are_data(scaled, traced):
    for by in (1.0, 3.0):
        np.testing.assert_array_equal(scaled(X, by)["scaled"], X * by)
        np.testing.assert_array_equal(scaled(2 * X, by)["scaled"], 2 * X * by)
    assert len(traced) == 1


def test_two_functions_of_one_form_are_two_programs(folder):
    @compiled()
    def one(x):
        return x + 1

    @compiled()
    def two(x):
        return x + 2

    for _ in range(2):
        assert (float(anew(one)(X)[0]), float(anew(two)(X)[0])) == (2, 3)


def test_compiler_options_make_another_program(folder):
    def function(x):
        return x + 1

    slow = compiled()(function)
    quick = compiled(compiler_options={"xla_cpu_use_fusion_emitters": False})(function)
    for f in (slow, quick):
        f(X)
    assert len(os.listdir(folder)) == 2


def test_a_static_argument_by_its_place(folder):
    traced = []

    @compiled(static_argnums=(0,))
    def times(n, x):
        traced.append(n)
        return x * n

    for _ in range(2):
        np.testing.assert_array_equal(anew(times)(3, X), 3 * X)
        np.testing.assert_array_equal(times(n=4, x=X), 4 * X)
    assert traced == [3, 4]


@pytest.mark.parametrize("options", [{"donate_argnums": (0,)}, {"donate_argnames": ("x",)}])
def test_nothing_is_donated(options):
    """A loaded program that fails would take what the next one needs."""
    with pytest.raises(ValueError, match="donates no argument"):
        compiled(**options)


# --- what goes past it ----------------------------------------------------------------------------------------------


def test_what_is_not_of_the_package_goes_past_the_folder(scaled, traced, folder):
    network = type("Network", (), {"activate": staticmethod(jnp.sin)})()
    for _ in range(2):
        np.testing.assert_allclose(scaled(X, network=network)["scaled"], 2 * np.sin(X), rtol=1e-6)
    assert len(traced) == 1
    assert os.listdir(folder) == []


def test_tracers_go_past_the_folder(scaled, folder):
    def total(x):
        return scaled(x)["scaled"].sum()

    np.testing.assert_array_equal(jax.grad(total)(X), [2, 2])
    np.testing.assert_array_equal(jax.jit(scaled)(X)["scaled"], 2 * X)
    np.testing.assert_array_equal(jax.vmap(lambda x: scaled(x)["scaled"])(X), 2 * X)
    assert jax.eval_shape(scaled, X)["scaled"].shape == (2,)
    assert os.listdir(folder) == []


def test_without_jit_the_function_itself_runs(scaled, traced, folder):
    scaled(X)
    with jax.disable_jit():
        for _ in range(2):
            assert float(scaled(X)["scaled"][1]) == 4
    assert len(traced) == 3
    assert all(isinstance(x, jax.Array) for x in traced)


def test_checks_for_nan_are_those_of_jit(scaled, folder):
    scaled(X, np.float32(np.nan))
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        scaled(X, np.float32(np.nan))


@pytest.mark.parametrize("argument", ["a", object(), 1j, [object()]])
def test_odd_arguments_are_for_jax_to_judge(argument, folder):
    @compiled()
    def function(x):
        return jax.tree.map(lambda a: a * 2, x)

    def outcome(f):
        try:
            return str(f(argument))
        except Exception as error:
            return f"{type(error).__name__}: {error}".replace(repr(function), "")

    assert outcome(function) == outcome(function._jitted)
    assert os.listdir(folder) == []


def test_a_static_argument_without_a_hash_is_for_jax_to_refuse(scaled):
    with pytest.raises(ValueError, match="hash"):
        scaled(X, power=[1])


def test_a_program_that_calls_into_python_or_a_library_is_not_kept(folder):
    @compiled()
    def calls_back(x):
        return jax.pure_callback(lambda a: np.asarray(a) + 1, jax.ShapeDtypeStruct((2,), "float32"), x)

    @compiled()
    def solves(x):
        return jnp.linalg.cholesky(x)  # LAPACK's

    for _ in range(2):
        np.testing.assert_array_equal(calls_back(X), X + 1)
        np.testing.assert_array_equal(solves(np.eye(2, dtype=np.float32)), np.eye(2))
    assert os.listdir(folder) == []


def test_errors_of_tracing_are_raised(folder):
    @compiled()
    def fails(x):
        raise KeyError("of the user's")

    for _ in range(2):
        with pytest.raises(KeyError, match="of the user's"):
            fails(X)


# --- what is damaged, or cannot be kept -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "bytes of something else"])
def test_what_is_on_disk_and_no_program_is_compiled_anew(how, scaled, traced, folder, monkeypatch):
    expected, load = scaled(X), store.load
    if how == "cut":
        (path,) = os.scandir(folder)
        os.truncate(path, 1000)
    else:  # a whole file, which another version of JAX might have written
        monkeypatch.setattr(store, "load", lambda *_: b"not a pickle")
    np.testing.assert_array_equal(anew(scaled)(X)["scaled"], expected["scaled"])
    assert len(traced) == 2
    monkeypatch.setattr(store, "load", load)
    anew(scaled)(X)
    assert len(traced) == 2  # it was kept anew


def test_a_program_that_cannot_be_loaded_is_compiled(scaled, traced, monkeypatch):
    expected = scaled(X)
    monkeypatch.setattr(executables.pickle, "loads", refuse)
    np.testing.assert_array_equal(anew(scaled)(X)["scaled"], expected["scaled"])
    assert len(traced) == 2


def test_a_program_that_fails_when_it_runs_is_compiled(scaled, traced, folder, monkeypatch):
    """As one does that was made bytes of after JAX's cache had loaded it."""
    expected = scaled(X)
    lowered = scaled._jitted.lower(X)
    content = executables.as_bytes(lowered, lowered.compile())
    program, example = executables.pickle.loads(content)
    monkeypatch.setattr(executables.pickle, "loads", lambda _: (program, example))

    class Fails:
        def __call__(self, *_, **__):
            raise jax.errors.JaxRuntimeError("NOT_FOUND: Function not found")

    with monkeypatch.context() as patch:
        patch.setattr(jax.experimental.serialize_executable, "deserialize_and_load", lambda *_: Fails())
        np.testing.assert_array_equal(anew(scaled)(X)["scaled"], expected["scaled"])
    assert len(scaled._programs) == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")]
)
def test_a_program_that_lacks_memory_is_not_tried_twice(error, scaled, traced, folder, monkeypatch):
    scaled(X)
    kept = os.listdir(folder)

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(jax.experimental.serialize_executable, "deserialize_and_load", lambda *_: fail)
        with pytest.raises(type(error)) as raised:
            anew(scaled)(X)
    assert raised.value is error
    assert os.listdir(folder) == kept
    scaled(X)
    assert len(traced) == 1  # it was loaded


def test_the_file_of_a_program_that_fails_is_removed(scaled, folder, monkeypatch):
    scaled(X)
    monkeypatch.setattr(jax.experimental.serialize_executable, "deserialize_and_load", refuse)
    monkeypatch.setattr(executables, "as_bytes", lambda *_: None)  # and it is not kept anew
    np.testing.assert_array_equal(anew(scaled)(X)["scaled"], 2 * X)
    assert os.listdir(folder) == []


def test_what_the_cache_of_jax_has_given_is_not_kept(scaled, folder, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "of JAX"))
    scaled(X)
    (name,) = os.listdir(folder)
    os.unlink(os.path.join(folder, name))
    for _ in range(2):
        np.testing.assert_array_equal(anew(scaled)(X)["scaled"], 2 * X)
        assert os.listdir(folder) == []


def test_a_program_that_cannot_be_made_bytes_is_used_all_the_same(scaled, traced, folder, monkeypatch):
    monkeypatch.setattr(executables.pickle, "dumps", refuse)
    for _ in range(2):
        np.testing.assert_array_equal(scaled(X)["scaled"], 2 * X)
    assert len(traced) == 1
    assert os.listdir(folder) == []


def refuse(*_, **__):
    raise RuntimeError


def test_a_full_disk_costs_the_file_alone(scaled, traced, folder, full_disk):
    with full_disk():
        np.testing.assert_array_equal(scaled(X)["scaled"], 2 * X)
    assert os.listdir(folder) == []


# --- memory and threads ---------------------------------------------------------------------------------------------


def test_make_room_forgets_loaded_programs(scaled, traced, folder, monkeypatch):
    for name in ("_programs", "_called"):
        monkeypatch.setattr(programs, name, set())
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 1)
    scaled(X)
    anew(scaled)(X)
    assert len(scaled._programs) == 1
    for program in ("a", "b"):
        programs.make_room(program)
    assert len(scaled._programs) == 0
    scaled(X)
    assert len(traced) == 1


def test_threads_get_the_same(scaled, folder):
    start = threading.Barrier(4)

    def call(i):
        start.wait(60)
        return np.asarray(scaled(X, float(i))["scaled"])

    with ThreadPoolExecutor(4) as pool:
        for i, found in enumerate(pool.map(call, range(4))):
            np.testing.assert_array_equal(found, X * i)
    assert len(os.listdir(folder)) == 1


def test_settings_of_other_threads_are_theirs(scaled, traced):
    def in_float64():
        with jax.enable_x64(True):
            return scaled(X.astype(np.float64))["scaled"].dtype

    assert scaled(X)["scaled"].dtype == "float32"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_float64).result() == "float64"
    assert scaled(X)["scaled"].dtype == "float32"
    assert len(traced) == 2


def test_a_function_keeps_its_name_and_its_signature(scaled):
    assert scaled.__name__ == "scaled"
    assert scaled.__doc__ == "Scale."
    assert functools.partial(scaled, X)()["scaled"].shape == (2,)


def test_without_a_folder_it_is_jit(own_store, scaled, traced, tmp_path):
    own_store("")
    keys._describe_surroundings.cache_clear()
    scaled(X)
    assert scaled._programs == {}
    assert len(traced) == 1
    assert keys._describe_surroundings.cache_info().currsize == 0  # nothing is computed for it
