"""From the start of the process to a fitted model, and the imports alone: what a script or a worker pays.

Fresh processes take turns; measured is the wall time of each, from the start of the interpreter to its end. The scripts
are the same but for the estimator: the same data, ``StandardScaler``, one hidden layer of 100 units, 200 epochs
(asserted). Ours also prunes half of the units; scikit-learn's MLP does not prune. Once without any cache, so that all
programs are compiled, and once with JAX's persistent compilation cache, filled by an earlier process. One run of each
is not measured: it brings the files into memory.

The imports: ``from skbandit import BanditPrunedMLPRegressor`` against ``import jax, sklearn.neural_network``, the two
libraries that a user of the package has installed anyway. Ours does not import JAX until it trains, which makes that
comparison an easy one; so a second one imports everything that the first fit would, optax included.
"""

from __future__ import annotations

import tempfile
from functools import partial

from benchmarks.common.timing import interleave
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.processes import run_python

EPOCHS = 200
#: Times of scikit-learn's process at most: compiling everything; with a filled cache; imports alone.
COLD, CACHED, IMPORTS = 2.5, 1.2, 1.3

SCRIPT = """
import sys, warnings
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
{imports}
warnings.simplefilter("ignore")
X, y = load_diabetes(return_X_y=True)
X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
epochs = int(sys.argv[1])
model = {estimator}(hidden_layer_sizes=(100,), max_iter=epochs, tol=0, n_iter_no_change=epochs, random_state=0)
assert model.fit(X, y).n_iter_ == epochs
"""
THEIRS = SCRIPT.format(imports="from sklearn.neural_network import MLPRegressor", estimator="MLPRegressor")
PLAIN = """functools.partial(skbandit.BanditPrunedMLPRegressor.from_preset, "plain")"""
OURS = SCRIPT.format(imports="import functools, skbandit", estimator=PLAIN)
OURS_CACHED = SCRIPT.format(
    imports="import functools, skbandit; skbandit.enable_compilation_cache(sys.argv[2])",
    estimator=PLAIN,
)

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
        sides = {"ours": partial(run_python, OURS, epochs), "theirs": partial(run_python, THEIRS, epochs)}
        if not options.quick:
            sides["cached"] = partial(run_python, OURS_CACHED, epochs, cache)
        seconds = interleave(sides, options.repeats, warm_up=0 if options.quick else 1)
    peer = "scikit-learn's process, unpruned"
    case = f"process to fitted, {epochs} epochs"
    yield Row(f"{case}, no cache", seconds["ours"], seconds["theirs"], peer, COLD, True)
    if not options.quick:
        yield Row(f"{case}, filled cache", seconds["cached"], seconds["theirs"], peer, CACHED, True)
