"""The rows of a pair: what is reported on, and three parts of the rows to train on.

Where there are a thousand official rows for testing, they are reported on, without those that stand among the rows to
train on as well; elsewhere all rows are pooled and drawn anew for each seed. Of the rows to train on, `SELECT` and
`GUARD` are set apart. Sentences are token numbers: 0 is padding, 1 a word that the rows to train on hold less than
twice.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common.datasets import FOLDER
from benchmarks.deep import data
from benchmarks.deep.pairs import generators
from benchmarks.deep.pairs.pair import Parts, Rows

SELECT, GUARD = 1024, 500

Words = Sequence[Sequence[str]]


def divide(rows: Rows, seed: int, report: np.ndarray | int, *, guard: int = GUARD, texts: Any = None) -> Parts:
    """Divide rows, each of which counts once.

    Parameters
    ----------
    rows : Rows
    seed : int
    report : bool array (n,) or int
        The official rows to report on, or how many of all to draw.
    guard : int
    texts : sequence of str, optional
        What makes a row: rows of one text are the same row. By default, rows of the same ``X`` are.
    """
    names = _names(rows.X) if texts is None else np.asarray(texts, object)
    order = np.arange(len(names)) if isinstance(report, int) else np.argsort(report, kind="stable")
    first = order[np.unique(names[order], return_index=True)[1]]  # of what is in both, the row to train on
    shuffled = np.random.default_rng(seed).permutation(np.sort(first))
    if isinstance(report, int):
        reported, train = shuffled[:report], shuffled[report:]
    else:
        reported, train = np.sort(shuffled[report[shuffled]]), shuffled[~report[shuffled]]
    select, held, fit = np.split(train, [SELECT, SELECT + guard])
    return Parts(*(Rows(rows.X[part], rows.y[part]) for part in (fit, select, held, reported)))


def _names(X: np.ndarray) -> np.ndarray:
    """Return one value for each row, the same for rows of the same bytes."""
    flat = np.ascontiguousarray(X.reshape(len(X), -1))
    return flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).reshape(-1)


# --- images -----------------------------------------------------------------------------------------------------------


def images(name: str, seed: int, **sizes: int) -> Parts:
    """Return images f[n, height, width, channels] in [0, 1], with the official rows to report on."""
    split = data.images(name)
    rows = Rows(np.concatenate([split.X_train, split.X_test]), np.concatenate([split.y_train, split.y_test]))
    return divide(rows, seed, np.arange(len(rows.y)) >= len(split.y_train), **sizes)


def pooled_images(name: str, part: str, seed: int, n_report: int) -> Parts:
    """Return images of a set of which one part is there alone."""
    return divide(Rows(*data.images_of(name, part)), seed, n_report)


# --- words ------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def table(folder: str, name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / folder / f"{name}.csv.gz", keep_default_na=False, dtype=str)


def sentences(name: str, seed: int, length: int, *, n_report: int | None = None) -> Parts:
    """Return sentences i32[n, length], cut or padded.

    Without ``n_report``, with the official rows to report on (the others, "dev" too, are rows to train on).
    """
    frame = table("text", name)
    report = (frame["split"] == "test").to_numpy() if n_report is None else n_report
    return divided_texts([text.lower() for text in frame["text"]], frame["target"], seed, length, report)


def commands(seed: int, length: int) -> Parts:
    """Return the commands of SCAN, with the number of their actions as the class."""
    frame = table("reasoning", "scan")
    report = (frame["split_simple"] == "test").to_numpy()
    return divided_texts(list(frame["command"]), frame["n_actions"].astype(int), seed, length, report)


def divided_texts(texts: Sequence[str], target: Any, seed: int, length: int, report: np.ndarray | int) -> Parts:
    """Divide texts, then number the words of those to train on."""
    words = [tuple(re.findall(r"[\w'-]+|[^\w\s]", text)) for text in texts]
    y = np.unique(target, return_inverse=True)[1].astype(np.int32)
    rows = Rows(np.array([*words, ()], object)[:-1], y)
    parts = divide(rows, seed, report, texts=[" ".join(row) for row in words])
    number = vocabulary(np.concatenate([part.X for part in parts[:3]]))
    return Parts(*(Rows(numbered(part.X, number, length), part.y) for part in parts))


def vocabulary(words: Words, at_least: int = 2) -> dict[str, int]:
    """Number the words that are there often enough, from 2 on."""
    counts = Counter(word for row in words for word in row)
    known = sorted(word for word, count in counts.items() if count >= at_least)
    return {word: i for i, word in enumerate(known, start=2)}


def numbered(rows: Words, number: dict[str, int], length: int) -> np.ndarray:
    """Return token numbers i32[n, length] of words, cut or padded."""
    tokens = np.full((len(rows), length), data.PADDING, np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = [number.get(word, data.UNKNOWN) for word in row[:length]]
    return tokens


def bags_of_words(name: str, seed: int, n_words: int) -> Parts:
    """Return the logarithms of one plus the counts of the most frequent words, f[n, words], each row of length 1."""
    parts = sentences(name, seed, 400)
    frequent = np.bincount(np.concatenate([part.X.ravel() for part in parts[:3]]))
    frequent[: data.UNKNOWN + 1] = 0
    chosen = np.argsort(-frequent, kind="stable")[:n_words]
    return Parts(*(Rows(_counts(part.X, chosen), part.y) for part in parts))


def _counts(X: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    n_tokens = 1 + max(int(X.max()), int(chosen.max()))
    counts = np.stack([np.bincount(row, minlength=n_tokens)[chosen] for row in X])
    found = np.log1p(counts).astype(np.float32)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)


# --- generated --------------------------------------------------------------------------------------------------------


@functools.cache
def published_signals() -> tuple[np.ndarray, np.ndarray]:
    """Return signals f32[5000, 40] and digits of MNIST-1D, generated once."""
    return generators.mnist1d()


def signals(seed: int) -> Parts:
    """Return MNIST-1D as images f[n, 1, 40, 1] of one row of pixels; of the published 5 000, the last are reported."""
    X, y = published_signals()
    return divide(Rows(X[:, None, :, None], y), seed, np.arange(len(y)) >= 4000)


def sums(seed: int, prime: int = 97) -> Parts:
    """Return sums modulo a prime: half of all pairs of numbers are for training."""
    X, y = generators.modular_sums(prime)
    n_report = len(y) - len(y) // 2 - SELECT - GUARD
    return divide(Rows(X, y), seed, n_report)


def list_operations(seed: int, length: int, n_report: int) -> Parts:
    """Return the stored expressions of ListOps of at most ``length`` tokens, i32[n, length]."""
    frame = table("reasoning", "listops")
    short = frame[frame["text"].str.count(" ") < length]
    X = generators.numbered(list(short["text"]), length)
    return divide(Rows(X, short["target"].astype(np.int32).to_numpy()), seed, n_report)


# --- questions on stories ---------------------------------------------------------------------------------------------


def stories(tasks: Sequence[int], seed: int, n_sentences: int, n_words: int) -> Parts:
    """Return questions of bAbI, i32[n, 1 + sentences, words]: the question, then the latest sentences, latest first."""
    frame = pd.concat([table("reasoning", f"babi_qa{task:02d}") for task in tasks], ignore_index=True)
    texts = [
        [question, *reversed([s for s in story.split(".") if s.strip()])][: 1 + n_sentences]
        for story, question in zip(frame["story"], frame["question"], strict=True)
    ]
    words = [[re.findall(r"\w+", sentence.lower()) for sentence in text] for text in texts]
    number = vocabulary([sentence for text in words for sentence in text])  # a small world: no others come
    X = np.zeros((len(words), 1 + n_sentences, n_words), np.int32)
    for i, text in enumerate(words):
        X[i, : len(text)] = numbered(text, number, n_words)
    y = np.unique(frame["target"], return_inverse=True)[1].astype(np.int32)
    names = (frame["story"] + frame["question"]).tolist()
    return divide(Rows(X, y), seed, (frame["split"] == "test").to_numpy(), texts=names)
