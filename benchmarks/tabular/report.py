"""Tables, statistics and figures out of records: ``python -m benchmarks.tabular report FILE... --out-dir DIR``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common import datasets, records
from benchmarks.common.tables import markdown, number
from benchmarks.tabular.models import MODELS, OURS, OURS_OPTIONAL, Ours
from benchmarks.tabular.protocol import N_FOLDS, read

#: Where text and figures go, and all records in one file.
PAGE, KEPT = Path("docs/results/tabular"), records.KEPT / "tabular" / "results.jsonl"

#: What stands below the settings.
HEAD = Path(__file__).with_name("report_head.md")

CONTROLS = ("strong-8 @0.5", "default-4 @0.5")
#: Models of other libraries beside those that have been run on a few folds.
BESIDE = ("LightGBM", "CatBoost")
#: ... and ours.
OWN = (*CONTROLS, "default-1 @0.5")
#: A model with scores on fewer sets than this share of the most that any model has is left out of ranks; one that is
#: ranked gets the worst score where it has none.
ENOUGH_SETS = 0.9
#: Differences of R² or accuracy up to this do not matter, in the Bayesian test.
ROPE = 0.01
SCORE_NAMES = {"regression": "R²", "classification": "accuracy", "both": "R² or accuracy"}


class Scores(NamedTuple):
    """The scores of one task, or of both."""

    task: str
    table: pd.DataFrame
    """Sets by models; NaN where a model has none."""
    partial: pd.DataFrame
    """Whether a score is a mean over fewer repeats than others have on the set."""
    ranked: pd.DataFrame
    """The same without gaps, for ranks and tests."""
    filled: list[tuple[str, str]]
    """Set and model, where a gap got the worst score."""
    left_out: list[str]
    """Models with scores on too few sets to be ranked."""


def scores_of(frame: pd.DataFrame, task: str) -> Scores:
    """Average over folds and seeds, and decide what is ranked."""
    if task != "both":
        frame = frame[frame["task"] == task]
    order = model_order(frame["model"].unique())
    if task == "both":
        tasks = frame.groupby("model")["task"].nunique()
        order = [name for name in order if tasks[name] == 2]
        frame = frame[frame["model"].isin(order)]
    grouped = frame.pivot_table(index="data", columns="model", values="score", aggfunc=["mean", "count"], sort=False)
    table = grouped["mean"].reindex(columns=order)
    counts = grouped["count"].reindex(columns=order).fillna(0)
    partial = (counts > 0) & counts.lt(counts.max(axis=1), axis=0)
    n_sets = table.notna().sum()
    left_out = [name for name in order if n_sets[name] < ENOUGH_SETS * n_sets.max()]
    ranked = table.drop(columns=left_out).dropna(how="all")
    filled = [(data, name) for data in ranked.index for name in ranked if np.isnan(ranked.loc[data, name])]
    ranked = ranked.apply(lambda row: row.fillna(row.min()), axis=1)
    return Scores(task, table, partial, ranked, filled, left_out)


def model_order(names: Sequence[str]) -> list[str]:
    """Order standard models as in the registry, ours after them."""
    known = [*MODELS, *OURS, *OURS_OPTIONAL]
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def headline(scores: Scores) -> pd.DataFrame:
    """The standard models and our main ones: what the tests are about."""
    return scores.ranked[[name for name in scores.ranked if Ours.of(name) is None or name in CONTROLS]]


def geometric_mean(values: pd.Series) -> float:
    """Geometric mean of positive values."""
    return float(np.exp(np.log(values).mean()))


def of_one_machine(frame: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Return the machine that has run the most models, of several the one with the most records, and its records."""
    machines = frame.groupby("machine").agg(models=("model", "nunique"), n=("model", "size"))
    machine = str(machines.sort_values(["models", "n"]).index[-1])
    return machine, frame[frame["machine"] == machine]


#: What depends on the machine.
SECONDS = ("fit_seconds", "warm_seconds", "cpu_seconds", "predict_1_seconds", "predict_1000_seconds")


def costs(frame: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    """Per model, geometric means over the sets of medians over folds and seeds.

    Seconds are those of one machine (`of_one_machine`, of all sets), on the sets that all its models have.
    """
    machine, _ = of_one_machine(frame)
    frame = frame[frame["data"].isin(scores.table.index) & frame["model"].isin(scores.table.columns)].copy()
    warm = frame["fit_seconds"] - frame["compile_seconds"]
    frame["warm_seconds"] = warm.where(warm > 0)  # threads that compile at once can add up to more than the clock's
    timed = frame[frame["machine"] == machine]
    n_models = timed.groupby("data")["model"].nunique()
    timed = timed[timed["data"].isin(n_models.index[n_models == timed["model"].nunique()])]
    sizes = [name for name in ("bytes", "n_parameters") if name in frame]
    parts = [(timed, list(SECONDS)), (frame, sizes)]
    found = [
        part.groupby(["model", "data"], sort=False)[columns]
        .median()
        .groupby("model", sort=False)
        .agg(lambda v: geometric_mean(v) if v.notna().any() else np.nan)
        .reindex(scores.table.columns)
        for part, columns in parts
    ]
    return pd.concat(found, axis=1)


# ---------------------------------------------------------------------- text


def mean_ranks(table: pd.DataFrame) -> pd.Series:
    from skbandit import stats

    if table.shape[1] < 2:
        return pd.Series(1.0, index=table.columns)
    result = stats.mean_ranks(table)
    return pd.Series(result.mean_ranks, index=list(result.names))


def wins(table: pd.DataFrame) -> pd.Series:
    """On how many sets each model has the best score; equal ones share it."""
    best = table.eq(table.max(axis=1), axis=0)
    return best.div(best.sum(axis=1), axis=0).sum()


def score_table(scores: Scores) -> str:
    """Sets by models, with mean rank and wins at the bottom."""
    rows = []
    for data, row in scores.table.iterrows():
        best = row.max()
        cells = []
        for name, value in row.items():
            text = "-" if np.isnan(value) else f"{value:.3f}"
            text += "*" if scores.partial.loc[data, name] else ""
            cells.append(f"**{text}**" if value == best else text)
        rows.append([str(data), *cells])
    for title, values, form in (
        ("mean score", scores.ranked.mean(), "{:.3f}"),
        ("mean rank", mean_ranks(scores.ranked), "{:.2f}"),
        ("wins", wins(scores.ranked), "{:.3g}"),
    ):
        rows.append([title, *(form.format(values[name]) if name in values else "-" for name in scores.table)])
    return markdown(["", *scores.table.columns], rows)


def summary_table(scores: Scores, cost: pd.DataFrame) -> str:
    """Models, best rank first: ranks, scores and costs."""
    ranks, means, won = mean_ranks(scores.ranked), scores.ranked.mean(), wins(scores.ranked)
    rows = []
    for name in [*ranks.sort_values(kind="stable").index, *scores.left_out]:
        row = cost.loc[name]
        head = [f"{ranks[name]:.2f}", f"{means[name]:.3f}", f"{won[name]:.3g}"] if name in ranks else ["-"] * 3
        cells = [number(row[c]) for c in ("fit_seconds", "warm_seconds", "cpu_seconds")]
        cells += [number(1e3 * row[c]) for c in ("predict_1_seconds", "predict_1000_seconds")]
        cells += [number(row["bytes"] / 2**10), number(row.get("n_parameters", np.nan))]
        rows.append([name, *head, *cells])
    header = ["model", "mean rank", f"mean {SCORE_NAMES[scores.task]}", "wins", "fit s", "fit s, not compiling"]
    header += ["CPU s", "1 row, ms", "1 000 rows, ms", "model KiB", "parameters"]
    return markdown(header, rows)


def control_table(table: pd.DataFrame, control: str, others: Sequence[str]) -> str:
    """One control against all others: wins, effect, p-values, posterior probabilities."""
    from skbandit import stats

    table = table[[control, *others]]
    tests = stats.wilcoxon_holm(table, control=control)
    rows = []
    for j, name in enumerate(others, start=1):
        pair = table[[control, name]]
        gap = pair[control] - pair[name]
        bayes = stats.bayesian_signed_rank(pair, rope=ROPE, random_state=0)
        probabilities = [f"{p:.2f}" for p in (bayes.left[0, 1], bayes.rope[0, 1], bayes.right[0, 1])]
        tally = f"{(gap > 0).sum()} / {(gap == 0).sum()} / {(gap < 0).sum()}"
        cells = [tally, f"{gap.mean():+.4f}", f"{gap.median():+.4f}", f"{tests.rank_biserial[0, j]:+.2f}"]
        rows.append([name, *cells, f"{tests.raw_p_values[0, j]:.2g}", f"{tests.p_values[0, j]:.2g}", *probabilities])
    header = [f"{control} against", "better / equal / worse", "mean gain", "median gain", "rank-biserial", "p"]
    return markdown([*header, "p (Holm)", "P(better)", f"P(within {ROPE:g})", "P(worse)"], rows)


def statistics(scores: Scores) -> list[str]:
    """Friedman's test, and each main model of ours against the standard ones."""
    from skbandit import stats

    table = headline(scores)
    parts = []
    if min(table.shape) >= 3:
        f = stats.friedman(table)
        parts.append(f"Tests of the hypothesis that these {table.shape[1]} models are equal on the {len(table)} sets:")
        tests = [
            ["Friedman", f"χ² = {f.chi2:.1f}", f"{f.p_value:.2g}"],
            ["Iman-Davenport", f"F{f.df} = {f.f:.2f}", f"{f.f_p_value:.2g}"],
            ["Kendall's W", f"{f.kendall_w:.2f}", "-"],
        ]
        parts.append(markdown(["test", "statistic", "p"], tests))
    standard = [name for name in table if Ours.of(name) is None]
    for control in CONTROLS:
        if control in table and standard:
            parts.append(control_table(table, control, standard))
    return parts


def caveats(scores: Scores) -> list[str]:
    """What has to be known to read the numbers."""
    lines = []
    if scores.left_out:
        lines.append(f"Left out of ranks, for scores on too few of the sets: {', '.join(scores.left_out)}.")
    if scores.filled:
        pairs = ", ".join(f"{name} on {data}" for data, name in scores.filled)
        lines.append(f"No score; in ranks, means and tests the worst score on the set stands for: {pairs}.")
    if not scores.left_out and not scores.filled:
        lines.append("Every model has a score on every set.")
    if scores.partial.to_numpy().any():
        lines.append("An asterisk marks means over fewer folds and seeds than the set's other models have.")
    for names, what in (
        (
            datasets.RELATED_ROWS,
            "Sets whose rows are ordered in time, or are near-duplicates of one another, and are split at random "
            "nevertheless",
        ),
        (datasets.SCALED_BY_SOURCE, "Sets that their source has scaled, over all rows"),
    ):
        here = [name for name in scores.table.index if name in names]
        if here:
            lines.append(f"{what}: {', '.join(here)}.")
    return lines


def setting(frame: pd.DataFrame) -> str:
    """Say what was run, and what the tables hold."""
    last = frame.iloc[-1]
    versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    notes = sorted({f"{data}: {note}" for data, note in zip(frame["data"], frame["note"], strict=True) if note})
    n_seeds = frame["seed"].nunique()
    of_sets = frame.groupby("data", sort=False)["seed"].nunique()
    fewer = "; ".join(f"{n} for {data}" for data, n in of_sets[of_sets < n_seeds].items())
    owner = frame["model"].map(lambda name: "models of this package" if Ours.of(name) else "others")
    machine, there = of_one_machine(frame)
    absent = sorted(set(frame["model"]) - set(there["model"]))
    seeds = ", ".join(map(str, sorted(there["seed"].unique())))
    timed = f"of {len(there)} of {len(frame)} records, those of {machine} (seeds {seeds})" + (
        f"; not there: {', '.join(absent)}" if absent else ""
    )
    machines = [f"{who}: {', '.join(sorted(of['machine'].unique()))}" for who, of in frame.groupby(owner)]
    rows = [
        ["data", f"{frame['data'].nunique()} data sets of at most {last['max_rows']} rows"],
        ["splits", f"{N_FOLDS} shuffled folds"],
        ["seeds", f"{n_seeds}" + (f"; {fewer}" if fewer else "")],
        ["rows left out", "; ".join(notes) or "none"],
        [
            "models",
            "the defaults of their library ([`benchmarks/tabular/models.py`](../../../benchmarks/tabular/models.py) "
            "lists the exceptions); they may use all cores that the process has",
        ],
        ["machines", "; ".join(machines)],
        ["seconds and milliseconds", timed],
        ["versions (of the last record)", versions],
    ]
    settings = "\n".join(["| setting | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
    about = HEAD.read_text(encoding="utf-8").rstrip()
    first = "The estimators are compared with models of other libraries (`python -m benchmarks.tabular`)."
    return f"{first}\n\n{settings}\n\n{about}"


# ---------------------------------------------------------------------- figures


def scatter(
    scores: Scores, x: pd.Series, xlabel: str, path: Path, second: pd.Series | None = None, second_label: str = ""
) -> None:
    """Mean rank against a cost; a line leads from ``x`` to ``second`` where they differ much."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ranks = mean_ranks(scores.ranked)
    x = x.reindex(ranks.index)
    ours = np.array([Ours.of(name) is not None for name in ranks.index])
    figure, ax = plt.subplots(figsize=(9, 6), layout="constrained")
    for mask, color, label in ((~ours, "0.45", "standard models"), (ours, "#c2410c", "skbandit")):
        if mask.any():
            ax.scatter(x[mask], ranks[mask], color=color, s=34, zorder=3, label=label)
    extra: list[tuple[float, float]] = []
    if second is not None:
        second = second.reindex(ranks.index)
        far = ours & (second < 0.9 * x)
        extra = list(zip(second[far], ranks[far], strict=True))
        if extra:
            ax.scatter(second[far], ranks[far], s=34, facecolors="white", edgecolors="#c2410c", zorder=3)
            ax.scatter([], [], s=34, facecolors="white", edgecolors="#c2410c", label=second_label)
            ax.hlines(ranks[far], second[far], x[far], color="#c2410c", linewidth=0.8, zorder=2)
    ax.set_xscale("log")
    ax.set(xlabel=xlabel, ylabel=f"mean rank by {SCORE_NAMES[scores.task]} over {len(scores.ranked)} sets (1 is best)")
    ax.invert_yaxis()
    ax.margins(0.12, 0.08)
    ax.grid(alpha=0.25, which="major")
    ax.legend(loc="lower right", frameon=False, fontsize=9)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    ax.autoscale(False)  # lines that lead to names would change the limits, and with them the places
    place_labels(ax, list(zip(x, ranks, strict=True)), list(ranks.index), extra)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def place_labels(ax: Any, points: Sequence[tuple[float, float]], names: Sequence[str], others: Sequence[Any]) -> None:
    """Write each name at the nearest free place around its point; a thin line leads to one that is far off."""
    renderer = ax.figure.canvas.get_renderer()
    scale = ax.figure.dpi / 72
    pixels = ax.transData.transform(points)
    dots = np.vstack([pixels, ax.transData.transform(others)]) if len(others) else pixels
    frame, legend = ax.get_window_extent(renderer), ax.get_legend().get_window_extent(renderer)
    taken = [(x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in dots]
    taken.append((legend.x0, legend.y0, legend.x1, legend.y1))

    def overlap(box: tuple[float, ...]) -> float:
        outside = max(0, frame.x0 - box[0], box[2] - frame.x1, frame.y0 - box[1], box[3] - frame.y1)
        shared = (
            max(0, min(box[2], b[2]) - max(box[0], b[0])) * max(0, min(box[3], b[3]) - max(box[1], b[1])) for b in taken
        )
        return 1e3 * outside + sum(shared)

    def nearest_other(box: tuple[float, ...], i: int) -> float:
        """Return the distance of a box to the nearest point but its own."""
        near = np.clip(pixels, box[:2], box[2:])
        away = np.hypot(*(pixels - near).T)
        away[i] = np.inf
        return float(away.min())

    # Crowded points choose last: they have to go far in any case.
    crowd = [sum(np.abs(pixels - p).max(axis=1) < 60 * scale) for p in pixels]
    for i in np.argsort(crowd, kind="stable"):
        text = ax.text(0, 0, names[i], fontsize=8.5, color="0.1", zorder=4)
        extent = text.get_window_extent(renderer)
        width, height = extent.width, extent.height
        text.remove()
        best: tuple[float, float, tuple[float, float]] | None = None
        for distance in np.arange(7, 130, 6) * scale:
            for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
                dx, dy = np.cos(angle), np.sin(angle)
                # The box's nearest point is at the distance: its centre is farther by its half sides.
                x = pixels[i][0] + dx * distance + np.sign(np.round(dx, 6)) * width / 2 * min(1, 1.6 * abs(dx))
                y = pixels[i][1] + dy * distance + np.sign(np.round(dy, 6)) * height / 2
                box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
                # A name that is nearer to another point would be read as that one's.
                cost = overlap(box) + (1e3 if nearest_other(box, i) < 1.5 * distance else 0)
                if best is None or cost < best[0]:
                    best = (cost, distance, (x, y))
            if best is not None and best[0] == 0:
                break
        assert best is not None
        x, y = best[2]
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        taken.append((box[0] - scale, box[1] - scale, box[2] + scale, box[3] + scale))
        to_data: Callable[..., Any] = ax.transData.inverted().transform
        at = to_data((x, y))
        ax.text(*at, names[i], fontsize=8.5, color="0.1", ha="center", va="center", zorder=4)
        if best[1] > 12 * scale:
            near = np.clip(pixels[i], box[:2], box[2:])
            ends = to_data([pixels[i], near])
            ax.plot(ends[:, 0], ends[:, 1], color="0.6", linewidth=0.6, zorder=1)


def critical_difference(scores: Scores, path: Path) -> None:
    """The standard models and our main ones, joined where Wilcoxon's test finds no difference."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from skbandit.plotting import CriticalDifferenceDisplay

    display = CriticalDifferenceDisplay.from_scores(headline(scores))
    for text in display.text_:
        if Ours.of(text.get_text()) is not None:
            text.set(color="#c2410c", weight="bold")
    display.figure_.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(display.figure_)


# ---------------------------------------------------------------------- models on a few folds


def on_few_folds(frame: pd.DataFrame, files: Sequence[Path], out: Path) -> list[str]:
    """Compare models that have been run on a few folds with others on the same ones; return the text."""
    few = pd.DataFrame([record for path in files for record in read(path) if record["error"] is None])
    if few.empty:
        return []
    fold = ["data", "seed", "fold"]
    wide = frame.pivot_table(index=fold, columns="model", values="score")
    others = [name for name in (*BESIDE, *OWN) if name in wide]
    controls = [name for name in OWN if name in wide]
    rows = []
    for (name, task), own in few.groupby(["model", "task"], sort=False):
        both = own.set_index(fold)[["score", "fit_seconds", "machine"]].join(wide[others], how="inner").dropna()
        if both.empty:
            continue
        sets = both.groupby("data")[["score", *others]].mean()
        cells = [f"{sets['score'].mean():.3f}", *(f"{sets[other].mean():.3f}" for other in others)]
        for control in controls:
            gap = sets["score"] - sets[control]
            cells.append(f"{(gap > 0).sum()} / {(gap == 0).sum()} / {(gap < 0).sum()}")
        seconds, machines = number(both["fit_seconds"].median()), ", ".join(sorted(both["machine"].unique()))
        rows.append([name, task, f"{len(both)} of {len(sets)}", *cells, seconds, machines])
    head = ["model", "task", "folds, sets", "its score", *others, *(f"against {name}" for name in controls)]
    links = ", ".join(f"[{path.name}]({Path(os.path.relpath(path, out)).as_posix()})" for path in files)
    return [
        "## Models on a few folds",
        f"These take too long for all folds, and are in no table above. Scores (R² or accuracy) are means over sets, "
        f"on the same folds; *against* counts sets on which the model is better / equal / worse; seconds of a fit are "
        f"medians. Records: {links}.",
        markdown([*head, "fit s", "machine"], rows),
    ]


# ---------------------------------------------------------------------- all of it


def section(frame: pd.DataFrame, task: str, out: Path) -> list[str]:
    """Write the figures of a task and return its text."""
    scores = scores_of(frame, task)
    cost = costs(frame, scores)
    sets, name = len(scores.table), SCORE_NAMES[task]
    parts = [f"## {task.capitalize() if task != 'both' else 'Both tasks'}: {sets} sets, {name}"]
    parts += caveats(scores)
    parts += [summary_table(scores, cost)]
    if task != "both":
        parts += [score_table(scores)]
    parts += statistics(scores)
    if sets >= 2 and headline(scores).shape[1] >= 2:
        critical_difference(scores, out / f"critical_difference_{task}.png")
        parts.append(f"![critical-difference diagram](critical_difference_{task}.png)")
    if scores.ranked.shape[1] >= 2:
        warm = cost["warm_seconds"]
        scatter(
            scores,
            cost["fit_seconds"],
            "seconds of a fit",
            out / f"rank_against_fit_time_{task}.png",
            warm,
            "skbandit, not compiling",
        )
        scatter(scores, cost["bytes"] / 2**10, "KiB of the fitted model", out / f"rank_against_bytes_{task}.png")
        parts.append(f"![mean rank against fit time](rank_against_fit_time_{task}.png)")
        parts.append(f"![mean rank against model size](rank_against_bytes_{task}.png)")
    return parts


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--out-dir", type=Path, metavar="DIR", help="text and figures (default: docs/results/tabular)")
    parser.add_argument("--records", type=Path, metavar="FILE.jsonl", help=f"all records in one file (default: {KEPT})")
    parser.add_argument("--also", nargs="+", type=Path, default=[], metavar="FILE.jsonl", help="models on a few folds")
    parser.add_argument("--seeds", type=int, metavar="N", help="only the first N seeds: some models may have no more")
    args = parser.parse_args(argv)
    if args.seeds is not None and None in (args.out_dir, args.records):
        parser.error("--seeds leaves records out: say with --out-dir and --records where the report goes")
    absent = [str(path) for path in (*args.files, *args.also) if not path.exists()]
    if absent:
        parser.error(f"there is no file {', '.join(absent)}")
    args.out_dir, args.records = args.out_dir or PAGE, args.records or KEPT
    found = [r for r in read(*args.files) if args.seeds is None or r["seed"] < args.seeds]
    if not found:
        raise SystemExit("There is no record.")
    frame = pd.DataFrame(found)
    failed = frame[frame["error"].notna() & ~frame["skipped"].astype(bool)]
    good = frame[frame["error"].isna()]
    if good.empty:
        raise SystemExit("There is no record with a score.")
    if frame["max_rows"].nunique() > 1:
        raise SystemExit(f"The records are of several caps of rows: {sorted(frame['max_rows'].unique().tolist())}.")
    args.out_dir.mkdir(parents=True, exist_ok=True)
    records.write(args.records, found)
    parts = ["# Comparison with standard models", setting(good)]
    tasks = [task for task in ("regression", "classification") if (good["task"] == task).any()]
    for task in [*tasks, *(["both"] if len(tasks) == 2 else [])]:
        parts += section(good, task, args.out_dir)
    parts += on_few_folds(good, args.also, args.out_dir)
    for title, rows in (("Failed", failed), ("Not run", frame[frame["skipped"].astype(bool)])):
        if len(rows):
            counts = rows.groupby(["model", "data", "error"]).size()
            listed = [f"- {model} on {data} ({n}): {error}" for (model, data, error), n in counts.items()]
            parts += [f"## {title}", "\n".join(listed)]
    link = Path(os.path.relpath(args.records, args.out_dir)).as_posix()
    parts.append(f"Raw records: [{args.records.name}]({link}), one line for each model, set, seed and fold.")
    path = args.out_dir / "README.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
