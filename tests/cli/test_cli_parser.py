"""Arguments that are refused, and the help."""

import pytest

from skbandit.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        ["--ratio", "1"],
        ["--ratio", "half"],
        ["--budget", "0"],
        ["--budget", "nan"],
        ["--seed", "-1"],
        ["--seed", "x"],
        ["--task", "ranking"],
        ["--dataset", "mnist"],
        ["--target", "y"],
        ["--decimal", ","],
        ["data.csv", "--decimal", ";"],
        ["data.csv", "--target", "y", "--dataset", "wine"],
    ],
)
def test_bad_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error:" in capsys.readouterr().err


def test_help_states_how_files_are_read(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("--target", "--out", "--policy", "--budget", "--ratio", "median", "OneHotEncoder", "object array"):
        assert word in text
