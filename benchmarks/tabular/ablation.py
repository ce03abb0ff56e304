"""Variants of the recipe with one network, on the development sets: ``python -m benchmarks.tabular.ablation``.

That recipe was the default before docs/decisions/0023 (`earlier`).

Folds, scores and times are those of `protocol`. Variants that differ in pruning alone share one dense fit on each fold,
and the others' differences are paired: same folds, same seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common import datasets, records
from benchmarks.common.tables import markdown, number
from benchmarks.tabular import earlier, options, protocol
from benchmarks.tabular.report import mean_ranks
from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.criteria import CRITERIA
from skbandit.policies import POLICIES

OUT = records.NEW / "ablation.jsonl"


class Variant(NamedTuple):
    """A variant: overrides of a preset, and how the dense model is pruned afterwards."""

    recipe: str
    """``"plain"`` and ``"default"`` are presets of today, ``"fast"`` and ``"strong"`` the earlier ones (`earlier`)."""
    n_members: int = 1
    params: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    """Parameters of the estimator; ``pruning_ratio`` is 0 unless it stands here."""
    prune: dict[str, Any] | None = None
    """Parameters of `prune`, called on the fitted model; None leaves that as it is."""
    tasks: tuple[str, ...] = ("regression", "classification")

    @property
    def family(self) -> str:
        """What is the same for all variants that share a fit."""
        return json.dumps([self.recipe, self.n_members, self.params], sort_keys=True, default=repr)

    def build(self, task: str, seed: int) -> Any:
        """Return the unfitted estimator."""
        params = {"n_members": self.n_members, "pruning_ratio": 0, "random_state": seed} | self.params
        preset = {"plain": "plain", "default": "fast"}.get(self.recipe)
        if preset is None:
            return earlier.estimator(self.recipe, task, **params)
        cls = BanditPrunedMLPRegressor if task == "regression" else BanditPrunedMLPClassifier
        return cls.from_preset(preset, **params)


#: What each ingredient of the earlier "fast" is worth: the recipe without it, or with another in its place.
_WITHOUT: dict[str, dict[str, Any]] = {
    "batches that may be tiny": {"balanced_batches": False},
    "nothing held out, last epoch": {"early_stopping": False},
    "relu": {"activation": "relu"},
    "constant rate, 0.01": {"learning_rate": "constant", "learning_rate_init": 0.01},
    "cosine rate": {"learning_rate": "cosine"},
    "standard parametrization, rate 0.005": {"parametrization": "standard", "learning_rate_init": 0.005},
    "glorot": {"weight_init": "glorot_uniform"},
    "data-driven start": {"weight_init": "data_driven"},
    "no input scaling": {"input_scaling": False},
    "beta_2 0.999": {"beta_2": 0.999},
    "128 epochs": {"max_iter": 128},
    "296 epochs": {"max_iter": 296},  # as many more as pruning fine-tunes: the control of what pruning gains
    "two layers": {"hidden_layer_sizes": (128, 128)},
    "layers of 64": {"hidden_layer_sizes": (64, 64, 64)},  # what is left of half the units, from scratch
    "layers of 256": {"hidden_layer_sizes": (256, 256, 256)},
    "batches of 256": {"batch_size": 256},
    "periodic": {"numeric_embedding": "periodic"},
    "piecewise linear": {"numeric_embedding": "piecewise_linear"},
    "slopes": {"parametric_activation": True},
    "no dropout, no decay": {"dropout": 0.0, "alpha": 0.0},
    "no dropout": {"dropout": 0.0},
    "no decay": {"alpha": 0.0},
    "dropout 0.3": {"dropout": 0.3},
    "a tenth held out": {"validation_fraction": 0.1},
    "batches of 64": {"batch_size": 64},
    "128 epochs, a tenth held out": {"max_iter": 128, "validation_fraction": 0.1},
    "128 epochs, nothing held out": {"max_iter": 128, "early_stopping": False},
    "no decay, nothing held out": {"alpha": 0.0, "early_stopping": False},
}
#: ... and of "strong", as one network.
_STRONG_WITHOUT: dict[str, dict[str, Any]] = {
    "no embedding": {"numeric_embedding": None},
    "piecewise linear": {"numeric_embedding": "piecewise_linear"},
    "no slopes": {"parametric_activation": False},
    "no dropout, no decay": {"dropout": 0.0, "alpha": 0.0},
    "normal start": {"weight_init": "normal"},
    "layers of 256": {"hidden_layer_sizes": (256, 256, 256)},
}
#: Ways to prune one fitted network.
_PRUNINGS: dict[str, dict[str, Any]] = {
    "@0.5": {"pruning_ratio": 0.5},
    "@0.5, damages on all rows": {"pruning_ratio": 0.5, "calibration": "all"},
    "@0.5, damages on held-out rows": {"pruning_ratio": 0.5, "calibration": "held_out"},
    "@0.5, one round": {"pruning_ratio": 0.5, "n_rounds": 1},
    "@0.5, no repair": {"pruning_ratio": 0.5, "compensate": False},
    "@0.5, no fine-tuning": {"pruning_ratio": 0.5, "fine_tune_iter": 0},
    "@0.5, neither": {"pruning_ratio": 0.5, "compensate": False, "fine_tune_iter": 0},
    "@0.5, each layer": {"pruning_ratio": 0.5, "scope": "layer"},
    "@0.5, at random": {"pruning_ratio": 0.5, "policy": "random"},
    "@0.5, by magnitude": {"pruning_ratio": 0.5, "policy": "magnitude"},
    "@0.9": {"pruning_ratio": 0.9},
    "@0.9, damages on all rows": {"pruning_ratio": 0.9, "calibration": "all"},
    "@0.9, at random": {"pruning_ratio": 0.9, "policy": "random"},
    "@auto": {"pruning_ratio": "auto"},
    "@auto, damages on all rows": {"pruning_ratio": "auto", "calibration": "all"},
}

#: Ways to prune today's default: pulls, rounds, epochs after them, and what layers may lose.
_SCHEDULES: dict[str, dict[str, Any]] = {
    "2 pulls": {"budget": 2},
    "8 pulls": {"budget": 8},
    "at random": {"policy": "random"},
    "10 epochs a round": {"fine_tune_iter": 10},
    "20 epochs a round": {"fine_tune_iter": 20},
    "4 rounds": {"n_rounds": 4},
    "8 pulls, 4 rounds, 10 epochs": {"budget": 8, "n_rounds": 4, "fine_tune_iter": 10},
    "one round": {"n_rounds": 1},
    "no fine-tuning": {"fine_tune_iter": 0},
}
_SCOPES = {"": {}, ", all layers together": {"scope": "global"}, ", each layer": {"scope": "layer"}}

#: The first one that is chosen is the reference, unless ``--reference`` names another.
VARIANTS = {
    "fast": Variant("fast"),
    "plain, inputs preprocessed": Variant(
        "plain", params={"preprocessing": "auto", "categorical_features": "from_dtype"}
    ),
    **{f"fast: {name}": Variant("fast", params=params) for name, params in _WITHOUT.items()},
    "fast: no label smoothing": Variant("fast", params={"label_smoothing": 0.0}, tasks=("classification",)),
    "fast: best epoch by accuracy": Variant("fast", params={"validation_metric": "score"}, tasks=("classification",)),
    "fast: clipped predictions": Variant("fast", params={"clip_predictions": True}, tasks=("regression",)),
    "strong, 1": Variant("strong"),
    **{f"strong, 1: {name}": Variant("strong", params=params) for name, params in _STRONG_WITHOUT.items()},
    **{f"fast, {k}": Variant("fast", k) for k in (2, 4, 8)},
    "strong, 4": Variant("strong", 4),
    **{f"fast {name}": Variant("fast", prune=params) for name, params in _PRUNINGS.items()},
    **{f"fast, 4 {name}": Variant("fast", 4, prune=params) for name, params in _PRUNINGS.items()},
    "default": Variant("default", 4),
    "default, equal weights": Variant("default", 4, {"member_weights": "uniform"}),
    "default, no embedding": Variant("default", 4, {"numeric_embedding": None}),
    "default, all embed": Variant("default", 4, {"numeric_embedding": "piecewise_linear"}),
    **{
        f"default @{ratio}{name}": Variant("default", 4, prune={"pruning_ratio": ratio} | params)
        for ratio in (0.5, 0.9, "auto")
        for name, params in _SCOPES.items()
    },
    **{
        f"default @{ratio}{scope}, {name}": Variant("default", 4, prune={"pruning_ratio": ratio} | params | how)
        for ratio in (0.5, 0.9)
        for scope, how in _SCOPES.items()
        for name, params in _SCHEDULES.items()
    },
    # Every policy and criterion, in the same network.
    **{
        f"fast @{ratio}, {name}": Variant("fast", prune={"pruning_ratio": ratio, "policy": name})
        for ratio in (0.5, 0.9)
        for name in (*POLICIES, *CRITERIA)
    },
}


#: What stands above the tables of the page.
HEAD = Path(__file__).with_name("ablation_head.md")


def families(names: Sequence[str], task: str) -> dict[str, list[str]]:
    """Group the variants that a task has by what is fitted together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        if task in VARIANTS[name].tasks:
            groups.setdefault(VARIANTS[name].family, []).append(name)
    return groups


def fit(names: Sequence[str], task: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Iterator[protocol.Fitted]:
    """Fit the variants of one family."""
    prunings = {name: VARIANTS[name].prune for name in names}
    yield from protocol.prune_all(prunings, VARIANTS[names[0]], task, X, y, seed)


def summary(frame: pd.DataFrame, names: Sequence[str], reference: str) -> pd.DataFrame:
    """Per variant, over the sets on which all of them have a score.

    The change of the error (1 - R² or 1 - accuracy) is relative to the reference's on the same set, both of them means
    over folds and seeds that all variants have; its geometric mean over the sets comes with its standard error. (In an
    arithmetic mean, one set that the reference predicts almost without an error outweighs all others.)
    """
    frame = frame[frame["model"].isin(names)]
    repeats = frame.pivot_table(index=["data", "seed", "fold"], columns="model", values="score", sort=False)
    repeats = repeats.reindex(columns=list(names)).dropna()
    scores = repeats.groupby("data", sort=False).mean()
    if scores.empty:
        return pd.DataFrame()
    error = 1 - scores
    # A set that is predicted without an error has no relative change.
    error = error[(error > 0).all(axis=1)]
    change = np.log(error).sub(np.log(error[reference]), axis=0)
    warm = frame.assign(warm=frame["fit_seconds"] - frame["compile_seconds"])
    warm = warm.set_index(["data", "seed", "fold"]).loc[repeats.index]
    by_model = warm.groupby("model")
    table = pd.DataFrame(
        {
            "mean rank": mean_ranks(scores) if len(names) > 1 else 1.0,
            "mean score": scores.mean(),
            "error change %": 100 * np.expm1(change.mean()),
            "± s.e.": 100 * change.std(ddof=1) / np.sqrt(len(change)),
            "median %": 100 * np.expm1(change.median()),
            "better on": (change < 0).sum(),
            "of sets": len(change),
            "fit s": by_model["fit_seconds"].mean(),
            "not compiling": by_model["warm"].mean(),
        }
    )
    return table.reindex(list(names))


def show(path: Path, names: Sequence[str], reference: str, sets: dict[str, str], max_rows: int) -> list[str]:
    """Print a table for each task and one for both, of what the file has on these sets; return them in Markdown."""
    texts = []
    frame = pd.DataFrame(protocol.read(path))
    frame = frame[frame["data"].isin(sets) & (frame["max_rows"] == max_rows)]
    failed = frame[frame["error"].notna() & frame["model"].isin(names)]
    for (name, error), rows in failed.groupby(["model", "error"]):
        print(f"FAILED {name} ({len(rows)} times): {error}")
    frame = frame[frame["error"].isna()]
    for title, part in [*frame.groupby("task"), ("both", frame)]:
        if frame["task"].nunique() < 2 and title == "both":
            continue
        tasks = set(part["task"])
        shared = [name for name in names if tasks <= set(VARIANTS[name].tasks)]
        table = summary(part, shared, reference)
        print(f"\n{title}, against {reference}")
        print("no set has all variants" if table.empty else table.round(3).to_string())
        if not table.empty:
            seeds, folds = (part.loc[part["model"] == reference, key].nunique() for key in ("seed", "fold"))
            head = f"## {title.capitalize()}, against `{reference}`: {part['data'].nunique()} sets, "
            cells = [[str(name), *(number(round(float(value), 3)) for value in row)] for name, row in table.iterrows()]
            texts += [head + f"{seeds} seed(s), {folds} fold(s)", markdown(["variant", *table.columns], cells)]
    return texts


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular.ablation", description=__doc__)
    parser.add_argument("--variants", nargs="+", metavar="NAME", help=f"of: {', '.join(VARIANTS)} (default: all)")
    parser.add_argument("--reference", metavar="NAME", help="what the others are compared with (default: the first)")
    parser.add_argument("--report-sets", action="store_true", help="on the sets that defaults are not to be chosen on")
    parser.add_argument("--table", action="store_true", help="fit nothing, print the tables of what is there")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write the tables there, too")
    options.add_run_options(parser, OUT)
    args = parser.parse_args(argv)
    names = args.variants or list(VARIANTS)
    reference = args.reference or names[0]
    unknown = [name for name in [*names, reference] if name not in VARIANTS]
    if unknown:
        raise SystemExit(f"No variant {', '.join(unknown)}. There are: {', '.join(VARIANTS)}.")
    names = list(dict.fromkeys([reference, *names]))
    sets = options.tasks_of(args.sets, datasets.REPORT if args.report_sets else datasets.DEVELOPMENT)
    if not args.table:
        if not datasets.available():
            raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
        work = protocol.Work(lambda task: families(names, task), fit)
        protocol.run(work, options.plan_of(args, sets))
    texts = show(args.out, names, reference, sets, args.max_rows)
    if args.markdown is not None:
        about = HEAD.read_text(encoding="utf-8").rstrip().replace("{out}", str(args.out))
        args.markdown.write_text("\n\n".join(["# Ablation", about, *texts]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
