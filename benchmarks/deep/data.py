"""Images and sentences of the public sets, as arrays; the folder is that of `benchmarks.common.datasets`.

Images are floats in [0, 1], f[n, height, width, channels]. Sentences are token numbers i32[n, length]: 0 is padding, 1
a word that the training sentences hold too rarely.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.common.datasets import FOLDER

PADDING, UNKNOWN = 0, 1


class Split(NamedTuple):
    """Rows to train on and rows to score, with classes i32[n] from 0 on."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def images(name: str) -> Split:
    """Read a set of images with its official split."""
    return Split(*images_of(name, "train"), *images_of(name, "test"))


def images_of(name: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one part of a set of images: "train", "test", or what its files are called."""
    pixels = _idx(name, part, "images")
    pixels = pixels if pixels.ndim == 4 else pixels[..., None]
    return pixels.astype(np.float32) / 255, _idx(name, part, "labels").astype(np.int32)


def sentences(name: str, length: int, *, at_least: int = 2) -> tuple[Split, tuple[str, ...]]:
    """Read a set of sentences, cut or padded to ``length`` words; where there is no official split, a tenth is scored.

    Parameters
    ----------
    at_least : int
        How often the training sentences must hold a word that gets a number of its own.

    Returns
    -------
    split : Split
    words : tuple of str
        In the order of their numbers, which begin at 2.
    """
    frame = pd.read_csv(FOLDER / "text" / f"{name}.csv.gz", keep_default_na=False, dtype=str)
    words = [text.lower().split() for text in frame["text"]]
    _, y = np.unique(frame["target"], return_inverse=True)
    if "split" in frame:
        train = (frame["split"] == "train").to_numpy()
    else:
        train = np.zeros(len(frame), bool)
        train[train_test_split(np.arange(len(frame)), test_size=0.1, stratify=y, random_state=0)[0]] = True
    counts = Counter(word for row, chosen in zip(words, train, strict=True) if chosen for word in row)
    known = tuple(word for word, count in counts.most_common() if count >= at_least)
    X, y = _numbers(words, known, length), y.astype(np.int32)
    return Split(X[train], y[train], X[~train], y[~train]), known


def _numbers(rows: Sequence[Sequence[str]], known: Sequence[str], length: int) -> np.ndarray:
    number = {word: i for i, word in enumerate(known, start=2)}
    tokens = np.full((len(rows), length), PADDING, np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = [number.get(word, UNKNOWN) for word in row[:length]]
    return tokens


def _idx(name: str, part: str, what: str) -> np.ndarray:
    """Read a file in the format of MNIST's: two zeros, the type, the number of axes, their sizes, the bytes."""
    (path,) = (FOLDER / "image").glob(f"{name}-{part}-{what}-idx*-ubyte.gz")
    content = gzip.decompress(path.read_bytes())
    n_axes = content[3]
    shape = np.frombuffer(content, ">i4", n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def batches(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Return rows i64[n // size, size] of the mini-batches of an epoch; what is left over has another epoch."""
    return rng.permutation(n)[: n // size * size].reshape(-1, size)


class Loader:
    """Mini-batches of an epoch in another order each time, as data loaders give them.

    Parameters
    ----------
    X, y : arrays
    size : int
        Rows of a mini-batch.
    seed : int
    """

    def __init__(self, X: np.ndarray, y: np.ndarray, size: int, seed: int = 0) -> None:
        self.X, self.y, self.size = X, y, size
        self.rng = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows in batches(self.rng, len(self.X), self.size):
            yield self.X[rows], self.y[rows]
