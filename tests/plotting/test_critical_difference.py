import sys

import numpy as np
import pytest

from skbandit import CriticalDifferenceDisplay, stats

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def scores_of(k, n=14, seed=0):
    """Scores in which many neighbours are alike, and the two first methods are the same."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(np.linspace(0, 2, k), 1, size=(n, k))
    scores[:, 0] = scores[:, 1]
    return scores


def names_of(k):
    return [f"method with a long name {j}" for j in range(k)]


def boxes(figure, artists):
    figure.canvas.draw()
    return [artist.get_window_extent() for artist in artists]


@pytest.mark.parametrize("test", ["wilcoxon-holm", "nemenyi"])
@pytest.mark.parametrize("k", [2, 3, 4, 11, 22, 25])
def test_no_label_is_cut_off_or_overlaps_another(k, test):
    display = CriticalDifferenceDisplay.from_scores(scores_of(k), names=names_of(k), test=test)
    canvas = display.figure_.bbox
    labels = boxes(display.figure_, display.text_ + display.rank_text_)
    everything = labels + boxes(display.figure_, display.ax_.texts)
    for box in everything:
        # Half a pixel: the layout engine's own rounding.
        assert box.x0 > canvas.x0 - 0.5
        assert box.x1 < canvas.x1 + 0.5
        assert box.y0 > canvas.y0 - 0.5
        assert box.y1 < canvas.y1 + 0.5
    for i, box in enumerate(labels):
        assert not any(box.overlaps(other) for other in labels[:i])


def test_labels_do_not_lie_under_the_lines():
    display = CriticalDifferenceDisplay.from_scores(scores_of(12), names=names_of(12))
    to_pixels = display.ax_.transData
    verticals = [to_pixels.transform(line.get_xydata()[:2]) for line in display.line_]
    for box in boxes(display.figure_, display.rank_text_):
        for (x, y0), (_, y1) in verticals:
            assert not (box.x0 < x < box.x1 and box.y0 < max(y0, y1) and box.y1 > min(y0, y1))


def test_lines_start_at_the_mean_ranks_with_the_best_on_the_left():
    scores = scores_of(7)
    display = CriticalDifferenceDisplay.from_scores(scores, names="abcdefg")
    mean = stats.mean_ranks(scores).mean_ranks
    np.testing.assert_array_equal([line.get_xdata()[0] for line in display.line_], mean)
    assert [text.get_text() for text in display.text_] == list("abcdefg")
    assert [text.get_text() for text in display.rank_text_] == [f"{rank:.2f}" for rank in mean]
    left, right = display.ax_.get_xlim()
    assert left < 1 < 7 < right
    ends = np.array([line.get_xdata()[-1] for line in display.line_])
    order = np.argsort(mean, kind="stable")
    np.testing.assert_array_equal(ends[order], [left] * 4 + [right] * 3)


def test_elbows_do_not_cross():
    display = CriticalDifferenceDisplay.from_scores(scores_of(9, seed=2))
    for line in display.line_:
        (x, _), (_, height), (end, _) = line.get_xydata()
        for other in display.line_:
            (x_other, _), (_, height_other), _ = other.get_xydata()
            crosses = min(x, end) < x_other < max(x, end) and height_other > height
            assert other is line or not crosses


@pytest.mark.parametrize("test", ["wilcoxon-holm", "nemenyi"])
def test_crossbars_span_the_cliques(test):
    scores = scores_of(8, n=30)
    display = CriticalDifferenceDisplay.from_scores(scores, test=test, alpha=0.1)
    mean = stats.mean_ranks(scores).mean_ranks
    p_values = (stats.nemenyi if test == "nemenyi" else stats.wilcoxon_holm)(scores).p_values
    cliques = stats.cliques(mean, p_values, alpha=0.1)
    assert len(cliques) > 1
    assert display.cliques == cliques
    spans = [tuple(line.get_xdata()) for line in display.crossbar_]
    assert spans == [(mean[clique[0]], mean[clique[-1]]) for clique in map(list, cliques)]
    heights = [line.get_ydata()[0] for line in display.crossbar_]
    first_row = min(line.get_ydata()[1] for line in display.line_)
    assert 0 < min(heights) <= max(heights) < first_row  # downwards from the axis


def test_the_critical_difference_is_drawn_to_scale():
    scores = scores_of(6)
    display = CriticalDifferenceDisplay.from_scores(scores, test="nemenyi", alpha=0.1)
    expected = stats.critical_difference(6, 14, alpha=0.1)
    assert display.critical_difference == expected
    assert np.ptp(display.critical_difference_.get_xdata()) == pytest.approx(expected)
    assert display.caption_.get_text() == f"critical difference {expected:.2f} (Nemenyi, level 0.1)"


def test_wilcoxon_has_no_critical_difference():
    display = CriticalDifferenceDisplay.from_scores(scores_of(6))
    assert display.critical_difference is None
    assert display.critical_difference_ is None
    assert "Wilcoxon" in display.caption_.get_text()


def test_lower_is_better_and_rounding_reach_the_ranks():
    scores = np.array([[0.101, 0.2, 0.099], [0.1, 0.4, 0.1], [0.1, 0.3, 0.102]])
    display = CriticalDifferenceDisplay.from_scores(scores, higher_is_better=False, decimals=2)
    np.testing.assert_array_equal(display.mean_ranks, [1.5, 3, 1.5])


def test_a_data_frame_names_the_labels():
    pd = pytest.importorskip("pandas")
    display = CriticalDifferenceDisplay.from_scores(pd.DataFrame(scores_of(3), columns=["x", "y", "z"]))
    assert [text.get_text() for text in display.text_] == ["x", "y", "z"]


def test_axes_and_properties_may_be_given():
    figure, axes = plt.subplots(1, 2)
    display = CriticalDifferenceDisplay.from_scores(
        scores_of(5, n=6), ax=axes[1], crossbar_kw={"color": "blue"}, text_kw={"fontsize": 6}
    )
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert {line.get_color() for line in display.crossbar_} == {"blue"}
    assert {text.get_fontsize() for text in display.text_} == {6}
    assert len(plt.get_fignums()) == 1


def test_plot_draws_again_elsewhere():
    display = CriticalDifferenceDisplay([1.25, 1.75], names=["a", "b"], cliques=[(0, 1)], caption="by hand")
    first = display.plot().figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert display.caption_.get_text() == "by hand"
    assert len(display.crossbar_) == 1


@pytest.mark.parametrize(("option", "value"), [("test", "tukey"), ("alpha", 0), ("alpha", 1.5)])
def test_errors_name_the_parameter(option, value):
    with pytest.raises(ValueError, match=f"The '{option}' parameter must be"):
        CriticalDifferenceDisplay.from_scores(scores_of(3), **{option: value})


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skbandit\[plot\]'"):
        CriticalDifferenceDisplay([1, 2], names=["a", "b"]).plot()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mean_ranks", [None, "12", [1, np.nan], [0, 1.5], [1, 3], [[1, 2]], [], [1, "2"], [10**400, 1], 2.0]),
        ("names", [None, 3, "ab c", ["a"], ["a", 2], {"a", "b"}, {"a": 1, "b": 2}]),
        ("cliques", [None, 3, [3], [(0, 2)], [(-1, 0)], [("a",)], [(0.0, 1)], [()], {(0, 1)}, [(True, 0)]]),
        ("critical_difference", ["x", -1, np.nan, np.inf, True, 10**400, np.ones(2)]),
        ("caption", [None, 3, b"x"]),
    ],
)
def test_a_display_names_what_it_cannot_draw(name, values):
    valid = {"mean_ranks": [1.4, 1.6], "names": ["a", "b"], "cliques": [(0, 1)], "caption": ""}
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of CriticalDifferenceDisplay must be"):
            CriticalDifferenceDisplay(**valid | {name: value}).plot()
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ax", [3, "x", []]),
        ("width", [None, "x", 0, -1, np.nan, np.inf, True, 10**400, 1e6]),
        ("crossbar_kw", [3, "x", [1], {"no_property": 1}, {"linewidth": "x"}]),
        ("text_kw", [3, "x", [1], {"no_property": 1}]),
    ],
)
def test_plot_names_what_it_cannot_take(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of CriticalDifferenceDisplay must"):
            CriticalDifferenceDisplay([1.4, 1.6], names=["a", "b"], cliques=[(0, 1)]).plot(**{name: value})
        with pytest.raises(ValueError, match=f"The '{name}' parameter of CriticalDifferenceDisplay must"):
            CriticalDifferenceDisplay.from_scores(np.ones((5, 2)), **{name: value})


@pytest.mark.parametrize(("name", "values"), [("test", [None, 3, []]), ("alpha", ["x", None, True, 10**400])])
def test_from_scores_names_what_it_cannot_take(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter must be"):
            CriticalDifferenceDisplay.from_scores(scores_of(3), **{name: value})


def test_an_option_that_plot_has_not_is_named_before_a_test_is_computed():
    with pytest.raises(TypeError, match=r"CriticalDifferenceDisplay.plot has no parameters \['colour'\]"):
        CriticalDifferenceDisplay.from_scores("no scores", colour="red")
