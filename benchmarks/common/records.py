"""Records: one JSON object a line.

Runs append to files under `NEW`, which git ignores. The records that the pages under ``docs`` quote are kept in
`KEPT`.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

#: Relative to the folder that Python runs in, as messages show them.
NEW, KEPT = Path("benchmarks/results"), Path("benchmarks/records")

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """Return the records of a file, plain or ``.gz``; none if there is no file. A line that broke off is left out."""
    if not path.exists():
        return []
    content = path.read_bytes()
    found = []
    for line in (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def latest(records: Iterable[Record], key: Callable[[Record], Any]) -> list[Record]:
    """Of records with the same key, return the last one, in the place of the first."""
    return list({key(record): record for record in records}.values())


def append(path: Path, *records: Record) -> None:
    """Add records to a file; make the file, and its folder, where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    broke_off = bool(before) and not before.endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.writelines(["\n"] * broke_off)
        file.writelines(_line(record) for record in records)


def write(path: Path, records: Iterable[Record]) -> None:
    """Make a file of these records alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.writelines(_line(record) for record in records)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)  # whole, or as it was


def _line(record: Record) -> str:
    return json.dumps(record, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """Make Python's own of NumPy's values, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written.")
