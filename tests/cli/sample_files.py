"""CSV files to read: a small one of numbers, and one with text and missing values."""

from pathlib import Path

import numpy as np
import pandas as pd


def write(tmp_path: Path, text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def numeric_csv(n: int = 40) -> str:
    """``y = 2a - b + 0.5``: not integers, so a regression."""
    return "a,b,y\n" + "".join(f"{i},{i % 7},{2 * i - i % 7 + 0.5}\n" for i in range(n))


def frame(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Numbers, text and truth values, with holes; the price follows from size and district."""
    rng = np.random.default_rng(seed)
    size = rng.normal(100, 20, n)
    district = rng.choice(["north", "south", "east, inner"], n)
    price = 3 * size + 50 * (district == "south") + rng.normal(0, 5, n)
    data = pd.DataFrame({"size": size, "district": district, "garden": rng.random(n) < 0.5, "price": price})
    data["size"] = data["size"].mask(rng.random(n) < 0.1)
    data["district"] = data["district"].mask(rng.random(n) < 0.1)
    return data
