"""What the displays share."""

import subprocess
import sys

from skbandit.plotting.style import levels


def test_crossbars_share_a_level_where_they_do_not_touch():
    # The third starts far enough after the first; the fourth touches it.
    assert levels([(1, 2), (1.5, 3), (2.5, 4), (4.1, 5)], gap=0.2) == [0, 1, 0, 1]
    assert levels([], gap=0.2) == []


def test_matplotlib_is_not_imported_before_something_is_drawn():
    code = "import sys; import skbandit.plotting.style; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
