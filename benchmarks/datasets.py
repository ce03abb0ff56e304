"""Data sets: public tabular sets from a folder beside the checkout, or scikit-learn's bundled ones.

The folder holds an ``INDEX.csv``; its place is ``SKBANDIT_DATA`` or ``../shared/data`` from the top of the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FOLDER = Path(os.environ.get("SKBANDIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

#: Defaults were chosen on these and are never reported on them ...
DEVELOPMENT = {
    "regression": ("wine_quality_red", "energy_heating", "abalone", "puma32H"),
    "classification": ("steel_plates", "sylvine", "yeast", "cardiotocography"),
}
#: ... but on these.
REPORT = {
    "regression": ("concrete_strength", "airfoil_self_noise", "kin8nm", "california_housing"),
    "classification": ("phoneme", "satimage", "spambase", "optdigits"),
}


class DataSet(NamedTuple):
    """Raw columns and target."""

    name: str
    task: str
    X: pd.DataFrame
    y: np.ndarray


def available() -> bool:
    """Whether the folder of public sets is there."""
    return (FOLDER / "INDEX.csv").exists()


def load(name: str, max_rows: int | None = None) -> DataSet:
    """Read a public set; with ``max_rows``, a fixed random subset of its rows."""
    index = pd.read_csv(FOLDER / "INDEX.csv", keep_default_na=False).set_index("name").loc[name]
    strings = [c for c in str(index["categorical_columns"]).split("|") if c]
    frame = pd.read_csv(
        FOLDER / index["file"], keep_default_na=False, na_values=[""], dtype=dict.fromkeys(strings, "object")
    )
    if max_rows is not None and len(frame) > max_rows:
        frame = frame.sample(max_rows, random_state=0)
    y = frame.pop("target").to_numpy()
    task = str(index["category"])
    return DataSet(name, task, frame, y.astype(float) if task == "regression" else y)


def preprocessing():
    """Impute, scale numbers, one-hot strings: the same for every model of a comparison."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    strings = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False, min_frequency=5),
    )
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (strings, make_column_selector(dtype_exclude="number")),
    )
