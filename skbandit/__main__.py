"""``python -m skbandit``: train, prune and compare, on bundled data or on a CSV file."""

from __future__ import annotations

import sys

from skbandit.cli import main

if __name__ == "__main__":
    sys.exit(main())
