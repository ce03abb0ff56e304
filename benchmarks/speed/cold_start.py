"""From the start of the process to a fitted model, and the imports alone: what a script or a worker pays.

Fresh processes take turns; measured are the CPU seconds of each, from the start of the interpreter to its end, so that
what compiles on a second core counts. The scripts are the same but for the estimator: the same data,
``StandardScaler``. "plain" is one hidden layer of 100 units, 200 epochs (asserted), as scikit-learn's MLP; "default" is
the estimator at its defaults. Ours also prune half of the units; scikit-learn's MLP does not prune. Once without any
cache, so that all programs are compiled, and once with the programs that an earlier process has kept on disk, as they
are by default. One run of each is not measured: it brings the files into memory, and fills the cache.

The imports: ``from skbandit import BanditPrunedMLPRegressor`` against ``import jax, sklearn.neural_network``, the two
libraries that a user of the package has installed anyway. Ours does not import JAX until it trains, which makes that
comparison an easy one; so a second one imports everything that the first fit would, optax included.
"""

from __future__ import annotations

import tempfile
from functools import partial

from benchmarks.common.timing import alternate, interleave
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.processes import cpu_seconds, run_python

EPOCHS = 200
#: Times of scikit-learn's process at most, by the estimator: compiling everything; with a filled cache.
TARGETS = {"plain": (2.1, 1.3), "default": (3.5, 1.8)}
#: The same of imports alone.
IMPORTS = 1.3

SCRIPT = """
import sys, warnings
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
{imports}
warnings.simplefilter("ignore")
X, y = load_diabetes(return_X_y=True)
X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
epochs = int(sys.argv[1])
of_epochs = dict(max_iter=epochs, tol=0, n_iter_no_change=epochs)
model = {estimator}
assert model.fit(X, y).n_iter_ == epochs or {any_epochs}
"""
THEIRS = SCRIPT.format(
    imports="from sklearn.neural_network import MLPRegressor",
    estimator="MLPRegressor(hidden_layer_sizes=(100,), random_state=0, **of_epochs)",
    any_epochs=False,
)
OURS = {
    "plain": SCRIPT.format(
        imports="from skbandit import BanditPrunedMLPRegressor",
        estimator='BanditPrunedMLPRegressor.from_preset("plain", random_state=0, **of_epochs)',
        any_epochs=False,
    ),
    "default": SCRIPT.format(
        imports="from skbandit import BanditPrunedMLPRegressor",
        estimator="BanditPrunedMLPRegressor(random_state=0, **(of_epochs if epochs < 200 else {}))",
        any_epochs=True,
    ),
}

IMPORT_OURS = "from skbandit import BanditPrunedMLPRegressor"
IMPORT_ALL_OF_OURS = f"{IMPORT_OURS}; import skbandit; skbandit.prune; skbandit.criteria.resolve"
IMPORT_THEIRS = "import jax, sklearn.neural_network"


def run(options: Options) -> Output:
    if not options.quick:
        yield from imports(options)
    yield from to_fitted(options)


def imports(options: Options) -> Output:
    """Import statements alone."""
    scripts = {"ours": IMPORT_OURS, "all of ours": IMPORT_ALL_OF_OURS, "theirs": IMPORT_THEIRS}
    sides = {name: partial(run_python, script) for name, script in scripts.items()}
    seconds = interleave(sides, options.repeats, warm_up=1)
    for case, name in (("import the estimator", "ours"), ("import all that a fit needs", "all of ours")):
        yield Row(case, seconds[name], seconds["theirs"], IMPORT_THEIRS, IMPORTS, at_most=True)


def to_fitted(options: Options) -> Output:
    """Whole processes."""
    epochs = "5" if options.quick else str(EPOCHS)
    with tempfile.TemporaryDirectory() as cache:
        sides = {"theirs": partial(cpu_seconds, THEIRS, epochs)}
        for name, script in (("plain", OURS["plain"]),) if options.quick else OURS.items():
            sides[f"{name}, no cache"] = partial(cpu_seconds, script, epochs)
            if not options.quick:
                sides[f"{name}, filled cache"] = partial(cpu_seconds, script, epochs, SKBANDIT_COMPILATION_CACHE=cache)
        if not options.quick:
            for measure in sides.values():
                measure()
        seconds = alternate(sides, options.repeats)
    for side in seconds:
        if side != "theirs":
            name, _, how = side.partition(", ")
            target = TARGETS[name]["filled" in how]
            peer = "scikit-learn's process, unpruned"
            yield Row(f"CPU to fitted, {side}", seconds[side], seconds["theirs"], peer, target, True)
