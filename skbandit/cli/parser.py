"""What may be written after ``python -m skbandit``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

EPILOG = """\
the CSV file
  UTF-8, plain or gzip-compressed (.gz), the first row names the columns; comma, semicolon, tab or | between the fields.
  Numbers have a decimal point; with --decimal , they have a comma, and nothing groups their thousands.
  A column is numeric if all its values are numbers (or all are true/false), otherwise it is text. Missing: an empty
  field, ?, NA, N/A, #N/A, <NA>, NaN, null or None, in upper or lower case. Rows without a target are left out.

what becomes of the columns
  skbandit's network takes them as they are, with its default preprocessing: numbers are centred, scaled and clipped, a
  missing one becomes the median, and an indicator says so; text is a category, which may be missing or new.
  scikit-learn's estimators get them through a pipeline. Numbers: median imputation with an indicator where some are
  missing, then StandardScaler. Text: OneHotEncoder, where a missing value is a category, and rare categories share one
  column.

the file that --out writes
  A pickled BanditPrunedMLPClassifier or BanditPrunedMLPRegressor: the pruned network, with its preprocessing. It
  predicts from a 2-D object array with the file's columns in the file's order, without the target; numbers as numbers,
  text as str, NaN where missing:
      model = pickle.load(open("model.pkl", "rb")); model.predict(frame.drop(columns="price").to_numpy(dtype=object))

examples
  python -m skbandit
  python -m skbandit --dataset diabetes
  python -m skbandit houses.csv --target price --out model.pkl --ratio 0.7
"""


def pruning_ratio(text: str) -> float | str:
    """Read ``--ratio``: a share in [0, 1), or ``auto``."""
    if text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number in [0, 1) nor 'auto'")
    return value


def positive(text: str) -> float:
    """Read a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def random_seed(text: str) -> int:
    """Read a seed as NumPy takes them."""
    if not (text.isdecimal() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer in [0, 2**32)")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m skbandit",
        description="Trains a neural network on three quarters of the rows, prunes it with a multi-armed bandit, and "
        "prints one table that compares it, on the other quarter, with the unpruned network and with scikit-learn's "
        "estimators. All have their default parameters but for the options below.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_argument_group("data (scikit-learn's bundled digits if nothing is given)")
    source.add_argument("csv", nargs="?", type=Path, help="a CSV file; needs --target")
    source.add_argument("--target", metavar="COLUMN", help="the column to predict")
    source.add_argument(
        "--dataset",
        choices=["diabetes", "digits", "breast_cancer", "wine"],
        help="one of scikit-learn's bundled data sets, instead of a file",
    )
    source.add_argument(
        "--task",
        choices=["auto", "regression", "classification"],
        default="auto",
        help="auto: classification if the target is text or has at most 20 distinct values, all integers",
    )
    source.add_argument(
        "--decimal",
        choices=[".", ","],
        default=".",
        help="what stands before the fraction of a number in the file (default: %(default)s)",
    )
    model = parser.add_argument_group("model")
    model.add_argument("--policy", default="ucb1", help="who chooses the units to remove (default: %(default)s)")
    model.add_argument(
        "--budget",
        type=positive,
        default=4.0,
        help="mean number of pulls (trial removals) per hidden unit (default: %(default)g)",
    )
    model.add_argument(
        "--ratio",
        type=pruning_ratio,
        default=0.5,
        help="share of the hidden units to remove, or 'auto': as many as the held-out loss allows (default: 0.5)",
    )
    model.add_argument("--seed", type=random_seed, default=0, help="random_state of everything (default: %(default)s)")
    model.add_argument("--out", type=Path, metavar="FILE", help="write the pruned model to this file (see below)")
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments of the process, or ``argv``; exit with 2 if they are wrong."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.csv is not None and args.dataset is not None:
        parser.error("a CSV file and --dataset exclude each other")
    if args.csv is None and (args.target is not None or args.task != "auto" or args.decimal != "."):
        parser.error("--target, --task and --decimal belong to a CSV file, and none is given")
    return args
