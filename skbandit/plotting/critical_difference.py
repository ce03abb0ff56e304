"""Displays in scikit-learn's style: made by a class method, drawn by ``plot``, with the artists as attributes.

Matplotlib is imported when something is drawn: ``pip install 'skbandit[plot]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skbandit import stats

# Heights, in rows of labels: how far one row, crossbar or caption is below the one before it.
ROW = 1.0
CROSSBAR = 0.42
TICK = 0.22
# From the axis' ends to the labels, as a share of its length.
MARGIN = 0.09


class CriticalDifferenceDisplay:
    """A critical-difference diagram: mean ranks on an axis, crossbars over methods that a test does not tell apart.

    The best mean rank is on the left. Use `from_scores` to make one from a table of scores. Two methods without a
    common crossbar need not differ, where the test is not one of mean ranks: see `skbandit.stats.cliques`.

    Parameters
    ----------
    mean_ranks : array-like (n_methods,)
        Mean ranks, 1 to n_methods.
    names : sequence of str
        The methods' names.
    cliques : sequence of sequences of int
        The columns of each group that gets a crossbar, as from `skbandit.stats.cliques`.
    critical_difference : float, optional
        Drawn as a bar above the axis.
    caption : str
        What the crossbars mean; drawn above the axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes drawn into; its x axis is the mean rank.
    figure_ : matplotlib.figure.Figure
        Their figure.
    text_ : list of matplotlib.text.Text
        The methods' labels, in the order of ``names``.
    rank_text_ : list of matplotlib.text.Text
        The mean ranks beside them.
    line_ : list of matplotlib.lines.Line2D
        The lines from the axis to the labels, in the same order.
    crossbar_ : list of matplotlib.lines.Line2D
        One for each clique.
    critical_difference_ : matplotlib.lines.Line2D or None
        The bar above the axis.
    caption_ : matplotlib.text.Text
        The caption.

    References
    ----------
    J. Demšar. Statistical comparisons of classifiers over multiple data sets. JMLR 7, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skbandit import CriticalDifferenceDisplay
    >>> scores = np.random.default_rng(0).normal([0.0, 0.2, 2.0], size=(12, 3))
    >>> display = CriticalDifferenceDisplay.from_scores(scores, names=["a", "b", "c"])  # doctest: +SKIP
    >>> display.figure_.savefig("ranks.svg")  # doctest: +SKIP
    """

    def __init__(
        self,
        mean_ranks: ArrayLike,
        *,
        names: Sequence[str],
        cliques: Sequence[Sequence[int]] = (),
        critical_difference: float | None = None,
        caption: str = "",
    ) -> None:
        self.mean_ranks = mean_ranks
        self.names = names
        self.cliques = cliques
        self.critical_difference = critical_difference
        self.caption = caption

    @classmethod
    def from_scores(
        cls,
        scores: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        higher_is_better: bool = True,
        decimals: int | None = None,
        test: str = "wilcoxon-holm",
        alpha: float = 0.05,
        ax: Any = None,
        **options: Any,
    ) -> CriticalDifferenceDisplay:
        """Rank methods over data sets, test all pairs, and draw.

        Parameters
        ----------
        scores : array-like (n_data_sets, n_methods)
            Scores, or a data frame whose columns are the methods.
        names : sequence of str, optional
            The methods' names; a data frame's columns by default.
        higher_is_better : bool
            Whether the highest score gets rank 1; otherwise the lowest.
        decimals : int, optional
            Round the scores to so many decimals first.
        test : {"wilcoxon-holm", "nemenyi"}
            What the crossbars go by: `skbandit.stats.wilcoxon_holm`, or `skbandit.stats.nemenyi`, whose critical
            difference is drawn, too.
        alpha : float
            The family-wise error rate.
        ax : matplotlib.axes.Axes, optional
            Axes to draw into; a new figure by default.
        **options
            Passed to `plot`.

        Returns
        -------
        CriticalDifferenceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        ImportError
            If Matplotlib is not installed.
        """
        if test not in ("wilcoxon-holm", "nemenyi"):
            raise ValueError(f"The 'test' parameter must be 'wilcoxon-holm' or 'nemenyi'. Got {test!r} instead.")
        if not 0 < alpha < 1:
            raise ValueError(f"The 'alpha' parameter must be in the range (0, 1). Got {alpha!r} instead.")
        how: dict[str, Any] = {"higher_is_better": higher_is_better, "names": names, "decimals": decimals}
        ranks = stats.mean_ranks(scores, **how)
        difference = None
        if test == "nemenyi":
            result = stats.nemenyi(scores, alpha=alpha, **how)
            p_values, difference = result.p_values, result.critical_difference
            caption = f"critical difference {difference:.2f} (Nemenyi, level {alpha:g})"
        else:
            p_values = stats.wilcoxon_holm(scores, **how).p_values
            caption = f"joined: no significant difference (Wilcoxon, Holm, level {alpha:g})"
        cliques = stats.cliques(ranks.mean_ranks, p_values, alpha=alpha)
        display = cls(
            ranks.mean_ranks, names=ranks.names, cliques=cliques, critical_difference=difference, caption=caption
        )
        return display.plot(ax=ax, **options)

    def plot(
        self, ax: Any = None, *, width: float = 5.5, crossbar_kw: dict | None = None, text_kw: dict | None = None
    ) -> CriticalDifferenceDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw into, the labels on either side of them; by default a new figure, of a size that all fits in.
        width : float
            The new figure's width in inches, without the labels.
        crossbar_kw, text_kw : dict, optional
            Properties of the crossbars (`matplotlib.lines.Line2D`) and of the labels (`matplotlib.text.Text`).

        Returns
        -------
        CriticalDifferenceDisplay
            The display itself.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError("Displays need Matplotlib: pip install 'skbandit[plot]'") from error
        mean = np.asarray(self.mean_ranks, dtype=float)
        k = mean.size
        levels = _levels([(mean[list(c)].min(), mean[list(c)].max()) for c in self.cliques], gap=0.02 * k)
        first_row = 0.9 + CROSSBAR * (max(levels, default=-1) + 1)
        bottom = first_row + ROW * ((k + 1) // 2 - 1) + 0.6
        top = -2.7 if self.critical_difference is not None else -2.1
        if ax is None:
            # A row has 17 points; a character of 10 points is some 6 wide, and those of both sides add up.
            longest = sum(max((len(self.names[j]) for j in side), default=0) for side in self._sides(mean))
            size = (width + 6 / 72 * longest, 17 / 72 * (bottom - top))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        # Lines end at the edges of the axes, with room for a mean rank above them at rank 1 and at rank k; labels stand
        # outside at a distance in points. So the layout engine knows what room to leave.
        margin = MARGIN * (k - 1)
        ax.set(xlim=(1 - margin, k + margin), ylim=(bottom, top))
        ax.set_axis_off()
        self._draw_axis(k)
        self._draw_caption(k)
        self._draw_labels(mean, first_row, text_kw or {})
        style = {"color": "#c2410c", "linewidth": 4, "solid_capstyle": "round", "zorder": 3, **(crossbar_kw or {})}
        self.crossbar_ = []
        for clique, level in zip(self.cliques, levels, strict=True):
            members = mean[list(clique)]
            height = 0.55 + CROSSBAR * level
            self.crossbar_ += ax.plot([members.min(), members.max()], [height, height], clip_on=False, **style)
        return self

    @staticmethod
    def _sides(mean: np.ndarray) -> tuple[list[int], list[int]]:
        """Return the methods of the left and of the right side, from the first row down: the outermost is first."""
        order = np.argsort(mean, kind="stable").tolist()
        half = (len(order) + 1) // 2
        return order[:half], order[half:][::-1]

    def _draw_axis(self, k: int) -> None:
        """Draw the rank axis at height 0, with its ticks and their numbers above it."""
        ax = self.ax_
        ax.plot([1, k], [0, 0], color="0.15", linewidth=1.2, solid_capstyle="projecting", clip_on=False)
        # Numbers at every rank, or at equal steps that end at k where there are such.
        step = 1 if k <= 15 else next((step for step in (2, 3) if (k - 1) % step == 0), 2)
        for rank in range(1, k + 1):
            major = (rank - 1) % step == 0
            length = TICK if major else 0.6 * TICK
            ax.plot([rank, rank], [0, -length], color="0.15", linewidth=1.0, clip_on=False)
            if major:
                ax.text(rank, -1.6 * TICK, str(rank), ha="center", va="bottom", fontsize=9, color="0.15")

    def _draw_caption(self, k: int) -> None:
        """Draw the critical difference, from rank 1 on, and the caption above it."""
        ax = self.ax_
        self.critical_difference_ = None
        if self.critical_difference is not None:
            end = 1 + self.critical_difference
            xs, ys = [1, 1, 1, end, end, end], [-1.45, -1.75, -1.6, -1.6, -1.45, -1.75]
            (self.critical_difference_,) = ax.plot(xs, ys, color="0.15", linewidth=1.2, clip_on=False)
        height = -1.5 if self.critical_difference is None else -1.95
        self.caption_ = ax.text(1, height, self.caption, ha="left", va="bottom", fontsize=8.5, color="0.35")

    def _draw_labels(self, mean: np.ndarray, first_row: float, text_kw: dict) -> None:
        """Draw an elbow from each mean rank to its label. The outermost has the first row, so that none crosses."""
        ax, k = self.ax_, mean.size
        self.text_, self.rank_text_, self.line_ = [None] * k, [None] * k, [None] * k
        left, right = self._sides(mean)
        for method in left + right:
            on_left = method in left
            height = first_row + ROW * (left if on_left else right).index(method)
            end = ax.get_xlim()[0 if on_left else 1]
            side, other = ("left", "right") if on_left else ("right", "left")
            xs, ys = [mean[method], mean[method], end], [0, height, height]
            (self.line_[method],) = ax.plot(xs, ys, color="0.55", linewidth=0.9, clip_on=False, zorder=1)
            self.rank_text_[method] = ax.annotate(
                f"{mean[method]:.2f}",
                (end, height),
                xytext=(1 if on_left else -1, 1.5),
                textcoords="offset points",
                annotation_clip=False,
                ha=side,
                va="bottom",
                fontsize=7,
                color="0.4",
            )
            label = {"fontsize": 10, "color": "0.05", **text_kw}
            self.text_[method] = ax.annotate(
                self.names[method],
                (end, height),
                xytext=(-4 if on_left else 4, 0),
                textcoords="offset points",
                annotation_clip=False,
                ha=other,
                va="center_baseline",
                **label,
            )


def _levels(spans: Sequence[tuple[float, float]], gap: float) -> list[int]:
    """Return a level for each span, so that spans on the same level are at least ``gap`` apart; few levels in all."""
    ends: list[float] = []
    levels = [0] * len(spans)
    for i in sorted(range(len(spans)), key=lambda i: spans[i]):
        low, high = spans[i]
        free = [level for level, end in enumerate(ends) if low - end >= gap]
        levels[i] = free[0] if free else len(ends)
        if not free:
            ends.append(high)
        ends[levels[i]] = high
    return levels
