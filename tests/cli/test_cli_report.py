"""What is printed."""

import pytest

from skbandit.cli import compare, report, table


def invented(pruned: float, unpruned: float, other: float, half: float, units=(100, 50)) -> compare.Comparison:
    """Return a comparison with these scores."""
    rows = [
        compare.Row("skbandit MLP, pruned (ucb1)", pruned, 500, 1e-5, 1e-3, 2500, 2.0),
        compare.Row("skbandit MLP, unpruned", unpruned, 1000, 2e-5, 2e-3, 5000, 1.0),
        compare.Row("ridge", other, 11, 1e-5, 1e-4, 600, 0.0),
    ]
    difference = pruned - unpruned
    interval = (difference - half, difference + half)
    return compare.Comparison("regression", "ucb1", rows, 80, units, difference, interval, [], None)


@pytest.mark.parametrize(
    ("scores", "half", "expected"),
    [
        ((0.5, 0.4, 0.3), 0.05, ["+0.100", "pruning helped", "rank 1; none has a higher score"]),
        ((0.4, 0.5, 0.3), 0.05, ["-0.100", "pruning cost something", "rank 2; the best is skbandit MLP, unpruned"]),
        ((0.4, 0.5, 0.6), 0.20, ["no difference", "rank 3; the best is ridge (0.600)"]),
        ((0.5, 0.5, 0.5), 0.0, ["+0.000", "no difference", "rank 1; none has a higher score"]),
        ((-0.1, -0.2, -0.3), 0.01, ["pruning helped", "rank 1"]),
    ],
)
def test_the_verdict_fits_every_outcome(scores, half, expected):
    text = " ".join(report.verdict(invented(*scores, half)).split())
    assert "ucb1 removed 50 of the 100 hidden units" in text
    assert "50% of the parameters and 50% of the bytes" in text
    for part in expected:
        assert part in text


def test_the_table_has_aligned_columns():
    lines = report.render(invented(0.4, 0.5, 0.6, 0.2)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == [
        "model",
        "R²",
        "parameters",
        "1",
        "row,",
        "µs",
        "1000",
        "rows,",
        "ms",
        "bytes",
        "fit,",
        "s",
    ]


@pytest.mark.parametrize(
    ("sizes", "early_stopping", "expected"),
    [
        ((128, 128, 128), True, ["start with 128, 128 and 128 hidden", "scikit-learn's stops early on held-out rows"]),
        ((32,), False, ["start with 32 hidden", "scikit-learn's does not stop early"]),
    ],
)
def test_the_description_says_how_the_networks_are_trained(sizes, early_stopping, expected):
    data = table.bundled("diabetes")._replace(early_stopping=early_stopping)
    estimator = compare.make_estimator(data, "ucb1", 8, 0.5, 0).set_params(hidden_layer_sizes=sizes)
    text = report.describe(data, estimator)
    assert "diabetes (bundled with scikit-learn): regression, 442 rows, 10 columns" in text
    for part in [*expected, "skbandit's models are of 4 each", "skbandit's holds out 20% of the training rows"]:
        assert part in text
