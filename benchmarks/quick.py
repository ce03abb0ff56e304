"""A little of everything: shows that the benchmarks run, on data that scikit-learn brings. Not for quoting."""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from benchmarks import pruning_quality
from benchmarks.common import datasets
from benchmarks.selection import networks, simulation
from benchmarks.speed import __main__ as speed
from benchmarks.tabular import __main__ as tabular


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    start = time.perf_counter()
    frame = load_digits(as_frame=True)
    data = datasets.DataSet("digits", "classification", frame.data, frame.target.to_numpy())
    for record in pruning_quality.one_run(data, seed=0):
        print("{data:10s} {model:18s} score {score:.4f}  units {units:3d}  {seconds:.2f} s".format(**record))
    tabular.quick()
    speed.main(["--quick"])
    with tempfile.TemporaryDirectory() as folder:
        simulation.main(["--policies", "uniform", "racing", "--seeds", "1", "--out", str(Path(folder, "simulation"))])
        if datasets.available():
            few = ["--policies", "racing", "obs", "--sets", "concrete_strength", "--seeds", "1"]
            networks.main([*few, "--out", str(Path(folder, "networks"))])
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
