"""A process that was forked after JAX had started: refused within seconds, where it would wait for ever."""

import os

import pytest

from skbandit._core import forks
from skbandit._core.scope import jax_scope

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

REFUSED = r"forked after its parent had used JAX.*loky.*'spawn' or 'forkserver'"

#: What the scripts share: a child says what came of it, and is killed where it hangs.
CHILD = """
import os, pickle, signal, sys, warnings
import numpy as np
warnings.simplefilter("ignore")

def child(work):
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # ends it without asking
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(there, said.encode())
        os._exit(0)
    os.close(there)
    with open(here, "rb") as end:
        said = end.read().decode()
    os.waitpid(pid, 0)
    return said or "hang"

X = np.linspace(0, 1, 60).reshape(30, 2)

def fit():
    from skbandit import BanditPrunedMLPRegressor
    BanditPrunedMLPRegressor((4,), n_members=1, max_iter=2, fine_tune_iter=0, random_state=0).fit(X, X[:, 0])
    return "fitted"

def any_network(name):
    import skbandit
    from skbandit.networks import GatedNetwork, Group, Groups, Slice
    def loss(params, gates, X, y, weight):
        return (weight * (((X @ params["in"]) * gates[0]) @ params["out"] - y) ** 2).sum() / weight.sum()
    groups = Groups([Group("hidden", 3, incoming=[Slice("in", 1)], outgoing=[Slice("out", 0)])])
    getattr(skbandit, name)(GatedNetwork(loss, groups), {"in": np.ones((2, 3)), "out": np.ones(3)}, X, X[:, 0])
    return "pruned"

def used_jax():
    import jax.numpy as jnp
    jnp.ones(3).sum().block_until_ready()
"""


def refused(said):
    return said.startswith("RuntimeError: This process was forked after its parent had used JAX")


@pytest.mark.parametrize(
    "parent",
    [
        "import skbandit; used_jax()",
        pytest.param("used_jax(); import skbandit", marks=pytest.mark.exhaustive),
        pytest.param("used_jax(); import skbandit.estimators", marks=pytest.mark.exhaustive),
    ],
)
def test_children_of_a_process_that_used_jax_are_refused(parent, python):
    script = f"""{CHILD}
import multiprocessing
import joblib
{parent}
import skbandit.criteria, skbandit.estimators, skbandit.pruning  # once for all children
def work(_):
    signal.alarm(60)
    try:
        return fit()
    except RuntimeError as error:
        return f"RuntimeError: {{error}}"
if __name__ == "__main__":
    print(child(fit))
    print(child(lambda: any_network("prune")))
    print(child(lambda: any_network("rank_units")))
    print(child(lambda: child(fit)))  # of a child
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(*pool.map(work, range(2)), sep="\\n")
    print(*joblib.Parallel(2, backend="multiprocessing")(joblib.delayed(work)(i) for i in range(2)), sep="\\n")
"""
    said = python(script).splitlines()
    assert len(said) == 8
    assert all(map(refused, said)), said


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="only Linux tells what was before the import")
def test_a_child_that_is_the_first_to_import_the_package_is_refused(python):
    script = f"""{CHILD}
import optax, sklearn.model_selection
used_jax()
def fit_after_others():
    import skbandit.estimators
    a = np.random.rand(300, 300)
    a @ a  # BLAS has threads of its own
    return fit()
def fit_beside(name):
    import ctypes, threading
    begun = threading.Event()
    def wait():
        ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
        begun.set()
        threading.Event().wait()
    threading.Thread(target=wait, daemon=True).start()
    begun.wait()
    return fit()
print(child(lambda: any_network("prune")))
print(child(fit_after_others))
print(child(lambda: fit_beside(b"tf_data_iterator")))  # TensorFlow's
print(child(lambda: fit_beside(b"tf_Compute")))
"""
    said = python(script).splitlines()
    assert len(said) == 4
    assert all(map(refused, said)), said


def test_a_child_computes_until_its_parent_has_and_predicts_ever_after(python):
    script = f"""{CHILD}
import threading
import jax._src.xla_bridge as bridge
import skbandit.estimators, skbandit.criteria

print(child(fit))  # the parent has imported JAX, and no more
def fit_and_fork():
    return fit() + ", " + child(fit)
print(child(fit_and_fork))

for lock in bridge._backend_lock, bridge._plugin_lock:
    begun, over = threading.Event(), threading.Event()
    def start():
        with lock:  # as long as another thread starts JAX
            begun.set()
            over.wait()
    thread = threading.Thread(target=start)
    thread.start()
    begun.wait()
    print(child(fit))
    over.set()
    thread.join()

from skbandit import BanditPrunedMLPRegressor
model = BanditPrunedMLPRegressor((4,), n_members=1, max_iter=2, fine_tune_iter=0, random_state=0).fit(X, X[:, 0])
expected = model.predict(X)
print(child(lambda: np.array_equal(model.predict(X), expected)))
print(child(lambda: np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)))
for work in (lambda: model.fit(X, X[:, 0]), lambda: model.prune(X, X[:, 0], pruning_ratio=0.9),
             lambda: model.prune_path(X, X[:, 0]), lambda: model.partial_fit(X, X[:, 0])):
    def work_and_predict():
        try:
            return work()
        except RuntimeError as error:
            return f"RuntimeError: {{error}} {{np.array_equal(model.predict(X), expected)}}"
    print(child(work_and_predict))
"""
    alone, twice, starting, finding, predicted, loaded, *others = python(script).splitlines()
    assert alone == "fitted"
    assert twice.startswith("fitted, RuntimeError: This process was forked")
    assert refused(starting)
    assert refused(finding)
    assert predicted == loaded == "True"
    assert len(others) == 4
    assert all(refused(said) and said.endswith("True") for said in others), others


@pytest.mark.exhaustive
def test_a_child_that_used_jax_before_it_imported_the_package_computes(python):
    script = f"""{CHILD}
def work():
    used_jax()
    return fit()
print(child(work))
"""
    assert python(script) == "fitted\n"


def test_a_process_of_another_pid_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(forks, "_jax_pid", os.getpid() + 1)
    with pytest.raises(RuntimeError, match=REFUSED), jax_scope():
        pass  # pragma: no cover


def test_the_process_that_first_used_jax_goes_on(monkeypatch):
    monkeypatch.setattr(forks, "_jax_pid", None)
    for _ in range(2):
        with jax_scope():
            pass
    assert forks._jax_pid == os.getpid()


def test_without_jaxs_private_names_our_own_use_is_known(monkeypatch):
    monkeypatch.setattr(forks, "_jax_pid", None)
    monkeypatch.setattr(forks.sys, "modules", {})
    forks._note_fork()
    assert forks._jax_pid is None
    forks.refuse_after_fork()
    assert forks._jax_pid == os.getpid()
    forks._note_fork()
    with pytest.raises(RuntimeError, match=REFUSED):
        forks.refuse_after_fork()


def test_the_private_names_are_those_of_this_jax():
    with jax_scope():
        import jax.numpy as jnp

        jnp.ones(3).block_until_ready()
    assert forks._has_started()
    assert not forks._is_starting()
    assert not forks._has_lost_its_threads()
