"""The critical-difference diagram, in the style of scikit-learn's displays.

A class method makes the display, ``plot`` draws it, and the artists are its attributes.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skbandit import stats
from skbandit.plotting import style
from skbandit.plotting.style import CROSSBAR, ROW, TICK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation, Text


class CriticalDifferenceDisplay:
    """A critical-difference diagram: mean ranks on an axis, crossbars over methods that a test does not tell apart.

    The best mean rank is on the left. `from_scores` makes a display from a table of scores. Two methods without a
    common crossbar need not differ, unless the test is one of mean ranks: see `skbandit.stats.cliques`.

    Parameters
    ----------
    mean_ranks : array-like of shape (n_methods,)
        Mean ranks, 1 to n_methods.
    names : sequence of str
        The methods' names.
    cliques : sequence of sequences of int, default=()
        The methods of each group that gets a crossbar, as from `skbandit.stats.cliques`.
    critical_difference : float, default=None
        In ranks; drawn as a bar above the axis.
    caption : str, default=""
        What the crossbars mean; drawn above the axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes drawn into; its x axis is the mean rank.
    figure_ : matplotlib.figure.Figure or SubFigure
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
    >>> from skbandit import CriticalDifferenceDisplay
    >>> display = CriticalDifferenceDisplay([1.4, 1.6, 3.0], names=["a", "b", "c"], cliques=[(0, 1)])
    >>> display.plot().figure_.savefig("ranks.svg")  # doctest: +SKIP
    """

    ax_: Axes
    figure_: Figure | SubFigure
    text_: list[Annotation]
    rank_text_: list[Annotation]
    line_: list[Line2D]
    crossbar_: list[Line2D]
    critical_difference_: Line2D | None
    caption_: Text

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
        ax: Axes | None = None,
        **options: Any,
    ) -> CriticalDifferenceDisplay:
        """Rank methods over data sets, test all pairs, and draw.

        Parameters
        ----------
        scores : array-like of shape (n_data_sets, n_methods)
            One finite number for each data set and method, or a data frame of them whose columns are the methods.
        names : sequence of str, default=None
            The methods' names. None: the columns of a data frame, or "method 0", "method 1" and so on.
        higher_is_better : bool, default=True
            Whether the highest score gets rank 1; otherwise the lowest.
        decimals : int, default=None
            Round the scores to this number of decimals first. That makes ties, and should be reported with the result.
        test : {"wilcoxon-holm", "nemenyi"}, default="wilcoxon-holm"
            The test that the crossbars show: `skbandit.stats.wilcoxon_holm`; or `skbandit.stats.nemenyi`, whose
            critical difference is drawn, too.
        alpha : float, default=0.05
            The family-wise error rate.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw into; None for those of a new figure.
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

        Examples
        --------
        >>> import numpy as np
        >>> from skbandit import CriticalDifferenceDisplay
        >>> scores = np.random.default_rng(0).normal([0.0, 0.2, 2.0], size=(12, 3))
        >>> display = CriticalDifferenceDisplay.from_scores(scores, names=["a", "b", "c"])  # doctest: +SKIP
        >>> display.cliques  # doctest: +SKIP
        [(0, 1)]
        """
        if not isinstance(test, str) or test not in ("wilcoxon-holm", "nemenyi"):
            raise ValueError(f"The 'test' parameter must be 'wilcoxon-holm' or 'nemenyi'. Got {_shown(test)} instead.")
        if not _is_number(alpha) or not 0 < alpha < 1:
            raise ValueError(f"The 'alpha' parameter must be in the range (0, 1). Got {_shown(alpha)} instead.")
        alpha = float(alpha)
        _check_options(ax=ax, **options)
        how: dict[str, Any] = {"higher_is_better": higher_is_better, "names": names, "decimals": decimals}
        ranks = stats.mean_ranks(scores, **how)
        difference: float | None = None
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
        self,
        ax: Axes | None = None,
        *,
        width: float = 5.5,
        crossbar_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> CriticalDifferenceDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw into, with the labels on either side of them. None: those of a new figure, whose height follows
            from the number of methods.
        width : float, default=5.5
            The new figure's width in inches, without the labels.
        crossbar_kw : dict, default=None
            Properties of the crossbars (`matplotlib.lines.Line2D`).
        text_kw : dict, default=None
            Properties of the labels (`matplotlib.text.Text`).

        Returns
        -------
        CriticalDifferenceDisplay
            The display itself.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.

        Examples
        --------
        >>> from skbandit import CriticalDifferenceDisplay
        >>> display = CriticalDifferenceDisplay([1.25, 1.75], names=["a", "b"], caption="ten data sets")
        >>> display.plot(width=4, text_kw={"fontsize": 8}).figure_.savefig("ranks.pdf")  # doctest: +SKIP
        """
        _check_options(ax=ax, width=width, crossbar_kw=crossbar_kw, text_kw=text_kw)
        mean, names = self._checked()
        k = mean.size
        spans = [(mean[list(clique)].min(), mean[list(clique)].max()) for clique in self.cliques]
        levels = style.levels(spans, gap=0.02 * k)
        first_row = 0.9 + CROSSBAR * (max(levels, default=-1) + 1)
        bottom = first_row + ROW * ((k + 1) // 2 - 1) + 0.6
        top = -2.7 if self.critical_difference is not None else -2.1
        if ax is None:
            # The longest labels of both sides add up.
            longest = sum(max((len(names[j]) for j in side), default=0) for side in _sides(mean))
            ax = style.new_axes(width + style.CHARACTER_INCHES * longest, style.ROW_INCHES * (bottom - top))
        self.ax_, self.figure_ = ax, ax.figure
        # Lines end at the edges of the axes, with room for a mean rank above them at rank 1 and at rank k; labels stand
        # outside at a distance in points. So the layout engine knows what room to leave.
        margin = style.MARGIN * (k - 1)
        ax.set(xlim=(1 - margin, k + margin), ylim=(bottom, top))
        ax.set_axis_off()
        self._draw_axis(k)
        self._draw_caption()
        self._draw_labels(mean, names, first_row, text_kw or {})
        self.crossbar_ = []
        for (low, high), level in zip(spans, levels, strict=True):
            height = 0.55 + CROSSBAR * level
            properties = {**style.CROSSBAR_LINE, **(crossbar_kw or {})}
            with _known_properties("crossbar_kw"):
                self.crossbar_ += ax.plot([low, high], [height, height], **properties)
        return self

    def _checked(self) -> tuple[NDArray[np.float64], list[str]]:
        """Return the mean ranks and names; raise ValueError for a parameter of the constructor that cannot be drawn."""
        try:
            mean = np.asarray([float(rank) if _is_number(rank) else np.nan for rank in np.ravel(self.mean_ranks)])
            shape = np.shape(self.mean_ranks)
        except Exception:  # lists of several lengths, and others that cannot be arrays
            mean, shape = np.empty(0), ()
        k = mean.size
        _require(
            "mean_ranks",
            self.mean_ranks,
            # Ranks of a table are not above their number; room for rounding.
            shape == (k,) and k >= 1 and bool(((mean >= 1 - 1e-6) & (mean <= k + 1e-6)).all()),
            "a vector of numbers from 1 to their number",
        )
        names = _as_list(self.names)
        _require(
            "names",
            self.names,
            names is not None and len(names) == k and all(isinstance(name, str) for name in names),
            f"{k} strings",
        )
        cliques = _as_list(self.cliques)
        _require(
            "cliques",
            self.cliques,
            cliques is not None and all(map(functools.partial(_is_clique, k=k), cliques)),
            f"sequences of numbers of methods, 0 to {k - 1}",
        )
        difference = self.critical_difference
        _require(
            "critical_difference",
            difference,
            difference is None or (_is_number(difference) and 0 <= float(difference) < 1e6),
            "a number of ranks, or None",
        )
        _require("caption", self.caption, isinstance(self.caption, str), "a string")
        return mean, names or []

    def _draw_axis(self, k: int) -> None:
        """Draw the rank axis at height 0, with its ticks and their numbers above it."""
        ax = self.ax_
        ax.plot([1, k], [0, 0], solid_capstyle="projecting", **style.AXIS_LINE)
        # Numbers at every rank, or at equal steps that end at k where there are such.
        step = 1 if k <= 15 else next((step for step in (2, 3) if (k - 1) % step == 0), 2)
        for rank in range(1, k + 1):
            major = (rank - 1) % step == 0
            length = TICK if major else 0.6 * TICK
            ax.plot([rank, rank], [0, -length], **style.TICK_LINE)
            if major:
                ax.text(rank, -1.6 * TICK, str(rank), ha="center", va="bottom", **style.TICK_TEXT)

    def _draw_caption(self) -> None:
        """Draw the critical difference, from rank 1 on, and the caption above it."""
        ax = self.ax_
        self.critical_difference_ = None
        if self.critical_difference is not None:
            end = 1 + float(self.critical_difference)
            xs, ys = [1, 1, 1, end, end, end], [-1.45, -1.75, -1.6, -1.6, -1.45, -1.75]
            (self.critical_difference_,) = ax.plot(xs, ys, **style.AXIS_LINE)
        height = -1.5 if self.critical_difference is None else -1.95
        self.caption_ = ax.text(1, height, self.caption, ha="left", va="bottom", **style.CAPTION_TEXT)

    def _draw_labels(
        self, mean: NDArray[np.float64], names: list[str], first_row: float, text_kw: dict[str, Any]
    ) -> None:
        """Draw an elbow from each mean rank to its label. The outermost has the first row, so that none crosses."""
        ax = self.ax_
        left, right = _sides(mean)
        artists: dict[int, tuple[Annotation, Annotation, Line2D]] = {}
        for method in left + right:
            on_left = method in left
            height = first_row + ROW * (left if on_left else right).index(method)
            end = ax.get_xlim()[0 if on_left else 1]
            side, other, outwards = ("left", "right", -1) if on_left else ("right", "left", 1)
            place: dict[str, Any] = {"xy": (end, height), "textcoords": "offset points", "annotation_clip": False}
            number: dict[str, Any] = {"ha": side, "va": "bottom", **style.NUMBER_TEXT}
            label: dict[str, Any] = {"ha": other, "va": "center_baseline", **style.LABEL_TEXT, **text_kw}
            (line,) = ax.plot([mean[method], mean[method], end], [0, height, height], **style.ELBOW_LINE)
            rank_text = ax.annotate(f"{mean[method]:.2f}", xytext=(-outwards, 1.5), **place, **number)
            with _known_properties("text_kw"):
                text = ax.annotate(names[method], xytext=(4 * outwards, 0), **place, **label)
            artists[method] = text, rank_text, line
        in_order = [artists[method] for method in range(mean.size)]
        self.text_ = [text for text, _, _ in in_order]
        self.rank_text_ = [rank_text for _, rank_text, _ in in_order]
        self.line_ = [line for _, _, line in in_order]


def _require(name: str, value: Any, valid: bool, allowed: str) -> None:
    if not valid:
        raise ValueError(
            f"The {name!r} parameter of CriticalDifferenceDisplay must be {allowed}. Got {_shown(value)} instead."
        )


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.400}"
    except Exception:  # an int of more digits than Python prints, an object of a user's
        return f"a {type(value).__name__}"


@contextlib.contextmanager
def _known_properties(name: str) -> Iterator[None]:
    """Name the parameter that holds a property that Matplotlib does not know, or a value that it cannot take."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"The {name!r} parameter of CriticalDifferenceDisplay must hold properties of Matplotlib: {error}"
        ) from error


def _check_options(
    ax: Any = None, width: Any = 5.5, crossbar_kw: Any = None, text_kw: Any = None, **unknown: Any
) -> None:
    """Raise for what `plot` cannot take, before any test is computed and any figure made."""
    if unknown:
        raise TypeError(f"CriticalDifferenceDisplay.plot has no parameters {sorted(unknown)}.")
    _require("ax", ax, ax is None or hasattr(ax, "transAxes"), "a Matplotlib axes, or None")
    # Matplotlib's own limit is 2^16 pixels in each direction.
    _require("width", width, _is_number(width) and 0 < width <= 500, "a number of inches, above 0 and up to 500")
    for name, properties in (("crossbar_kw", crossbar_kw), ("text_kw", text_kw)):
        _require(name, properties, properties is None or isinstance(properties, Mapping), "a dict, or None")


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, np.bool)) or not isinstance(value, Real):
        return False
    try:
        return bool(np.isfinite(float(value)))
    except (OverflowError, ValueError, TypeError):
        return False


def _as_list(value: Any) -> list[Any] | None:
    """Return the entries of a sequence; None for what has no order, or is no sequence."""
    is_sequence = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    if not is_sequence or isinstance(value, (bytes, Mapping)):
        return None
    try:
        return list(value)
    except Exception:
        return None


def _is_clique(clique: Any, k: int) -> bool:
    members = _as_list(clique) or []
    whole = all(isinstance(member, Integral) and not isinstance(member, bool) for member in members)
    return whole and bool(members) and all(0 <= int(member) < k for member in members)


def _sides(mean: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Return the methods of the left and of the right side, from the first row down: the outermost is first."""
    order: list[int] = np.argsort(mean, kind="stable").tolist()
    half = (len(order) + 1) // 2
    return order[:half], order[half:][::-1]
